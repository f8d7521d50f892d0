//! Lists that many builds want at the same time, read once for all of them.
//!
//! Who asks while a read is under way may not have its answer, which may be older than the
//! question, but shares the next one with all others who ask meanwhile. So a hundred builds that
//! begin at once and look for their image cause two reads, and none gets old news.

mod lists;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

pub(super) use self::lists::Lists;
use super::core::Core;
use crate::Error;

/// How long an answer is kept for those who take an older one.
const KEPT: Duration = Duration::from_secs(3600);

/// Something that can be read, and told from other such things.
pub(super) trait Question: Clone + Ord + Debug + Send + Sync + 'static {
    type Answer: Debug + Send + Sync + 'static;

    fn read(&self, core: &Core) -> impl Future<Output = Result<Self::Answer, Error>> + Send;
}

type Outcome<Q> = Result<Arc<<Q as Question>::Answer>, Error>;

/// Reads each question once for all who ask it.
#[derive(Debug)]
pub(super) struct Shared<Q: Question> {
    inner: Arc<Inner<Q>>,
}

#[derive(Debug)]
struct Inner<Q: Question> {
    core: Arc<Core>,
    topics: Mutex<BTreeMap<Q, Topic<Q>>>,
}

#[derive(Debug)]
struct Topic<Q: Question> {
    waiting: Vec<oneshot::Sender<Outcome<Q>>>,
    reading: bool,
    /// The last answer, and when its read began.
    latest: Option<(Instant, Arc<Q::Answer>)>,
}

impl<Q: Question> Shared<Q> {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { inner: Arc::new(Inner { core, topics: Mutex::default() }) }
    }

    /// An answer that is at most so old: one whose read began at most so long before the call.
    pub(super) async fn read(&self, question: &Q, max_age: Duration) -> Outcome<Q> {
        loop {
            let answer = match self.inner.join(question, max_age) {
                Ok(latest) => return Ok(latest),
                Err(answer) => answer,
            };
            // Without an answer the reader was taken down with its runtime: read here.
            if let Ok(outcome) = answer.await {
                return outcome;
            }
        }
    }
}

impl<Q: Question> Inner<Q> {
    fn topics(&self) -> MutexGuard<'_, BTreeMap<Q, Topic<Q>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The latest answer if it is young enough, else a place in the next read.
    fn join(
        self: &Arc<Self>,
        question: &Q,
        max_age: Duration,
    ) -> Result<Arc<Q::Answer>, oneshot::Receiver<Outcome<Q>>> {
        let mut topics = self.topics();
        let topic = topics.entry(question.clone()).or_insert_with(|| Topic {
            waiting: Vec::new(),
            reading: false,
            latest: None,
        });
        match &topic.latest {
            Some((begun, answer)) if begun.elapsed() < max_age => return Ok(Arc::clone(answer)),
            _ => {}
        }
        let (sender, receiver) = oneshot::channel();
        topic.waiting.push(sender);
        if !std::mem::replace(&mut topic.reading, true) {
            tokio::spawn(read_for_all(Reading {
                inner: Arc::clone(self),
                question: question.clone(),
            }));
        }
        Err(receiver)
    }
}

/// Reads until nobody waits.
async fn read_for_all<Q: Question>(reading: Reading<Q>) {
    let Reading { inner, question } = &reading;
    let mut first = true;
    loop {
        // Where many ask one after the other, a moment gathers those who would need a read each.
        if !std::mem::take(&mut first) {
            tokio::time::sleep(inner.core.tuning.gather).await;
        }
        let waiting = match inner.topics().get_mut(question) {
            Some(topic) if !topic.waiting.is_empty() => std::mem::take(&mut topic.waiting),
            _ => return,
        };
        let begun = Instant::now();
        let outcome = question.read(&inner.core).await.map(Arc::new);
        if let (Ok(answer), Some(topic)) = (&outcome, inner.topics().get_mut(question)) {
            topic.latest = Some((begun, Arc::clone(answer)));
        }
        for waiting in waiting {
            // Who has gone does not hear it.
            let _gone = waiting.send(outcome.clone());
        }
    }
}

/// Says that nobody reads any more, however the reader ends.
struct Reading<Q: Question> {
    inner: Arc<Inner<Q>>,
    question: Q,
}

impl<Q: Question> Drop for Reading<Q> {
    fn drop(&mut self) {
        let mut topics = self.inner.topics();
        if let Some(topic) = topics.get_mut(&self.question) {
            topic.reading = false;
            // Dropping their senders tells those who joined meanwhile to try again.
            topic.waiting.clear();
        }
        topics.retain(|_, topic| {
            topic.reading || topic.latest.as_ref().is_some_and(|(begun, _)| begun.elapsed() < KEPT)
        });
    }
}

#[cfg(test)]
mod tests;
