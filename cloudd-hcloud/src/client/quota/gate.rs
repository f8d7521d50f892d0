//! Where requests wait their turn.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::model::{Model, Pass};
use super::{Quota, Report};

/// The gate that every request of a client goes through, in the order of arrival.
#[derive(Debug)]
pub(crate) struct Gate {
    model: Mutex<Model>,
    /// Held by the one request that is next, while it waits: the others queue up behind it.
    turnstile: tokio::sync::Mutex<()>,
    answered: Notify,
    lanes: Semaphore,
}

impl Gate {
    /// `window` is the time in which an empty bucket refills, `lanes` how many requests may be
    /// under way at once.
    pub(crate) fn new(window: Duration, lanes: usize) -> Self {
        Self {
            model: Mutex::new(Model::new(window)),
            turnstile: tokio::sync::Mutex::new(()),
            answered: Notify::new(),
            lanes: Semaphore::new(lanes.max(1)),
        }
    }

    /// Waits until a request may go.
    pub(crate) async fn pass(&self) -> Passage<'_> {
        // The semaphore is never closed.
        let lane = self.lanes.acquire().await.ok();
        let _turn = self.turnstile.lock().await;
        loop {
            let answered = self.answered.notified();
            let pass = self.model().pass(Instant::now());
            match pass {
                Pass::Now(number) => {
                    return Passage { gate: self, number, _lane: lane };
                }
                Pass::NotBefore(then) => tokio::time::sleep_until(then).await,
                Pass::AfterAnswer(or_then) => {
                    let _either = tokio::time::timeout_at(or_then, answered).await;
                }
            }
        }
    }

    /// How much longer than usual to leave between polls.
    pub(crate) fn stretch(&self) -> f64 {
        self.model().stretch(Instant::now())
    }

    pub(crate) fn quota(&self) -> Option<Quota> {
        self.model().quota(Instant::now())
    }

    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request under way. Over when dropped: a request that is cancelled has been sent, too.
#[derive(Debug)]
pub(crate) struct Passage<'a> {
    gate: &'a Gate,
    number: u64,
    _lane: Option<SemaphorePermit<'a>>,
}

impl Passage<'_> {
    /// Learns from the answer.
    pub(crate) fn answered(&self, status: u16, report: Option<Report>) {
        let mut model = self.gate.model();
        let now = Instant::now();
        model.answered(self.number, report, now);
        if status == 429 {
            model.refused(now);
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        self.gate.model().over(self.number);
        self.gate.answered.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_first_request_lets_the_next_one_go() {
        let gate = Gate::new(HOUR, 8);
        let first = gate.pass().await;
        let second = gate.pass();
        tokio::pin!(second);
        let early = tokio::time::timeout(Duration::from_secs(1), &mut second).await;
        assert!(early.is_err(), "the second request waits for the first one's answer");
        drop(first);
        second.await.answered(200, None);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_requests_are_under_way_than_there_are_lanes() {
        let gate = Gate::new(HOUR, 2);
        gate.pass().await.answered(200, Some(Report { limit: 3600, remaining: 3000 }));
        let (first, _second) = (gate.pass().await, gate.pass().await);
        assert!(tokio::time::timeout(Duration::from_secs(5), gate.pass()).await.is_err());
        drop(first);
        gate.pass().await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_the_next_request_goes_within_seconds() {
        let gate = Gate::new(HOUR, 8);
        gate.pass().await.answered(429, Some(Report { limit: 3600, remaining: 0 }));
        let before = Instant::now();
        gate.pass().await;
        assert_eq!(before.elapsed().as_secs(), 1);
    }
}
