//! Polling many operations with few requests.
//!
//! A subscriber adds what it waits for to the hub. One driver task polls each entry when it is due,
//! several entries per request, and sends the results to the subscribers. The driver ends when no
//! entries are left.
//!
//! ```text
//!  subscribe ──▶ hub ──due──▶ driver ──one request per batch──▶ API
//!      ▲                        │
//!      └───────── update ◀──────┘
//! ```

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloudd_core::retry::Backoff;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::executor::Executor;
use super::retry::nth_pause;
use super::schedule::PollSchedule;
use crate::Error;

/// How many times in a row a key must be missing from the response. Once may be a replica that lags
/// behind.
const MAX_MISSES: u32 = 2;

/// The shortest interval between two rounds of requests. Entries that become due within it share a
/// round.
const MIN_ROUND_INTERVAL: Duration = Duration::from_secs(1);

/// The same while there are more entries than one request can hold.
const MIN_ROUND_INTERVAL_WHEN_FULL: Duration = Duration::from_secs(2);

/// A request that reads the state of several keys.
pub(super) trait BatchPoll: Debug + Send + Sync + 'static {
    type Key: Clone + Ord + Debug + Send + Sync + 'static;
    type State: Clone + Debug + Send + 'static;

    /// The maximum number of keys of one request.
    const BATCH_SIZE: usize;

    /// Reads the states once. A key that does not exist is missing from the result.
    fn poll(
        &self,
        keys: &[Self::Key],
    ) -> impl Future<Output = Result<BTreeMap<Self::Key, Self::State>, Error>> + Send;

    /// The progress in percent; 0 if it is unknown.
    fn progress(state: &Self::State) -> u8;

    /// Whether the state will not change any more.
    fn is_final(state: &Self::State) -> bool;
}

/// An operation to be polled.
#[derive(Debug, Clone)]
pub(super) struct Subject<K> {
    pub(super) key: K,
    /// The expected time until it starts.
    pub(super) starts_in: Duration,
    /// The expected duration from its start.
    pub(super) expected: Duration,
}

/// A result of polling a key.
#[derive(Debug, Clone)]
pub(super) enum PollUpdate<T> {
    State(T),
    /// The key does not exist. No more updates follow.
    Missing,
    /// The poll failed and will be repeated.
    Retrying(Error),
    /// The poll failed permanently. No more updates follow.
    Failed(Error),
}

type Update<P> = (<P as BatchPoll>::Key, PollUpdate<<P as BatchPoll>::State>);

/// Receives the updates of some keys. Dropping it ends their polling.
pub(super) type Subscription<P> = mpsc::UnboundedReceiver<Update<P>>;

/// Polls for all subscribers of a client.
#[derive(Debug)]
pub(super) struct Poller<P: BatchPoll>(Arc<Shared<P>>);

#[derive(Debug)]
struct Shared<P: BatchPoll> {
    source: P,
    executor: Arc<Executor>,
    schedule: PollSchedule,
    hub: Mutex<Hub<P>>,
    subscribed: Notify,
}

impl<P: BatchPoll> Poller<P> {
    pub(super) fn new(source: P, executor: Arc<Executor>) -> Self {
        let schedule = PollSchedule::new(executor.timing);
        let hub = Hub { entries: BTreeMap::new(), is_driven: false, last_round: None };
        let (hub, subscribed) = (Mutex::new(hub), Notify::new());
        Self(Arc::new(Shared { source, executor, schedule, hub, subscribed }))
    }

    /// Passes updates to `on_update` until it returns a result, or returns `None` at the deadline.
    pub(super) async fn poll_until<T>(
        &self,
        deadline: Instant,
        subjects: impl Fn() -> Vec<Subject<P::Key>>,
        mut on_update: impl FnMut(P::Key, PollUpdate<P::State>) -> Option<T>,
    ) -> Option<T> {
        loop {
            let mut updates = self.subscribe(subjects());
            while let Some((key, update)) = timeout_at(deadline, updates.recv()).await.ok()? {
                if let Some(result) = on_update(key, update) {
                    return Some(result);
                }
            }
            // The driver ended with its runtime: subscribe again, which starts another one.
        }
    }

    fn subscribe(&self, subjects: Vec<Subject<P::Key>>) -> Subscription<P> {
        let (sender, updates) = mpsc::unbounded_channel();
        let mut hub = self.0.hub();
        let now = Instant::now();
        for Subject { key, starts_in, expected } in subjects {
            let starts = now + starts_in;
            let entry = hub.entries.entry(key).or_insert_with(|| Entry {
                subscribers: Vec::new(),
                starts,
                expected,
                due: Some(starts + self.0.schedule.next(Duration::ZERO, expected)),
                misses: 0,
                failures: 0,
            });
            entry.subscribers.push(sender.clone());
        }
        if !std::mem::replace(&mut hub.is_driven, true) {
            tokio::spawn(drive(Arc::clone(&self.0)));
        }
        self.0.subscribed.notify_one();
        updates
    }
}

impl<P: BatchPoll> Shared<P> {
    fn hub(&self) -> MutexGuard<'_, Hub<P>> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Hub<P: BatchPoll> {
    entries: BTreeMap<P::Key, Entry<P>>,
    is_driven: bool,
    last_round: Option<Instant>,
}

#[derive(Debug)]
struct Entry<P: BatchPoll> {
    subscribers: Vec<mpsc::UnboundedSender<Update<P>>>,
    /// When the operation started or is expected to start.
    starts: Instant,
    expected: Duration,
    /// When it is polled next; `None` while a request for it runs.
    due: Option<Instant>,
    misses: u32,
    failures: usize,
}

/// The next step of the driver.
enum Round<K> {
    Stop,
    Wait(Option<Instant>),
    Poll(Vec<Vec<K>>),
}

impl<P: BatchPoll> Hub<P> {
    /// Determines the next step. `min_intervals` are the shortest intervals between two rounds,
    /// normally and when the entries do not fit into one request.
    fn next_round(&mut self, now: Instant, min_intervals: [Duration; 2]) -> Round<P::Key> {
        self.entries.retain(|_, entry| {
            entry.subscribers.retain(|subscriber| !subscriber.is_closed());
            !entry.subscribers.is_empty()
        });
        if self.entries.is_empty() {
            return Round::Stop;
        }
        let min_interval = min_intervals[usize::from(self.entries.len() > P::BATCH_SIZE)];
        let mut idle: Vec<_> = self.entries.iter_mut().filter(|it| it.1.due.is_some()).collect();
        idle.sort_by_key(|(_, entry)| entry.due);
        let Some(first_due) = idle.first().and_then(|(_, entry)| entry.due) else {
            return Round::Wait(None);
        };
        let round = first_due.max(self.last_round.map_or(now, |last| last + min_interval));
        if round > now {
            return Round::Wait(Some(round));
        }
        self.last_round = Some(now);
        // The last request is filled up with entries that are due later.
        let due = idle.iter().filter(|(_, entry)| entry.due <= Some(now)).count();
        idle.truncate(due.next_multiple_of(P::BATCH_SIZE));
        let keys: Vec<_> = idle
            .into_iter()
            .map(|(key, entry)| {
                entry.due = None;
                key.clone()
            })
            .collect();
        Round::Poll(keys.chunks(P::BATCH_SIZE).map(<[_]>::to_vec).collect())
    }

    /// Sends the result of a request to the subscribers and schedules the next polls.
    fn record(
        &mut self,
        keys: &[P::Key],
        result: &Result<BTreeMap<P::Key, P::State>, Error>,
        schedule: PollSchedule,
    ) {
        let now = Instant::now();
        for key in keys {
            let Some(entry) = self.entries.get_mut(key) else { continue };
            let (update, is_last) = match result.as_ref().map(|states| states.get(key)) {
                Ok(Some(state)) => {
                    (entry.misses, entry.failures) = (0, 0);
                    let age = now.saturating_duration_since(entry.starts);
                    let expected = schedule.refined(entry.expected, age, P::progress(state));
                    entry.due = Some(entry.starts + schedule.next(age, expected));
                    (PollUpdate::State(state.clone()), P::is_final(state))
                }
                Ok(None) => {
                    entry.misses += 1;
                    entry.due = Some(now + schedule.min_interval());
                    if entry.misses < MAX_MISSES {
                        continue;
                    }
                    (PollUpdate::Missing, true)
                }
                Err(error) if error.is_transient() => {
                    let (first, longest) = (schedule.min_interval(), schedule.max_failure_pause());
                    let backoff = Backoff::new(first, longest, 2.0, 0.0);
                    entry.due = Some(now + nth_pause(backoff, entry.failures));
                    entry.failures += 1;
                    (PollUpdate::Retrying(error.clone()), false)
                }
                Err(error) => (PollUpdate::Failed(error.clone()), true),
            };
            for subscriber in &entry.subscribers {
                // An error means that the subscriber has ended its subscription.
                let _closed = subscriber.send((key.clone(), update.clone()));
            }
            if is_last {
                self.entries.remove(key);
            }
        }
    }
}

/// Polls what is due until there are no entries.
async fn drive<P: BatchPoll>(shared: Arc<Shared<P>>) {
    let guard = DriverGuard(shared);
    let shared = &guard.0;
    // A request that hangs delays only its own keys.
    let mut requests = JoinSet::new();
    loop {
        let slowdown = shared.executor.rate_limiter.slowdown_factor();
        let min_intervals = [MIN_ROUND_INTERVAL, MIN_ROUND_INTERVAL_WHEN_FULL]
            .map(|interval| shared.executor.timing.scaled(interval).mul_f64(slowdown));
        let round = shared.hub().next_round(Instant::now(), min_intervals);
        let wake_up = match round {
            Round::Stop => return,
            Round::Wait(until) => until,
            Round::Poll(batches) => {
                for keys in batches {
                    let shared = Arc::clone(shared);
                    requests.spawn(async move {
                        let result = shared.source.poll(&keys).await;
                        shared.hub().record(&keys, &result, shared.schedule);
                    });
                }
                continue;
            }
        };
        tokio::select! {
            Some(ended) = requests.join_next() => if ended.is_err() {
                // The task panicked: its keys are polled again after they are subscribed again.
                return;
            },
            () = sleep_until(wake_up.unwrap_or_else(Instant::now)), if wake_up.is_some() => {}
            () = shared.subscribed.notified() => {}
        }
    }
}

/// Ends all subscriptions when the driver ends, also with its runtime.
struct DriverGuard<P: BatchPoll>(Arc<Shared<P>>);

impl<P: BatchPoll> Drop for DriverGuard<P> {
    fn drop(&mut self) {
        let mut hub = self.0.hub();
        hub.is_driven = false;
        hub.entries.clear();
    }
}
