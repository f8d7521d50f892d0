//! Asking for everybody at once.
//!
//! Whoever waits for something puts it on the [`board`]; one driver asks about all of it, as many
//! per request as the API allows, each when it is due. The driver is a task that runs while
//! something is on the board.
//!
//! ```text
//!  watch ──▶ board ──due──▶ driver ──one request for many──▶ API
//!    ▲                        │
//!    └──── state, trouble ◀───┘
//! ```

mod board;

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;

use self::board::{Board, Step};
use super::core::Core;
use crate::Error;

/// What can be asked about.
pub(super) trait Source: fmt::Debug + Send + Sync + 'static {
    type Key: Clone + Ord + fmt::Debug + Send + Sync + 'static;
    type State: Clone + fmt::Debug + Send + 'static;

    /// How many keys one request can hold.
    const BATCH: usize;

    /// Asks once. What is missing from the answer does not exist.
    fn ask(
        self: Arc<Self>,
        keys: Vec<Self::Key>,
    ) -> impl Future<Output = Result<BTreeMap<Self::Key, Self::State>, Error>> + Send;

    /// How much of it is done, in percent; 0 if that is not known.
    fn progress(state: &Self::State) -> u8;

    /// Whether the state will never change again.
    fn is_final(state: &Self::State) -> bool;
}

/// News about something that is watched.
#[derive(Debug, Clone)]
pub(super) enum News<T> {
    State(T),
    /// The API does not know it, and did not the time before.
    Missing,
    /// It could not be asked about, and will be again.
    Trouble(Error),
    /// It cannot be asked about.
    Failed(Error),
    /// The driver was taken down with its runtime: whoever hears of it starts another one.
    Orphaned,
}

/// Asks about all that is watched.
#[derive(Debug)]
pub(super) struct Poller<S: Source> {
    inner: Arc<Inner<S>>,
}

#[derive(Debug)]
struct Inner<S: Source> {
    source: Arc<S>,
    core: Arc<Core>,
    board: Mutex<Board<S>>,
    changed: Notify,
}

/// What is to be watched.
#[derive(Debug)]
pub(super) struct Subject<K> {
    pub(super) key: K,
    /// How long it will take, typically.
    pub(super) expected: Duration,
    /// What must end before it begins.
    pub(super) after: Option<K>,
}

impl<S: Source> Poller<S> {
    pub(super) fn new(source: S, core: Arc<Core>) -> Self {
        let board = Mutex::new(Board::new(core.tuning.pace.clone()));
        Self {
            inner: Arc::new(Inner {
                source: Arc::new(source),
                core,
                board,
                changed: Notify::new(),
            }),
        }
    }

    /// Watches until the watch is dropped.
    pub(super) fn watch(&self, subjects: Vec<Subject<S::Key>>) -> Watch<S> {
        let (sender, news) = mpsc::unbounded_channel();
        let id = self.inner.board().watch(subjects, sender, Instant::now());
        self.inner.changed.notify_one();
        Watch { inner: Arc::clone(&self.inner), id, news }
    }
}

/// Something that is watched.
#[derive(Debug)]
pub(super) struct Watch<S: Source> {
    inner: Arc<Inner<S>>,
    id: u64,
    news: mpsc::UnboundedReceiver<(S::Key, News<S::State>)>,
}

impl<S: Source> Watch<S> {
    /// The next news, or `None` when the deadline has passed.
    pub(super) async fn news(&mut self, deadline: Instant) -> Option<(S::Key, News<S::State>)> {
        loop {
            self.inner.keep_driven();
            // The sender lives as long as its entry; after the last news of an entry there is
            // nothing but the deadline.
            let news = tokio::time::timeout_at(deadline, self.news.recv()).await.ok()?;
            match news {
                Some((_, News::Orphaned)) => {}
                Some(news) => return Some(news),
                None => tokio::time::sleep_until(deadline).await,
            }
        }
    }

    /// A handle that says that something will end sooner, or later, than was expected.
    pub(super) fn nudge(&self, key: S::Key) -> Nudge<S> {
        Nudge { inner: Arc::clone(&self.inner), key }
    }
}

impl<S: Source> Drop for Watch<S> {
    fn drop(&mut self) {
        self.inner.board().unwatch(self.id, Instant::now());
        self.inner.changed.notify_one();
    }
}

/// See [`Watch::nudge`].
#[derive(Debug)]
pub(super) struct Nudge<S: Source> {
    inner: Arc<Inner<S>>,
    key: S::Key,
}

impl<S: Source> Nudge<S> {
    /// It will end within this time from now.
    pub(super) fn expect_within(&self, expected: Duration) {
        self.inner.board().expect_within(&self.key, expected, Instant::now());
        self.inner.changed.notify_one();
    }
}

impl<S: Source> Clone for Nudge<S> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner), key: self.key.clone() }
    }
}

impl<S: Source> Inner<S> {
    fn board(&self) -> MutexGuard<'_, Board<S>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a driver, unless there is one.
    fn keep_driven(self: &Arc<Self>) {
        if self.board().start_driving() {
            tokio::spawn(drive(Arc::clone(self)));
        }
    }
}

/// Asks about what is due until nothing is watched.
async fn drive<S: Source>(inner: Arc<Inner<S>>) {
    let inner = Driving(inner);
    let inner = &inner.0;
    // Requests under way. They do not hold each other up: one that hangs delays only what it asks
    // about.
    let mut asked = JoinSet::new();
    loop {
        let step = inner.board().step(Instant::now(), inner.core.gate.stretch());
        let wake_up = match step {
            Step::Stop => return,
            Step::Ask(batches) => {
                for keys in batches {
                    let source = Arc::clone(&inner.source);
                    asked.spawn(async move { (keys.clone(), source.ask(keys).await) });
                }
                continue;
            }
            Step::Wait(until) => until,
        };
        tokio::select! {
            Some(answer) = asked.join_next() => match answer {
                Ok((keys, answer)) => inner.board().learn(&keys, answer, Instant::now()),
                Err(_) => inner.board().forget_questions(Instant::now()),
            },
            () = sleep_until(wake_up) => {}
            () = inner.changed.notified() => {}
        }
    }
}

async fn sleep_until(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}

/// Says that nobody drives any more, however the driver ends.
struct Driving<S: Source>(Arc<Inner<S>>);

impl<S: Source> Drop for Driving<S> {
    fn drop(&mut self) {
        self.0.board().stopped_driving(Instant::now());
    }
}
