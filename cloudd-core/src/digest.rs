//! SHA-256 digests, of bytes, of lists of fields, and of what is written through a writer.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest. Displayed and parsed as 64 hexadecimal digits, as printed by `sha256sum`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// Computes the digest of `bytes`.
    #[must_use]
    pub fn digest(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<Sha256> for Sha256Digest {
    fn from(hasher: Sha256) -> Self {
        Self(hasher.finalize().into())
    }
}

impl fmt::Display for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({self})")
    }
}

impl FromStr for Sha256Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let invalid = || InvalidDigest::new(text, "64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(invalid());
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| invalid())?;
        }
        Ok(Self(digest))
    }
}

/// A text is not a digest of the expected form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a digest, expected {expected}")]
#[non_exhaustive]
pub struct InvalidDigest {
    /// The text.
    pub text: String,
    /// The expected form.
    pub expected: &'static str,
}

impl InvalidDigest {
    pub(crate) fn new(text: &str, expected: &'static str) -> Self {
        Self { text: text.to_owned(), expected }
    }
}

/// Prints bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Computes the digest of a list of fields. Each field is preceded by its length, so different lists
/// never have the same bytes.
pub(crate) struct FieldHasher(Sha256);

impl FieldHasher {
    pub(crate) fn new() -> Self {
        Self(Sha256::new())
    }

    /// Adds a field: its length as 8 bytes in big-endian order, then its bytes.
    #[must_use]
    pub(crate) fn field(mut self, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        self.0.update((value.len() as u64).to_be_bytes());
        self.0.update(value);
        self
    }

    /// Adds two fields: a name and its value.
    #[must_use]
    pub(crate) fn named(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.field(name).field(value)
    }

    pub(crate) fn finish(self) -> Sha256Digest {
        self.0.into()
    }
}

/// Counts and hashes the bytes written to `inner`.
pub(crate) struct HashingWriter<W> {
    inner: W,
    hasher: Sha256,
    len: u64,
}

impl<W> HashingWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), len: 0 }
    }

    /// Returns the inner writer, and the number and the digest of the bytes written to it.
    pub(crate) fn finish(self) -> (W, u64, Sha256Digest) {
        (self.inner, self.len, self.hasher.into())
    }
}

impl<W: Write> Write for HashingWriter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_and_parses_as_sha256sum_prints_it() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let digest = Sha256Digest::digest(b"abc");
        assert_eq!(digest.to_string(), known);
        assert_eq!(known.parse(), Ok(digest));
        assert_eq!(known.to_uppercase().parse(), Ok(digest));
        for text in ["", &known[1..], &format!("+{}", &known[1..]), &format!("é{}", &known[2..])] {
            assert!(text.parse::<Sha256Digest>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn moving_a_byte_from_one_field_to_the_next_changes_the_digest() {
        let digest = |a: &[u8], b: &[u8]| FieldHasher::new().named("a", a).named("b", b).finish();
        assert_ne!(digest(b"xy", b"z"), digest(b"x", b"yz"));
        assert_ne!(digest(b"", b"a"), digest(b"a", b""));
        assert_eq!(digest(b"xy", b"z"), digest(b"xy", b"z"));
    }
}
