//! What to do when a request failed: one policy as data, one pure function.
//!
//! | failure | may be sent twice | may not |
//! |---|---|---|
//! | the API was not reached | again, growing pauses | again, growing pauses |
//! | no answer, or an answer that cannot be read | again, growing pauses | look first |
//! | `server_error`, `bad_gateway`, `unavailable`, `timeout` (500, 502, 503, 504) | again, growing pauses | look first |
//! | `conflict` (409) | again, growing pauses | again, growing pauses |
//! | `locked` (423) | again, at its own pace | again, at its own pace; after a loss look first |
//! | `rate_limit_exceeded` (429) | again, at its own pace | again, at its own pace |
//! | everything else | stop | stop |
//!
//! *Look first* ends in [`ErrorKind::AnswerLost`](crate::ErrorKind::AnswerLost): whoever asked looks up what happened before
//! asking again. What may not be sent twice is said by [`Repeat`].

mod pause;

use std::time::Duration;

pub(super) use self::pause::{Jitter, growing};
use super::failure::Failure;
use super::request::Repeat;
use crate::schema::ApiCode;

/// How often and how long a failed request is tried again.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct RetryPolicy {
    /// How often a request is sent at most, with growing pauses between.
    pub attempts: u32,
    /// The first pause; each further one is twice as long.
    pub first_pause: Duration,
    /// No pause is longer.
    pub longest_pause: Duration,
    /// Between two attempts on a locked resource.
    pub locked_pause: Duration,
    /// How long a resource may stay locked. Longer than a snapshot of a large disk takes.
    pub locked_patience: Duration,
    /// After a refusal because the quota is used up. A few seconds refill a few requests.
    pub quota_pause: Duration,
    /// How long the quota may stay used up.
    pub quota_patience: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            attempts: 6,
            first_pause: Duration::from_secs(1),
            longest_pause: Duration::from_secs(30),
            locked_pause: Duration::from_secs(2),
            locked_patience: Duration::from_secs(300),
            quota_pause: Duration::from_secs(3),
            quota_patience: Duration::from_secs(300),
        }
    }
}

/// What came of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Send it again after a pause.
    Again(Duration),
    /// It may have happened: do not send it again.
    Lost,
    /// It failed.
    Stop,
}

/// What a request has cost so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// Attempts that failed and were followed by a growing pause.
    attempts: u32,
    locked: Duration,
    quota: Duration,
}

impl RetryPolicy {
    /// Decides, and notes what the decision costs. `jitter` is from 0 to 1.
    pub(super) fn decide(
        &self,
        failure: &Failure,
        repeat: Repeat,
        spent: &mut Spent,
        jitter: f64,
    ) -> Verdict {
        match class(failure, repeat) {
            Class::Final => Verdict::Stop,
            Class::Unknown => Verdict::Lost,
            Class::Passing => {
                spent.attempts += 1;
                if spent.attempts >= self.attempts {
                    return Verdict::Stop;
                }
                let pause = growing(self.first_pause, self.longest_pause, spent.attempts);
                Verdict::Again(pause::shortened(pause, jitter))
            }
            Class::Locked => {
                patient(self.locked_pause, self.locked_patience, &mut spent.locked, jitter)
            }
            Class::Quota => {
                patient(self.quota_pause, self.quota_patience, &mut spent.quota, jitter)
            }
        }
    }
}

/// Waits again unless that would exceed the patience.
fn patient(pause: Duration, patience: Duration, waited: &mut Duration, jitter: f64) -> Verdict {
    let pause = pause::spread(pause, jitter);
    if *waited + pause > patience {
        return Verdict::Stop;
    }
    *waited += pause;
    Verdict::Again(pause)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Final,
    Unknown,
    Passing,
    Locked,
    Quota,
}

/// The table of the module's documentation.
fn class(failure: &Failure, repeat: Repeat) -> Class {
    let unless_it_happened = match repeat {
        Repeat::Freely => Class::Passing,
        Repeat::AfterLooking | Repeat::AfterLoss => Class::Unknown,
    };
    match failure {
        Failure::NotSent(_) => Class::Passing,
        Failure::NoAnswer(_) | Failure::Unreadable { .. } => unless_it_happened,
        Failure::Refused(refusal) => match refusal.code {
            ApiCode::ServerError
            | ApiCode::BadGateway
            | ApiCode::Unavailable
            | ApiCode::Timeout => unless_it_happened,
            ApiCode::Conflict => Class::Passing,
            ApiCode::Locked if repeat == Repeat::AfterLoss => Class::Unknown,
            ApiCode::Locked => Class::Locked,
            ApiCode::RateLimitExceeded => Class::Quota,
            _ => Class::Final,
        },
    }
}

#[cfg(test)]
mod tests;
