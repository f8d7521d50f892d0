//! The rate limit of the project, and how the client keeps below it.
//!
//! The API grants a number of requests per hour from a bucket that refills continuously, and
//! reports what is left in the headers of each response. The limiter counts its own requests
//! between the responses, and delays requests when little is left.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::timing::Timing;

/// The maximum number of requests that run at the same time.
const MAX_IN_FLIGHT: usize = 32;

/// The time in which an empty bucket refills.
const WINDOW: Duration = Duration::from_secs(3600);

/// Below this part of the limit, requests keep a minimum distance.
const SLOW_BELOW: f64 = 0.2;

/// The distance at an empty bucket, in times that one request takes to refill. It is more than 1 so
/// that a few percent of the limit are left for other users of the project.
const MAX_DISTANCE: f64 = 1.25;

/// The API's default limit, assumed when it rejects a request without naming its limit.
const DEFAULT_LIMIT: u32 = 3600;

/// The rate limit of a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// The number of requests per hour.
    pub limit: u32,
    /// The number of requests that can be sent now.
    pub remaining: u32,
}

impl RateLimit {
    /// Reads `RateLimit-Limit` and `RateLimit-Remaining`. `None` unless both headers are numbers.
    ///
    /// `RateLimit-Reset` is not used: it is the time at which the bucket will be full.
    pub(super) fn from_headers<'a>(
        header: impl Fn(&'static str) -> Option<&'a str>,
    ) -> Option<Self> {
        let number = |name| header(name)?.trim().parse().ok();
        let (limit, remaining) = (number("ratelimit-limit")?, number("ratelimit-remaining")?);
        (limit > 0).then_some(Self { limit, remaining })
    }
}

/// Delays requests so that the rate limit is not exceeded. Requests proceed in the order of their
/// arrival.
#[derive(Debug)]
pub(super) struct RateLimiter {
    in_flight: Semaphore,
    /// Held by the first waiting request; the others wait for the lock.
    turn: tokio::sync::Mutex<()>,
    bucket: Mutex<Bucket>,
}

/// The permission to send one request.
#[derive(Debug)]
pub(super) struct Permit<'a> {
    limiter: &'a RateLimiter,
    number: u64,
    _in_flight: Option<SemaphorePermit<'a>>,
}

impl RateLimiter {
    pub(super) fn new(timing: Timing) -> Self {
        Self {
            in_flight: Semaphore::new(MAX_IN_FLIGHT),
            turn: tokio::sync::Mutex::new(()),
            bucket: Mutex::new(Bucket::new(timing.scaled(WINDOW))),
        }
    }

    /// Waits until a request may be sent.
    pub(super) async fn acquire(&self) -> Permit<'_> {
        // The semaphore is never closed.
        let in_flight = self.in_flight.acquire().await.ok();
        let _turn = self.turn.lock().await;
        loop {
            let attempt = self.bucket().take(Instant::now());
            match attempt {
                Ok(number) => return Permit { limiter: self, number, _in_flight: in_flight },
                Err(not_before) => tokio::time::sleep_until(not_before).await,
            }
        }
    }

    /// The factor by which polls are slowed down: from 1 with enough requests left to 5 with none.
    pub(super) fn slowdown_factor(&self) -> f64 {
        let bucket = self.bucket();
        bucket.fullness(Instant::now()).map_or(1.0, |fullness| 5.0 - 4.0 * fullness)
    }

    /// The current limit; `None` before the first response, or if the API reports none.
    pub(super) fn rate_limit(&self) -> Option<RateLimit> {
        let bucket = self.bucket();
        let remaining = bucket.remaining(Instant::now())?.max(0.0) as u32;
        Some(RateLimit { limit: bucket.limit, remaining })
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// Records what a response reported.
    pub(super) fn record(&self, status: u16, reported: Option<RateLimit>) {
        let mut bucket = self.limiter.bucket();
        if let Some(reported) = reported {
            bucket.record(self.number, reported, Instant::now());
        }
        if status == 429 {
            bucket.set(0.0, Instant::now());
        }
    }
}

/// The client's copy of the API's token bucket.
#[derive(Debug)]
struct Bucket {
    window: Duration,
    limit: u32,
    /// The requests that were left at that time; `None` before the API has reported a limit.
    remaining: Option<(f64, Instant)>,
    /// The number of requests sent so far.
    sent: u64,
    last_sent: Option<Instant>,
}

/// A point in time; the given one if the later one cannot be represented.
fn after(time: Instant, pause: Duration) -> Instant {
    time.checked_add(pause).unwrap_or(time)
}

impl Bucket {
    fn new(window: Duration) -> Self {
        Self { window, limit: DEFAULT_LIMIT, remaining: None, sent: 0, last_sent: None }
    }

    /// Takes a request from the bucket and returns its number, or the time before which none may be
    /// sent.
    fn take(&mut self, now: Instant) -> Result<u64, Instant> {
        if let (Some(remaining), Some(fullness)) = (self.remaining(now), self.fullness(now)) {
            let refill_one = self.window.checked_div(self.limit).unwrap_or(self.window);
            if remaining < 1.0 {
                return Err(after(now, refill_one.mul_f64(1.0 - remaining)));
            }
            let distance = refill_one.mul_f64(MAX_DISTANCE * (1.0 - fullness));
            let next = self.last_sent.map(|last| after(last, distance));
            if let Some(next) = next.filter(|next| *next > now) {
                return Err(next);
            }
            self.set(remaining - 1.0, now);
        }
        self.last_sent = Some(now);
        let number = self.sent;
        self.sent = self.sent.saturating_add(1);
        Ok(number)
    }

    /// Records the report in the response to request `number`. Requests sent after it may not be
    /// counted in the report, and are subtracted.
    fn record(&mut self, number: u64, reported: RateLimit, now: Instant) {
        self.limit = reported.limit;
        let sent_after = self.sent.saturating_sub(number).saturating_sub(1);
        self.set(f64::from(reported.remaining) - sent_after as f64, now);
    }

    fn set(&mut self, remaining: f64, now: Instant) {
        self.remaining = Some((remaining, now));
    }

    fn remaining(&self, now: Instant) -> Option<f64> {
        let (remaining, at) = self.remaining?;
        let refilled = now.saturating_duration_since(at).div_duration_f64(self.window);
        Some((remaining + refilled * f64::from(self.limit)).min(f64::from(self.limit)))
    }

    /// 1 while more than [`SLOW_BELOW`] of the limit is left, then proportional to what is left.
    fn fullness(&self, now: Instant) -> Option<f64> {
        Some((self.remaining(now)? / f64::from(self.limit) / SLOW_BELOW).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(remaining: u32, now: Instant) -> Bucket {
        let mut bucket = Bucket::new(WINDOW);
        let number = bucket.take(now).unwrap();
        bucket.record(number, RateLimit { limit: 3600, remaining }, now);
        bucket
    }

    #[test]
    fn both_headers_make_a_rate_limit() {
        let read = |limit, remaining| {
            RateLimit::from_headers(|name| match name {
                "ratelimit-limit" => limit,
                "ratelimit-remaining" => remaining,
                _ => None,
            })
        };
        let expected = RateLimit { limit: 3600, remaining: 3456 };
        assert_eq!(read(Some("3600"), Some(" 3456")), Some(expected));
        for (limit, remaining) in [
            (None, None),
            (Some("3600"), None),
            (None, Some("1")),
            (Some("many"), Some("1")),
            (Some("0"), Some("0")),
        ] {
            assert_eq!(read(limit, remaining), None);
        }
    }

    #[test]
    fn without_headers_there_is_no_limit() {
        let (now, mut bucket) = (Instant::now(), Bucket::new(WINDOW));
        assert!((0..5000).all(|_| bucket.take(now).is_ok()));
    }

    #[test]
    fn a_burst_is_sent_at_once_while_enough_is_left() {
        let now = Instant::now();
        let mut bucket = bucket(3599, now);
        assert_eq!((0..3000).take_while(|_| bucket.take(now).is_ok()).count(), 2880);
    }

    #[test]
    fn requests_slow_down_before_the_limit_is_reached() {
        let start = Instant::now();
        let mut bucket = bucket(720, start);
        let (mut now, mut sent) = (start, 0);
        while now < start + WINDOW {
            match bucket.take(now) {
                Ok(_) => sent += 1,
                Err(not_before) => now = not_before,
            }
        }
        let left = bucket.remaining(now).unwrap();
        assert!((100.0..200.0).contains(&left), "{left} left for others");
        assert!((4000..4300).contains(&sent), "{sent} sent: those left and those refilled");
    }

    #[test]
    fn a_response_that_arrives_late_counts_the_requests_sent_after_it() {
        let now = Instant::now();
        let mut bucket = bucket(3000, now);
        let slow = bucket.take(now).unwrap();
        for _ in 0..10 {
            bucket.take(now).unwrap();
        }
        bucket.record(slow, RateLimit { limit: 3600, remaining: 2999 }, now);
        assert_eq!(bucket.remaining(now), Some(2989.0));
    }

    #[test]
    fn the_bucket_refills_up_to_its_limit() {
        let now = Instant::now();
        let bucket = bucket(0, now);
        assert_eq!(bucket.remaining(now + WINDOW / 60), Some(60.0));
        assert_eq!(bucket.remaining(now + 3 * WINDOW), Some(3600.0));
    }

    #[tokio::test(start_paused = true)]
    async fn polls_slow_down_as_the_limit_is_approached() {
        for (remaining, factor) in [(3600, 1.0), (720, 1.0), (360, 3.0), (0, 5.0)] {
            let limiter = RateLimiter::new(Timing::default());
            limiter.acquire().await.record(200, Some(RateLimit { limit: 3600, remaining }));
            assert!((limiter.slowdown_factor() - factor).abs() < 0.01, "{remaining}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_requests_run_at_once_than_allowed() {
        let limiter = RateLimiter::new(Timing::default());
        let mut permits = Vec::new();
        for _ in 0..MAX_IN_FLIGHT {
            permits.push(limiter.acquire().await);
        }
        assert!(tokio::time::timeout(Duration::from_secs(5), limiter.acquire()).await.is_err());
        permits.pop();
        limiter.acquire().await;
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_rejection_the_next_request_is_sent_within_seconds() {
        let limiter = RateLimiter::new(Timing::default());
        limiter.acquire().await.record(429, None);
        let start = Instant::now();
        limiter.acquire().await;
        assert_eq!(start.elapsed().as_secs(), 1);
    }
}
