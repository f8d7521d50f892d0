//! When a running operation is polled.

use std::time::Duration;

use super::timing::Timing;
use crate::schema::Command;

/// While more than this is left of the expected time, the next poll comes after half of the rest,
/// so that an early end is noticed before the expected one.
const HALVING_THRESHOLD: Duration = Duration::from_secs(60);

/// The poll at the expected end comes this much later, plus 1 % of the expected time: most
/// operations end a little late, and this saves a second poll.
const OVERRUN_DELAY: Duration = Duration::from_millis(250);

/// The shortest interval between two polls after the expected end.
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// The longest one, until an operation runs for so long that a sixtieth of its age is longer.
const MAX_INTERVAL: Duration = Duration::from_secs(4);

/// Polls rarely before the expected end of an operation, and then at intervals that grow with its
/// age.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PollSchedule {
    timing: Timing,
}

impl PollSchedule {
    pub(super) fn new(timing: Timing) -> Self {
        Self { timing }
    }

    /// The typical duration of an action.
    pub(crate) fn typical_duration(self, command: &Command) -> Duration {
        self.timing.scaled(Duration::from_secs(match command {
            Command::CreateServer => 10,
            Command::CreateImage => 75,
            _ => 5,
        }))
    }

    /// The shortest interval between two polls of one operation.
    pub(super) fn min_interval(self) -> Duration {
        self.timing.scaled(MIN_INTERVAL)
    }

    /// The longest pause after polls that failed.
    pub(super) fn max_failure_pause(self) -> Duration {
        self.timing.scaled(4 * MAX_INTERVAL)
    }

    /// The expected duration of an operation, corrected by its progress. Progress below 20 % is
    /// ignored, and at most doubles the duration, since it may stand still or jump.
    pub(super) fn refined(self, expected: Duration, age: Duration, percent: u8) -> Duration {
        match percent {
            20..=99 => (age * 100 / u32::from(percent)).min(2 * expected.max(age)),
            _ => expected,
        }
    }

    /// The age at which an operation is polled next.
    pub(super) fn next(self, age: Duration, expected: Duration) -> Duration {
        let left = expected.saturating_sub(age);
        if left > self.timing.scaled(HALVING_THRESHOLD) {
            age + left / 2
        } else if !left.is_zero() {
            expected + self.timing.scaled(OVERRUN_DELAY) + expected / 100
        } else {
            let interval = (age / 10).clamp(self.min_interval(), self.timing.scaled(MAX_INTERVAL));
            age + interval.max(age / 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULE: PollSchedule = PollSchedule { timing: Timing::with_speed(1.0) };

    /// The ages in seconds at which an operation that never ends is polled.
    fn polls(expected: u64, until: u64) -> Vec<f64> {
        let expected = Duration::from_secs(expected);
        let mut ages = Vec::new();
        let mut age = SCHEDULE.next(Duration::ZERO, expected);
        while age < Duration::from_secs(until) {
            ages.push((age.as_secs_f64() * 10.0).round() / 10.0);
            age = SCHEDULE.next(age, expected);
        }
        ages
    }

    #[test]
    fn a_short_action_is_polled_when_it_should_have_ended() {
        assert_eq!(polls(5, 10), [5.3, 6.3, 7.3, 8.3, 9.3]);
        assert_eq!(polls(10, 14), [10.4, 11.4, 12.5, 13.8]);
    }

    #[test]
    fn a_snapshot_is_polled_twice_before_its_end_and_every_four_seconds_when_late() {
        assert_eq!(polls(75, 90), [37.5, 76.0, 80.0, 84.0, 88.0]);
        let hour = Duration::from_secs(3600);
        assert_eq!(SCHEDULE.next(hour, Duration::from_secs(75)) - hour, Duration::from_secs(60));
    }

    #[test]
    fn without_an_expectation_the_first_poll_comes_after_the_shortest_interval() {
        assert_eq!(SCHEDULE.next(Duration::ZERO, Duration::ZERO), MIN_INTERVAL);
    }

    #[test]
    fn progress_corrects_the_expected_duration() {
        let secs = Duration::from_secs;
        // Age, percent, corrected duration; 75 s are expected.
        for (age, percent, refined) in [
            (38, 50, 76),
            (38, 95, 40),
            (38, 20, 150),
            (38, 0, 75),
            (38, 5, 75),
            (38, 100, 75),
            (600, 50, 1200),
        ] {
            let corrected = SCHEDULE.refined(secs(75), secs(age), percent);
            assert_eq!(corrected, secs(refined), "{percent} % after {age} s");
        }
    }

    #[test]
    fn a_faster_clock_shortens_every_pause_by_the_same_factor() {
        let fast = PollSchedule { timing: Timing::with_speed(10.0) };
        let (age, expected) = (Duration::from_secs(40), Duration::from_secs(75));
        assert_eq!(fast.next(age / 10, expected / 10), SCHEDULE.next(age, expected) / 10);
        let typical = fast.typical_duration(&Command::CreateImage);
        assert_eq!(typical, Duration::from_millis(7500));
    }
}
