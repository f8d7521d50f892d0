//! The expiry label: the time after which a sweep may delete what a build has left.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::provider::{Labels, keys};

/// The label is written by the clock of one machine and read by that of another. Where the
/// difference matters, an expiry counts only when it has passed by this much.
pub(crate) const CLOCK_SKEW: Duration = Duration::from_secs(2 * 3600);

/// The label value of a time `after` from now: UNIX time in seconds.
pub(crate) fn expires_in(after: Duration) -> String {
    now().saturating_add(after).as_secs().to_string()
}

/// Whether the expiry has passed by at least `margin` according to the clock of this machine.
/// Labels without a readable expiry never expire.
pub(crate) fn is_expired(labels: &Labels, margin: Duration) -> bool {
    let expires = labels.get(keys::EXPIRES).and_then(|text| text.parse().ok());
    expires.is_some_and(|expires| now() > Duration::from_secs(expires).saturating_add(margin))
}

/// The UNIX time by the clock of this machine.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_readable_time_in_the_past_has_expired() {
        for (expires, expired) in [
            ("0", true),
            ("1", true),
            ("18446744073709551615", false),
            ("99999999999999999999", false),
            ("soon", false),
        ] {
            let labels = Labels::from_iter([(keys::EXPIRES, expires)]);
            assert_eq!(is_expired(&labels, CLOCK_SKEW), expired, "{expires}");
        }
        assert!(!is_expired(&Labels::new(), Duration::ZERO));
        let labels = Labels::from_iter([(keys::EXPIRES, expires_in(Duration::MAX))]);
        assert!(!is_expired(&labels, Duration::MAX));
    }
}
