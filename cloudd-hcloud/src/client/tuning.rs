//! Every pause, limit and expectation of the client, as data.

use std::time::Duration;

use super::retry::RetryPolicy;
use crate::schema::Command;

/// How the client behaves in time. The defaults suit the public API.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Tuning {
    /// What is tried again, and for how long.
    pub retry: RetryPolicy,
    /// When to ask whether something has ended.
    pub pace: Pace,
    /// How long one attempt may take, from connecting to the last byte of the answer.
    pub request_timeout: Duration,
    /// The time in which an empty quota refills.
    pub quota_window: Duration,
    /// How many requests may be under way at once.
    pub lanes: usize,
    /// When to look whether a snapshot came of a request whose answer was lost, after the loss and
    /// after each other. Images have no unique name, so a request that is still on its way must be
    /// given time to arrive.
    pub image_looks: Vec<Duration>,
    /// How long a list that is read for many waits for more of them, when it was read just before.
    pub gather: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            pace: Pace::default(),
            request_timeout: Duration::from_secs(30),
            quota_window: Duration::from_secs(3600),
            lanes: 32,
            image_looks: [1, 2, 4, 8].map(Duration::from_secs).to_vec(),
            gather: Duration::from_millis(500),
        }
    }
}

impl Tuning {
    /// Everything but the request timeout `speed` times as fast: for a simulator whose clock runs
    /// that fast.
    #[must_use]
    pub fn faster(mut self, speed: f64) -> Self {
        let (retry, pace) = (&mut self.retry, &mut self.pace);
        let durations = [
            &mut retry.first_pause,
            &mut retry.longest_pause,
            &mut retry.locked_pause,
            &mut retry.locked_patience,
            &mut retry.quota_pause,
            &mut retry.quota_patience,
            &mut pace.shortest,
            &mut pace.longest,
            &mut pace.halve_above,
            &mut pace.slack,
            &mut pace.gap,
            &mut pace.crowded_gap,
            &mut pace.create_server,
            &mut pace.create_image,
            &mut pace.other,
            &mut self.quota_window,
            &mut self.gather,
        ];
        for duration in durations.into_iter().chain(&mut self.image_looks) {
            *duration = duration.div_f64(speed);
        }
        self
    }
}

/// When to ask whether something has ended.
///
/// Before its expected end something is asked about rarely; from then on at intervals that grow
/// with its age.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Pace {
    /// How long creating a server takes, typically.
    pub create_server: Duration,
    /// How long a snapshot takes, typically.
    pub create_image: Duration,
    /// How long any other action takes, typically: starting, stopping, volumes, deleting.
    pub other: Duration,
    /// While more than this is left of the expected time, the next question comes after half of
    /// what is left: so that an early end is not known only at the expected one.
    pub halve_above: Duration,
    /// The question after the expected end comes this much later, plus 1 % of the expected time: an
    /// end a little late is the usual one, and costs one question in place of two.
    pub slack: Duration,
    /// After the expected end, the shortest interval between two questions.
    pub shortest: Duration,
    /// And the longest, until something is so old that a sixtieth of its age is longer still.
    pub longest: Duration,
    /// Between two rounds of questions: what ends in between shares a request.
    pub gap: Duration,
    /// The same while more is watched than one request holds.
    pub crowded_gap: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            create_server: Duration::from_secs(10),
            create_image: Duration::from_secs(75),
            other: Duration::from_secs(5),
            halve_above: Duration::from_secs(60),
            slack: Duration::from_millis(250),
            shortest: Duration::from_secs(1),
            longest: Duration::from_secs(4),
            gap: Duration::from_secs(1),
            crowded_gap: Duration::from_secs(2),
        }
    }
}

impl Pace {
    /// How long an action takes, typically.
    pub(super) fn expected(&self, command: &Command) -> Duration {
        match command {
            Command::CreateServer => self.create_server,
            Command::CreateImage => self.create_image,
            _ => self.other,
        }
    }

    /// How long something will take that is so old and so far. Progress is trusted from a fifth on,
    /// and not to make something take more than twice as long as was expected: it may stand still,
    /// or jump.
    pub(super) fn refined(&self, expected: Duration, age: Duration, percent: u8) -> Duration {
        match percent {
            20..=99 => (age * 100 / u32::from(percent)).min(2 * expected.max(age)),
            _ => expected,
        }
    }

    /// How old something will be when it is asked about next.
    pub(super) fn next(&self, age: Duration, expected: Duration) -> Duration {
        let left = expected.saturating_sub(age);
        if left > self.halve_above {
            age + left / 2
        } else if !left.is_zero() {
            expected + self.slack + expected / 100
        } else {
            age + (age / 10).clamp(self.shortest, self.longest).max(age / 60)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ages at which something that never ends is asked about, in seconds.
    fn questions(expected: u64, until: u64) -> Vec<f64> {
        let (pace, expected) = (Pace::default(), Duration::from_secs(expected));
        let mut ages = Vec::new();
        let mut age = pace.next(Duration::ZERO, expected);
        while age < Duration::from_secs(until) {
            ages.push((age.as_secs_f64() * 10.0).round() / 10.0);
            age = pace.next(age, expected);
        }
        ages
    }

    #[test]
    fn a_short_action_is_asked_about_when_it_should_have_ended() {
        assert_eq!(questions(5, 10), [5.3, 6.3, 7.3, 8.3, 9.3]);
        assert_eq!(questions(10, 14), [10.4, 11.4, 12.5, 13.8]);
    }

    #[test]
    fn a_snapshot_is_asked_about_twice_and_not_a_hundred_and_fifty_times() {
        assert_eq!(questions(75, 77), [37.5, 76.0]);
    }

    #[test]
    fn what_is_late_is_asked_about_every_four_seconds() {
        assert_eq!(questions(75, 90), [37.5, 76.0, 80.0, 84.0, 88.0]);
    }

    #[test]
    fn what_is_very_late_is_asked_about_ever_less() {
        let pace = Pace::default();
        let (hour, expected) = (Duration::from_secs(3600), Duration::from_secs(75));
        assert_eq!(pace.next(hour, expected) - hour, Duration::from_secs(60));
    }

    #[test]
    fn nothing_expected_is_asked_about_after_the_shortest_interval() {
        assert_eq!(Pace::default().next(Duration::ZERO, Duration::ZERO), Duration::from_secs(1));
    }

    #[test]
    fn progress_says_more_than_what_is_typical() {
        let (pace, secs) = (Pace::default(), Duration::from_secs);
        for (age, percent, refined) in [
            (38, 50, 76),
            // A small image.
            (38, 95, 40),
            // A large one, but not believed without end.
            (38, 20, 150),
            // No progress is shown, or not yet.
            (38, 0, 75),
            (38, 5, 75),
            (38, 100, 75),
            (600, 50, 1200),
        ] {
            assert_eq!(
                pace.refined(secs(75), secs(age), percent),
                secs(refined),
                "{percent} % after {age} s"
            );
        }
    }

    #[test]
    fn a_faster_clock_shortens_every_pause_alike() {
        let fast = Tuning::default().faster(10.0);
        assert_eq!(fast.pace.create_image, Duration::from_millis(7500));
        assert_eq!(fast.retry.first_pause, Duration::from_millis(100));
        assert_eq!(fast.quota_window, Duration::from_secs(360));
        assert_eq!(fast.request_timeout, Tuning::default().request_timeout);
        let (slow, age) = (Tuning::default().pace, Duration::from_secs(40));
        let expected = Duration::from_secs(75);
        assert_eq!(fast.pace.next(age / 10, expected / 10), slow.next(age, expected) / 10);
    }
}
