//! The checksum of a download.

use std::fmt;
use std::str::FromStr;

use super::rule;
use crate::digest::InvalidDigest;

/// The expected checksum of a download. Displayed and parsed as `sha256:DIGITS` or `sha512:DIGITS`.
///
/// The constructors do not validate the digits.
/// [`InstallContainer::load`](crate::install::InstallContainer::load) does, together with the other
/// parameters of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum(String);

impl Checksum {
    /// A SHA-256 checksum: 64 hexadecimal digits, as printed by `sha256sum`.
    #[must_use]
    pub fn sha256(digits: impl AsRef<str>) -> Self {
        Self(format!("sha256:{}", digits.as_ref()))
    }

    /// A SHA-512 checksum: 128 hexadecimal digits, as printed by `sha512sum`.
    #[must_use]
    pub fn sha512(digits: impl AsRef<str>) -> Self {
        Self(format!("sha512:{}", digits.as_ref()))
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Checksum {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        match (rule::CHECKSUM.is_valid)(text) {
            true => Ok(Self(text.to_owned())),
            false => Err(InvalidDigest::new(text, rule::CHECKSUM.expected)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_displayed_can_be_parsed() {
        for checksum in [Checksum::sha256("0a".repeat(32)), Checksum::sha512("0a".repeat(64))] {
            assert_eq!(checksum.to_string().parse(), Ok(checksum));
        }
        let error = "sha256:0a".parse::<Checksum>().unwrap_err().to_string();
        assert!(error.contains("sha256:0a") && error.contains("64 hexadecimal digits"), "{error}");
    }
}
