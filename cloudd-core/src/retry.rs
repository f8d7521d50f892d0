//! Retry and polling: exponential backoff, and deadlines that name what was waited for.
//!
//! The only module that uses the crate `backoff`, so that replacing it changes one file.

use std::fmt::Display;
use std::future::Future;
use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff as _;
use tokio::time;

use crate::provider::{Error, ErrorKind, Result};
use crate::text::human_duration;

/// Exponential backoff between attempts.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The first pause.
    pub first: Duration,
    /// The longest pause.
    pub longest: Duration,
    /// The factor by which each pause is longer than the one before.
    pub growth: f64,
    /// The random part of a pause, 0 to 1, so that many builds do not poll in step.
    pub jitter: f64,
}

impl Backoff {
    /// For cheap polls of operations that end soon: 200 ms growing to 1 s.
    pub const QUICK: Self = Self {
        first: Duration::from_millis(200),
        longest: Duration::from_secs(1),
        growth: 1.5,
        jitter: 0.1,
    };

    /// For operations that take seconds to minutes: 1 s growing to 5 s.
    pub const STEADY: Self = Self {
        first: Duration::from_secs(1),
        longest: Duration::from_secs(5),
        growth: 1.3,
        jitter: 0.1,
    };

    /// A backoff.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration, growth: f64, jitter: f64) -> Self {
        Self { first, longest, growth, jitter }
    }

    /// The pauses, an endless sequence.
    pub fn pauses(self) -> impl Iterator<Item = Duration> + Send {
        let mut backoff = ExponentialBackoff {
            current_interval: self.first,
            initial_interval: self.first,
            randomization_factor: self.jitter,
            multiplier: self.growth,
            max_interval: self.longest,
            // Deadlines are applied by `with_timeout`.
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        };
        std::iter::repeat_with(move || backoff.next_backoff().unwrap_or(self.longest))
    }
}

/// Polls until there is an answer. Up to nine consecutive transient errors
/// ([`ErrorKind::is_transient`]) are ignored; any other error ends the polling at once.
///
/// # Errors
/// The first error that is not transient, or the tenth consecutive transient one, with the number of
/// attempts.
pub async fn poll_until<T, F, Fut>(
    operation: &str,
    resource: impl Display,
    pace: Backoff,
    mut ask: F,
) -> Result<T>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>>>,
{
    const MAX_FAILURES: u32 = 10;
    let mut failures = 0;
    let mut pauses = pace.pauses();
    loop {
        match ask().await {
            Ok(Some(answer)) => return Ok(answer),
            Ok(None) => failures = 0,
            Err(error) if error.kind().is_transient() && failures + 1 < MAX_FAILURES => {
                failures += 1;
                tracing::debug!(%error, failures, operation, "polling again");
            }
            Err(error) if error.kind().is_transient() => {
                return Err(Error::new(error.kind(), operation)
                    .with_resource(resource)
                    .with_message("no usable answer")
                    .with_attempts(MAX_FAILURES)
                    .with_source(error));
            }
            Err(error) => return Err(error),
        }
        time::sleep(pauses.next().unwrap_or(pace.longest)).await;
    }
}

/// Limits the duration of a call.
///
/// # Errors
/// Those of the call; [`ErrorKind::Timeout`] with operation, resource and timeout.
pub async fn with_timeout<T>(
    operation: &str,
    resource: impl Display,
    timeout: Duration,
    call: impl Future<Output = Result<T>>,
) -> Result<T> {
    match time::timeout(timeout, call).await {
        Ok(result) => result,
        Err(_) => Err(Error::new(ErrorKind::Timeout, operation)
            .with_resource(resource)
            .with_message(format_args!("not done within {}", human_duration(timeout)))),
    }
}

/// Attempts at an operation that is repeated until it succeeds or a deadline has passed.
pub(crate) struct Attempts {
    timeout: Duration,
    deadline: time::Instant,
    backoff: Backoff,
    pauses: Box<dyn Iterator<Item = Duration> + Send>,
    /// The last error that is not the deadline's.
    last: Option<Error>,
}

impl Attempts {
    /// Attempts with [`Backoff::STEADY`] until `timeout` has passed.
    pub(crate) fn within(timeout: Duration) -> Self {
        let backoff = Backoff::STEADY;
        let deadline = time::Instant::now() + timeout;
        Self { timeout, deadline, backoff, pauses: Box::new(backoff.pauses()), last: None }
    }

    /// Makes one attempt, which is dropped at the deadline.
    pub(crate) async fn attempt<T>(
        &mut self,
        operation: &str,
        attempt: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match time::timeout_at(self.deadline, attempt).await {
            Ok(result) => result,
            Err(_) => Err(self.last.take().unwrap_or_else(|| {
                Error::new(ErrorKind::Timeout, operation)
                    .with_message(format_args!("not done within {}", human_duration(self.timeout)))
            })),
        }
    }

    /// Pauses before the next attempt. Gives the error back if there is none: the deadline would
    /// pass, or the credentials were revoked.
    pub(crate) async fn pause_after(&mut self, error: Error) -> Result<()> {
        let pause = self.pauses.next().unwrap_or(self.backoff.longest);
        if error.kind() == ErrorKind::Unauthorized || time::Instant::now() + pause >= self.deadline
        {
            return Err(error);
        }
        self.last = Some(error);
        time::sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn transient() -> Error {
        Error::new(ErrorKind::Connection, "ask")
    }

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let pace = Backoff::new(Duration::from_secs(1), Duration::from_secs(3), 2.0, 0.0);
        let pauses: Vec<_> = pace.pauses().take(4).map(|pause| pause.as_secs()).collect();
        assert_eq!(pauses, [1, 2, 3, 3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lost_connection_is_retried_and_a_lasting_error_is_not() {
        let asked = AtomicU32::new(0);
        let answer = poll_until("ask", "it", Backoff::QUICK, || async {
            match asked.fetch_add(1, Ordering::Relaxed) {
                0..=2 => Err(transient()),
                3 => Ok(None),
                _ => Ok(Some(7)),
            }
        });
        assert_eq!(answer.await.unwrap(), 7);

        let lasting = poll_until("ask", "it", Backoff::QUICK, || async {
            Err::<Option<()>, _>(Error::new(ErrorKind::Unauthorized, "ask"))
        });
        assert_eq!(lasting.await.unwrap_err().kind(), ErrorKind::Unauthorized);
    }

    #[tokio::test(start_paused = true)]
    async fn ten_lost_connections_in_a_row_end_the_polling() {
        let error =
            poll_until("ask", "it", Backoff::QUICK, || async { Err::<Option<()>, _>(transient()) })
                .await
                .unwrap_err();
        assert_eq!(error.to_string(), "ask it: no usable answer after 10 attempts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_names_what_was_waited_for() {
        let error = with_timeout(
            "start VM",
            "v1",
            Duration::from_secs(30),
            std::future::pending::<Result<()>>(),
        )
        .await
        .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        assert_eq!(error.to_string(), "start VM v1: not done within 30 s");
    }
}
