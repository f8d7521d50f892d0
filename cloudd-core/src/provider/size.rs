use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::InvalidName;

/// A number of bytes.
///
/// Displayed in binary units, followed by the exact number of bytes if it is not a whole number of
/// them: `10 GiB`, `1.50 GiB (1610612737 bytes)`. Parsed from that form, with or without the blank, and
/// with the short units `T`, `G`, `M` and `K`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct Size(u64);

impl Size {
    /// `n` bytes.
    #[must_use]
    pub const fn bytes(n: u64) -> Self {
        Self(n)
    }

    /// `n` × 2²⁰ bytes, saturating.
    #[must_use]
    pub const fn mib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 20))
    }

    /// `n` × 2³⁰ bytes, saturating.
    #[must_use]
    pub const fn gib(n: u64) -> Self {
        Self(n.saturating_mul(1 << 30))
    }

    /// The number of bytes.
    #[must_use]
    pub const fn as_bytes(self) -> u64 {
        self.0
    }

    /// This size in whole `unit`s, rounded up; for clouds whose sizes are whole gigabytes.
    #[must_use]
    pub const fn in_units_of(self, unit: Self) -> u64 {
        self.0.div_ceil(unit.0)
    }
}

const UNITS: [(u64, &str); 4] =
    [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((unit, name)) = UNITS.into_iter().find(|(unit, _)| self.0 >= *unit) else {
            return write!(f, "{} bytes", self.0);
        };
        if self.0.is_multiple_of(unit) {
            return write!(f, "{} {name}", self.0 / unit);
        }
        #[expect(clippy::cast_precision_loss, reason = "two digits are shown, bytes follow")]
        let rounded = self.0 as f64 / unit as f64;
        write!(f, "{rounded:.2} {name} ({} bytes)", self.0)
    }
}

impl FromStr for Size {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let invalid =
            || InvalidName::new("size", text, "a whole number and a unit, such as 10GiB or 512MiB");
        // The exact number of bytes follows a rounded number of units.
        let text = text.split_once(" (").map_or(text, |(_, exact)| exact.trim_end_matches(')'));
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let count: u64 = text[..digits].parse().map_err(|_| invalid())?;
        let unit = match text[digits..].trim_start() {
            "bytes" => 1,
            name => {
                UNITS
                    .into_iter()
                    .find(|(_, unit)| *unit == name || (name.len() == 1 && unit.starts_with(name)))
                    .ok_or_else(invalid)?
                    .0
            }
        };
        count.checked_mul(unit).map(Self).ok_or_else(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(Size::gib(10).to_string(), "10 GiB");
        assert_eq!(Size::mib(512).to_string(), "512 MiB");
        assert_eq!(Size::bytes(7).to_string(), "7 bytes");
        assert_eq!(Size::bytes((3 << 29) + 1).to_string(), "1.50 GiB (1610612737 bytes)");
    }

    #[test]
    fn sizes_are_parsed_as_they_are_displayed() {
        for size in [Size::gib(10), Size::mib(1536), Size::bytes(7), Size::bytes(1_610_612_737)] {
            assert_eq!(size.to_string().parse(), Ok(size));
        }
        assert_eq!("10GiB".parse(), Ok(Size::gib(10)));
        assert_eq!("512M".parse(), Ok(Size::mib(512)));
        for bad in ["", "10", "GiB", "10GB", "-1GiB", "1.5GiB", "99999999999TiB"] {
            assert!(bad.parse::<Size>().is_err(), "{bad}");
        }
    }

    #[test]
    fn whole_gigabytes_are_rounded_up() {
        assert_eq!(Size::gib(10).in_units_of(Size::gib(1)), 10);
        assert_eq!(Size::bytes(Size::gib(10).as_bytes() + 1).in_units_of(Size::gib(1)), 11);
    }
}
