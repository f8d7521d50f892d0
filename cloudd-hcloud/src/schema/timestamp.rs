//! Points in time.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};

/// A point in time, to the second: the API's RFC 3339 text, such as `2026-11-20T09:00:00Z` or
/// `…+00:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    unix: u64,
}

impl Timestamp {
    /// From seconds since the UNIX epoch.
    #[must_use]
    pub const fn from_unix(seconds: u64) -> Self {
        Self { unix: seconds }
    }

    /// Now, by this machine's clock.
    #[must_use]
    pub fn now() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix: since.as_secs() }
    }

    /// Reads RFC 3339. `None` if it is not, or before 1970. Fractions of a second are dropped.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (date, time) = text.split_once(['T', 't', ' '])?;
        let [year, month, day] = numbers(date, '-')?;
        let zone_at = time.find(['Z', 'z', '+', '-'])?;
        let (clock, zone) = time.split_at(zone_at);
        let [hour, minute, second] = numbers(clock.split('.').next()?, ':')?;
        let ranges = (1..=12).contains(&month)
            && (1..=31).contains(&day)
            && (0..24).contains(&hour)
            && (0..60).contains(&minute)
            && (0..=60).contains(&second);
        if !ranges {
            return None;
        }
        let unix = days_since_epoch(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
            - offset(zone)?;
        Some(Self { unix: u64::try_from(unix).ok()? })
    }

    /// Seconds since the UNIX epoch.
    #[must_use]
    pub const fn as_unix(self) -> u64 {
        self.unix
    }

    /// The time from `earlier` to this one; zero if this one is not later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.unix.saturating_sub(earlier.unix))
    }
}

impl From<Timestamp> for SystemTime {
    fn from(timestamp: Timestamp) -> Self {
        UNIX_EPOCH + Duration::from_secs(timestamp.unix)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(NotATime))
    }
}

struct NotATime;

impl fmt::Display for NotATime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not an RFC 3339 time")
    }
}

/// Three numbers with a separator between them; digits only, so that a sign is no number.
fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let mut parts = text.split(separator).map(|part| {
        let digits =
            !part.is_empty() && part.len() <= 4 && part.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| part.parse().ok()).flatten()
    });
    let three = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(three)
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two_digits =
        |text: &str| (text.len() == 2).then(|| text.parse::<u8>().ok()).flatten().map(i64::from);
    Some(sign * (two_digits(hours)? * 3600 + two_digits(minutes)? * 60))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Counts in years that begin in March,
/// so that the leap day is the last day of its year.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (cycle, year_of_cycle) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    cycle * 146_097 + year_of_cycle * 365 + year_of_cycle / 4 - year_of_cycle / 100 + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_3339_times_are_read() {
        // Expected values: `date -u -d TEXT +%s`.
        for (text, unix) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2024-12-31T12:00:00Z", 1_735_646_400),
            ("2026-11-20T09:00:00Z", 1_795_165_200),
            ("2026-11-20T09:00:00.123456Z", 1_795_165_200),
            ("2026-11-20T09:00:00+00:00", 1_795_165_200),
            ("2026-11-20T11:30:00+02:30", 1_795_165_200),
            ("2026-11-19T23:00:00-10:00", 1_795_165_200),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(Timestamp::parse(text).map(Timestamp::as_unix), Some(unix), "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "yesterday",
            "2026-11-20",
            "2026-11-20T09:00:00",
            "2026-13-01T00:00:00Z",
            "2026-11-20T25:00:00Z",
            "2026-11-20T09:00Z",
            "2026-11-20T09:00:00+1:00",
            "1969-12-31T23:59:59Z",
            "-026-11-20T09:00:00Z",
            "2026-11-20T09:00:00+é:00",
        ] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_time_between_two_never_is_negative() {
        let (early, late) = (Timestamp::from_unix(10), Timestamp::from_unix(25));
        assert_eq!(late.since(early), Duration::from_secs(15));
        assert_eq!(early.since(late), Duration::ZERO);
    }
}
