//! The project's quota of requests, and how the client stays within it.
//!
//! The API grants a number of requests an hour from a bucket that refills all the time, and says on
//! every answer what is left. [`Report`] reads that, [`Model`] keeps count between the answers,
//! [`Gate`] makes requests wait.

mod gate;
mod model;
mod report;

pub(super) use self::gate::Gate;
pub(super) use self::report::Report;

/// What is left of the project's quota, as far as the client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quota {
    /// Requests an hour.
    pub limit: u32,
    /// Requests that can be sent at once, now: what the last answer said, less what was sent and
    /// plus what was refilled since.
    pub remaining: u32,
}
