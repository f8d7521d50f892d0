//! How long to pause.

use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::retry::Backoff;

/// The pause before attempt `attempt + 1`, before any jitter: twice as long each time, up to
/// `longest`.
pub(crate) fn growing(first: Duration, longest: Duration, attempt: u32) -> Duration {
    let pauses = Backoff::new(first, longest, 2.0, 0.0).pauses();
    let pause = pauses.take(attempt as usize).last();
    pause.unwrap_or(first).min(longest)
}

/// Between half and all of a pause: builds that failed together do not come back together.
pub(super) fn shortened(pause: Duration, jitter: f64) -> Duration {
    pause.mul_f64(0.5 + 0.5 * jitter)
}

/// Between half and one and a half of a pause.
pub(super) fn spread(pause: Duration, jitter: f64) -> Duration {
    pause.mul_f64(0.5 + jitter)
}

/// A source of numbers from 0 to 1.
#[derive(Clone)]
pub(crate) struct Jitter(Arc<dyn Fn() -> f64 + Send + Sync>);

impl Jitter {
    /// Always the same.
    #[cfg(test)]
    pub(crate) fn fixed(value: f64) -> Self {
        Self(Arc::new(move || value))
    }

    pub(crate) fn next(&self) -> f64 {
        (self.0)()
    }
}

impl Default for Jitter {
    /// The chance is that of the standard library's hash maps: a pause has to differ, not to be
    /// secret.
    fn default() -> Self {
        Self(Arc::new(|| RandomState::new().hash_one(()) as f64 / u64::MAX as f64))
    }
}

impl fmt::Debug for Jitter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Jitter")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let secs = Duration::from_secs;
        let pauses: Vec<_> = (1..=7).map(|attempt| growing(secs(1), secs(30), attempt)).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30].map(secs));
    }

    #[test]
    fn a_first_pause_beyond_the_longest_is_the_longest() {
        assert_eq!(
            growing(Duration::from_secs(9), Duration::from_secs(3), 1),
            Duration::from_secs(3)
        );
    }

    #[test]
    fn jitter_moves_a_pause_within_its_bounds() {
        let pause = Duration::from_secs(4);
        assert_eq!([0.0, 1.0].map(|jitter| shortened(pause, jitter).as_secs()), [2, 4]);
        assert_eq!([0.0, 1.0].map(|jitter| spread(pause, jitter).as_secs()), [2, 6]);
    }

    #[test]
    fn random_jitter_is_from_zero_to_one_and_differs() {
        let jitter = Jitter::default();
        let numbers: Vec<_> = (0..50).map(|_| jitter.next()).collect();
        assert!(numbers.iter().all(|number| (0.0..=1.0).contains(number)));
        assert!(numbers.iter().any(|number| *number != numbers[0]));
    }
}
