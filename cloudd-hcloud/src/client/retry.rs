//! Which failed requests are sent again.
//!
//! | failure | idempotent request | other request |
//! |---|---|---|
//! | the API was not reached | retry with backoff | retry with backoff |
//! | no response, or an unreadable one | retry with backoff | outcome unknown |
//! | `server_error`, `bad_gateway`, `unavailable`, `timeout` (500, 502, 503, 504) | retry with backoff | outcome unknown |
//! | `conflict` (409) | retry with backoff | retry with backoff |
//! | `locked` (423) | retry every 2 s for 5 min | the same; outcome unknown for a reissued request |
//! | `rate_limit_exceeded` (429) | retry every 3 s for 5 min | retry every 3 s for 5 min |
//! | everything else | fail | fail |

use std::time::Duration;

use cloudd_core::retry::Backoff;

use super::request::Idempotency;
use super::response::Failure;
use super::timing::Timing;
use crate::schema::ApiCode;

/// The maximum number of attempts of the failures that are retried with backoff.
const MAX_ATTEMPTS: usize = 6;

const BACKOFF: Backoff =
    Backoff::new(Duration::from_millis(750), Duration::from_secs(30), 2.0, 1.0 / 3.0);

/// The pauses while the resource is locked by another action.
const LOCKED: Backoff = steady(Duration::from_secs(2));

/// The pauses while the rate limit is used up. Some seconds refill some requests.
const RATE_LIMITED: Backoff = steady(Duration::from_secs(3));

/// How long a locked resource or a used-up rate limit is waited for. A snapshot of a large disk
/// locks its server for minutes.
const WAIT_TIMEOUT: Duration = Duration::from_secs(300);

const fn steady(pause: Duration) -> Backoff {
    Backoff::new(pause, pause, 1.0, 0.5)
}

/// What to do after a failed attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RetryDecision {
    /// Send the request again after a pause.
    RetryAfter(Duration),
    /// The request may have taken effect and must not be sent again.
    OutcomeUnknown,
    /// The request failed.
    Fail,
}

/// What one request has used up of its retries.
#[derive(Debug, Default)]
pub(super) struct RetryBudget {
    failed_attempts: usize,
    waited_for_lock: Duration,
    waited_for_rate_limit: Duration,
}

impl RetryBudget {
    /// Decides about a failed attempt.
    pub(super) fn decide(
        &mut self,
        failure: &Failure,
        idempotency: Idempotency,
        timing: Timing,
    ) -> RetryDecision {
        let (backoff, waited) = match classify(failure, idempotency) {
            ErrorClass::Permanent => return RetryDecision::Fail,
            ErrorClass::OutcomeUnknown => return RetryDecision::OutcomeUnknown,
            ErrorClass::Transient => {
                self.failed_attempts += 1;
                if self.failed_attempts == MAX_ATTEMPTS {
                    return RetryDecision::Fail;
                }
                let pause = nth_pause(BACKOFF, self.failed_attempts - 1);
                return RetryDecision::RetryAfter(timing.scaled(pause));
            }
            ErrorClass::Locked => (LOCKED, &mut self.waited_for_lock),
            ErrorClass::RateLimited => (RATE_LIMITED, &mut self.waited_for_rate_limit),
        };
        let pause = nth_pause(backoff, 0);
        *waited += pause;
        if *waited > WAIT_TIMEOUT {
            return RetryDecision::Fail;
        }
        RetryDecision::RetryAfter(timing.scaled(pause))
    }
}

/// The pause after `failures` earlier ones, without iterating over a shared state.
pub(super) fn nth_pause(backoff: Backoff, failures: usize) -> Duration {
    backoff.pauses().nth(failures).unwrap_or(backoff.longest)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ErrorClass {
    Permanent,
    OutcomeUnknown,
    Transient,
    Locked,
    RateLimited,
}

/// The table of the module's documentation.
fn classify(failure: &Failure, idempotency: Idempotency) -> ErrorClass {
    let may_have_taken_effect = match idempotency {
        Idempotency::Idempotent => ErrorClass::Transient,
        Idempotency::VerifyFirst | Idempotency::Reissue => ErrorClass::OutcomeUnknown,
    };
    match failure {
        Failure::NotSent(_) => ErrorClass::Transient,
        Failure::NoResponse(_) | Failure::Unreadable { .. } => may_have_taken_effect,
        Failure::Rejected(rejection) => match rejection.code {
            ApiCode::ServerError
            | ApiCode::BadGateway
            | ApiCode::Unavailable
            | ApiCode::Timeout => may_have_taken_effect,
            ApiCode::Conflict => ErrorClass::Transient,
            ApiCode::Locked if idempotency == Idempotency::Reissue => ErrorClass::OutcomeUnknown,
            ApiCode::Locked => ErrorClass::Locked,
            ApiCode::RateLimitExceeded => ErrorClass::RateLimited,
            _ => ErrorClass::Permanent,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::http::{Response, SendError};
    use crate::client::response::interpret;

    /// A failure, made from a response as the client does it.
    fn failure(what: &str) -> Failure {
        let cause = || Box::new(std::io::Error::other("for the test"));
        let (status, body) = match what {
            "not sent" => return failed(Err(SendError::NotSent(cause()))),
            "no response" => return failed(Err(SendError::NoResponse(cause()))),
            "timed out" => return failed(Err(SendError::TimedOut(cause()))),
            "garbage" => ("201", "<html>".to_owned()),
            response => match response.split_once(' ') {
                None => (response, "<html>".to_owned()),
                Some((status, code)) => {
                    let error = format!(r#""code":"{code}","message":"m","details":null"#);
                    (status, format!(r#"{{"error":{{{error}}}}}"#))
                }
            },
        };
        let (status, body) = (status.parse().unwrap(), body.into_bytes());
        failed(Ok(Response { status, rate_limit: None, correlation_id: None, body }))
    }

    fn failed(result: Result<Response, SendError>) -> Failure {
        interpret(|body| Ok(serde_json::from_slice::<u8>(body)?), result).unwrap_err()
    }

    #[test]
    fn the_table_of_failures_holds() {
        use ErrorClass::{Locked, OutcomeUnknown, Permanent, RateLimited, Transient};
        // The failure, its class for an idempotent request, and its class for another one.
        let table = [
            ("not sent", Transient, Transient),
            ("no response", Transient, OutcomeUnknown),
            ("timed out", Transient, OutcomeUnknown),
            ("garbage", Transient, OutcomeUnknown),
            ("500 server_error", Transient, OutcomeUnknown),
            ("502 bad_gateway", Transient, OutcomeUnknown),
            ("503 unavailable", Transient, OutcomeUnknown),
            ("504 timeout", Transient, OutcomeUnknown),
            ("500", Transient, OutcomeUnknown),
            ("502", Transient, OutcomeUnknown),
            ("503", Transient, OutcomeUnknown),
            ("504", Transient, OutcomeUnknown),
            ("409 conflict", Transient, Transient),
            ("423 locked", Locked, Locked),
            ("423", Locked, Locked),
            ("429 rate_limit_exceeded", RateLimited, RateLimited),
            ("429", RateLimited, RateLimited),
        ];
        let permanent = [
            "302",
            "400 json_error",
            "401 unauthorized",
            "401 token_readonly",
            "401",
            "403 forbidden",
            "403 maintenance",
            "403 resource_limit_exceeded",
            "404 not_found",
            "404",
            "405 method_not_allowed",
            "409 uniqueness_error",
            "410 deprecated_api_endpoint",
            "412 resource_unavailable",
            "412 primary_ip_version_mismatch",
            "422 invalid_input",
            "422 service_error",
            "422 unsupported_error",
            "422 placement_error",
            "422 no_space_left_in_location",
            "422 invalid_server_type",
            "422 server_not_stopped",
            "422 volume_already_attached",
            "422 limit_exceeded_error",
            "422 a_code_of_next_year",
            "423 protected",
            "500 a_code_of_next_year",
        ];
        let permanent = permanent.map(|what| (what, Permanent, Permanent));
        for (what, idempotent, other) in table.into_iter().chain(permanent) {
            let failure = failure(what);
            assert_eq!(classify(&failure, Idempotency::Idempotent), idempotent, "{what}");
            assert_eq!(classify(&failure, Idempotency::VerifyFirst), other, "{what}");
            // The lock may belong to the request whose response was lost.
            let reissue = if other == Locked { OutcomeUnknown } else { other };
            assert_eq!(classify(&failure, Idempotency::Reissue), reissue, "{what}");
        }
    }

    /// The pauses in seconds until the request fails.
    fn pauses(what: &str) -> Vec<f64> {
        let mut budget = RetryBudget::default();
        let mut pauses = Vec::new();
        while let RetryDecision::RetryAfter(pause) =
            budget.decide(&failure(what), Idempotency::Idempotent, Timing::default())
        {
            pauses.push(pause.as_secs_f64());
        }
        pauses
    }

    #[test]
    fn transient_failures_are_tried_six_times_with_growing_pauses() {
        let pauses = pauses("502");
        assert_eq!(pauses.len(), 5);
        for (pause, longest) in pauses.iter().zip([1.0, 2.0, 4.0, 8.0, 16.0]) {
            assert!((0.49 * longest..=1.01 * longest).contains(pause), "{pauses:?}");
        }
    }

    #[test]
    fn a_lock_and_a_used_up_rate_limit_are_waited_for_five_minutes() {
        for (what, mean) in [("423 locked", 2.0), ("429", 3.0)] {
            let pauses = pauses(what);
            assert!(pauses.iter().all(|pause| (0.5 * mean..=1.5 * mean).contains(pause)));
            let sum: f64 = pauses.iter().sum();
            assert!((295.0..=300.0).contains(&sum), "{what}: {sum}");
        }
    }

    #[test]
    fn waiting_for_a_lock_uses_up_no_attempts() {
        let mut budget = RetryBudget::default();
        let mut decide =
            |what| budget.decide(&failure(what), Idempotency::Idempotent, Timing::default());
        for _ in 0..20 {
            assert!(matches!(decide("423 locked"), RetryDecision::RetryAfter(_)));
        }
        let RetryDecision::RetryAfter(pause) = decide("502") else { panic!() };
        assert!(pause <= Duration::from_millis(1010), "the first pause: {pause:?}");
    }
}
