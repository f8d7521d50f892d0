use std::fmt;

/// The sum that a download must have.
///
/// Making one cannot fail; that it has the right length is checked with the container's other
/// parameters, by [`InstallContainer::load`](crate::install::InstallContainer::load).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checksum(String);

impl Checksum {
    /// A SHA-256 sum: 64 hexadecimal digits, as `sha256sum` prints them.
    #[must_use]
    pub fn sha256(digits: impl AsRef<str>) -> Self {
        Self(format!("sha256:{}", digits.as_ref()))
    }

    /// A SHA-512 sum: 128 hexadecimal digits, as `sha512sum` prints them.
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
