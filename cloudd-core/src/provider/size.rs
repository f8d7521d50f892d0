use std::fmt;

use serde::{Deserialize, Serialize};

/// A number of bytes.
///
/// Displayed in binary units, exactly when it is a whole number of them (`10 GiB`), and with the
/// bytes beside it when it is not (`1.5 GiB (1610612737 bytes)`).
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

    /// This size in whole `unit`s, rounded up: how clouds that sell whole gigabytes are asked.
    #[must_use]
    pub const fn in_units_of(self, unit: Self) -> u64 {
        self.0.div_ceil(unit.0)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(u64, &str); 4] =
            [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let Some((unit, suffix)) = UNITS.into_iter().find(|(unit, _)| self.0 >= *unit) else {
            return write!(f, "{} bytes", self.0);
        };
        if self.0.is_multiple_of(unit) {
            return write!(f, "{} {suffix}", self.0 / unit);
        }
        #[expect(clippy::cast_precision_loss, reason = "two digits are shown, bytes follow")]
        let rounded = self.0 as f64 / unit as f64;
        write!(f, "{rounded:.2} {suffix} ({} bytes)", self.0)
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
    fn whole_gigabytes_are_rounded_up() {
        assert_eq!(Size::gib(10).in_units_of(Size::gib(1)), 10);
        assert_eq!(Size::bytes(Size::gib(10).as_bytes() + 1).in_units_of(Size::gib(1)), 11);
    }
}
