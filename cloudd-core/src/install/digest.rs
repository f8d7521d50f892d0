use std::fmt;

use sha2::{Digest as _, Sha256};

/// A SHA-256 sum. Displays as 64 lower-case hexadecimal digits, as `sha256sum` prints it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256Digest([u8; 32]);

impl Sha256Digest {
    /// The sum of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The 32 bytes of the sum.
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
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Sha256Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sha256Digest({self})")
    }
}

/// A sum over fields: every field carries its name and its length, so that no two different lists
/// of fields have the same bytes.
pub(super) struct FieldHasher(Sha256);

impl FieldHasher {
    /// A hasher for one kind of thing; `domain` keeps different kinds apart.
    pub(super) fn new(domain: &str) -> Self {
        Self(Sha256::new()).field("domain", domain.as_bytes())
    }

    #[must_use]
    pub(super) fn field(mut self, name: &str, value: &[u8]) -> Self {
        for bytes in [name.as_bytes(), value] {
            self.0.update((bytes.len() as u64).to_be_bytes());
            self.0.update(bytes);
        }
        self
    }

    pub(super) fn finish(self) -> Sha256Digest {
        self.0.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn displays_as_sha256sum_prints_it() {
        let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Sha256Digest::of(b"abc").to_string(), known);
    }

    #[test]
    fn moving_a_byte_from_one_field_to_the_next_changes_the_sum() {
        let sum = |a: &[u8], b: &[u8]| FieldHasher::new("t").field("a", a).field("b", b).finish();
        assert_ne!(sum(b"xy", b"z"), sum(b"x", b"yz"));
        assert_ne!(sum(b"", b"a"), sum(b"a", b""));
        assert_eq!(sum(b"xy", b"z"), sum(b"xy", b"z"));
    }
}
