//! Reads that concurrent callers share ("single flight"), and whose results are kept for a while.
//!
//! A caller that arrives during a read cannot use its result, which may be older than the call, but
//! shares the next read with all callers that arrive meanwhile. So a hundred builds that start at
//! the same time and list the images cause two requests, and none gets outdated results.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::Error;

/// How long a contended read waits for more callers that share it.
const COALESCE_WINDOW: Duration = Duration::from_millis(500);

type Outcome<T> = Result<Arc<T>, Error>;

/// The last read of one key: when it started, and its result.
type Slot<T> = Arc<tokio::sync::Mutex<Option<(Instant, Outcome<T>)>>>;

/// The results of reads by key.
#[derive(Debug)]
pub(crate) struct CachedList<K, T> {
    slots: Mutex<BTreeMap<K, Slot<T>>>,
    coalesce_window: Duration,
}

impl<K, T> CachedList<K, T>
where
    K: Ord + Clone + Debug,
    T: Debug + Send + Sync + 'static,
{
    pub(super) fn new(timing: super::timing::Timing) -> Self {
        Self { slots: Mutex::default(), coalesce_window: timing.scaled(COALESCE_WINDOW) }
    }

    /// The result of a read that started at most `max_age` before this call.
    ///
    /// # Errors
    /// Those of `fetch`. Only callers that waited for the failed read get its error.
    pub(crate) async fn read<F>(
        &self,
        key: &K,
        max_age: Duration,
        fetch: impl Fn() -> F,
    ) -> Outcome<T>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let called = Instant::now();
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(slots.entry(key.clone()).or_default())
        };
        loop {
            let (slot, fetch, window) = (Arc::clone(&slot), fetch(), self.coalesce_window);
            // In a task of its own: a caller that is cancelled or not polled does not stop the
            // others.
            let read = tokio::spawn(read_slot(slot, called, max_age, window, fetch));
            match read.await {
                Ok(outcome) => return outcome,
                Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                // The runtime of the task has ended.
                Err(_) => {}
            }
        }
    }
}

async fn read_slot<T>(
    slot: Slot<T>,
    called: Instant,
    max_age: Duration,
    coalesce_window: Duration,
    fetch: impl Future<Output = Result<T, Error>>,
) -> Outcome<T> {
    let is_contended = slot.try_lock().is_err();
    let mut last = slot.lock().await;
    match &*last {
        Some((started, Ok(result))) if *started + max_age >= called => {
            return Ok(Arc::clone(result));
        }
        Some((started, Err(error))) if *started >= called => return Err(error.clone()),
        _ => {}
    }
    if is_contended {
        sleep(coalesce_window).await;
    }
    let started = Instant::now();
    let outcome = fetch.await.map(Arc::new);
    *last = Some((started, outcome.clone()));
    outcome
}
