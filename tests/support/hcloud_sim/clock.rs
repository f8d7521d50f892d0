//! The simulator's time: real, faster, or moved by hand.

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A point of simulated time, since the UNIX epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(Duration);

impl Time {
    /// The machine's own time.
    #[must_use]
    pub fn from_system() -> Self {
        Self(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    /// `seconds` after the UNIX epoch.
    #[must_use]
    pub fn from_unix(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Whole seconds since the UNIX epoch.
    #[must_use]
    pub fn unix(self) -> u64 {
        self.0.as_secs()
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }

    /// This much later.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0 + span)
    }

    /// This much earlier.
    #[must_use]
    pub fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(span))
    }

    /// RFC 3339 in UTC, whole seconds, as the API writes it.
    #[must_use]
    pub fn rfc3339(self) -> String {
        let (days, seconds) = (self.unix() / 86_400, self.unix() % 86_400);
        let (year, month, day) = civil(days);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{:03}ms", self.rfc3339(), self.0.subsec_millis())
    }
}

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day is the last of its year.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468; // days from 0000-03-01 to 1970-01-01
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

/// Where the simulator takes its time from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Now. Never earlier than an answer given before.
    fn now(&self) -> Time;
}

/// Real time, multiplied: at speed 100 an action of 75 s takes 0.75 s.
#[derive(Debug)]
pub struct ScaledClock {
    epoch: Time,
    started: Instant,
    speed: f64,
}

impl ScaledClock {
    /// Starts at the machine's time. `speed` 1 is real time.
    #[must_use]
    pub fn new(speed: f64) -> Self {
        Self { epoch: Time::from_system(), started: Instant::now(), speed }
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Time {
        self.epoch.after(self.started.elapsed().mul_f64(self.speed))
    }
}

/// Time that stands still until a test moves it.
#[derive(Debug)]
pub struct ManualClock(Mutex<Time>);

impl ManualClock {
    /// Starts at `start`.
    #[must_use]
    pub fn new(start: Time) -> Self {
        Self(Mutex::new(start))
    }

    /// Moves time on.
    pub fn advance(&self, span: Duration) {
        let mut now = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.after(span);
    }
}

impl Default for ManualClock {
    /// Starts at 2026-11-20T09:00:00Z, a time after every change the API reference lists.
    fn default() -> Self {
        Self::new(Time::from_unix(1_795_165_200))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_rfc3339() {
        for (unix, written) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (1_795_165_200, "2026-11-20T09:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Time::from_unix(unix).rfc3339(), written);
        }
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = ManualClock::default();
        let start = clock.now();
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.now().since(start), Duration::from_millis(1500));
    }
}
