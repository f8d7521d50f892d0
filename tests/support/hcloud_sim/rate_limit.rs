//! The request quota: a bucket that refills continuously.

use std::time::Duration;

use super::clock::Time;

/// Requests left to a project.
#[derive(Debug)]
pub(crate) struct Bucket {
    /// Requests an hour, and the bucket's size.
    limit: u32,
    level: f64,
    at: Time,
}

/// What the rate limit headers say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quota {
    pub limit: u32,
    pub remaining: u32,
    /// UNIX seconds at which the bucket is full again.
    pub reset: u64,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(limit: u32, now: Time) -> Self {
        Self { limit, level: f64::from(limit), at: now }
    }

    /// Takes one request out. `Err` when there is none left.
    pub(crate) fn take(&mut self, now: Time) -> Result<Quota, Quota> {
        let a_second = f64::from(self.limit) / 3600.0;
        let refilled = self.level + now.since(self.at).as_secs_f64() * a_second;
        self.level = refilled.min(f64::from(self.limit));
        self.at = now;
        let granted = self.level >= 1.0;
        if granted {
            self.level -= 1.0;
        }
        let missing = f64::from(self.limit) - self.level;
        // Between zero and the limit, so the cast keeps the whole part.
        let quota = Quota {
            limit: self.limit,
            remaining: self.level as u32,
            reset: now.after(Duration::from_secs_f64(missing / a_second)).unix(),
        };
        if granted { Ok(quota) } else { Err(quota) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_refills_one_by_one_and_not_at_the_reset() {
        let start = Time::from_unix(1_000_000);
        let mut bucket = Bucket::new(3600, start);
        for left in (0..3600).rev() {
            assert_eq!(bucket.take(start).map(|quota| quota.remaining), Ok(left));
        }
        let empty = bucket.take(start).unwrap_err();
        assert_eq!((empty.remaining, empty.reset), (0, start.unix() + 3600));

        let later = start.after(Duration::from_millis(2500));
        assert_eq!(bucket.take(later).map(|quota| quota.remaining), Ok(1));
        assert_eq!(bucket.take(later).map(|quota| quota.remaining), Ok(0));
        assert!(bucket.take(later).is_err());
    }

    #[test]
    fn a_bucket_never_holds_more_than_its_limit() {
        let start = Time::from_unix(0);
        let mut bucket = Bucket::new(60, start);
        let much_later = start.after(Duration::from_secs(86_400));
        assert_eq!(bucket.take(much_later).map(|quota| quota.remaining), Ok(59));
    }
}
