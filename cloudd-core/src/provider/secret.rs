use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A secret of one build, the same in every process that holds the provider's credentials and
/// unknown to everybody else.
///
/// The keys of a build are made from it, so that a process that goes on with the build of one that
/// died can speak with its guest: no key is ever stored outside the builder VM.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildSecret(Zeroizing<[u8; 32]>);

impl BuildSecret {
    /// The secret, 32 bytes that cannot be guessed: the output of a keyed hash whose key only holders
    /// of the credentials have, such as HMAC-SHA256 with the API token over the build id.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// 32 bytes for one purpose, from which neither the secret nor those of another purpose can be
    /// computed.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut hasher = Sha256::new();
        // The length keeps purposes apart from the secret. SHA-256 of a secret of full length, never
        // shown itself: nothing can be appended to what nobody sees.
        hasher.update((purpose.len() as u64).to_be_bytes());
        hasher.update(purpose);
        hasher.update(self.0.as_slice());
        Zeroizing::new(hasher.finalize().into())
    }
}

impl fmt::Debug for BuildSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BuildSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_bytes_of_its_own_and_none_is_shown() {
        let secret = BuildSecret::new([7; 32]);
        assert_eq!(secret.derive("a"), BuildSecret::new([7; 32]).derive("a"));
        assert_ne!(secret.derive("a"), secret.derive("b"));
        assert_ne!(secret.derive("a"), BuildSecret::new([8; 32]).derive("a"));
        assert_eq!(format!("{secret:?}"), "BuildSecret(…)");
    }
}
