use std::fmt;

use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

/// A secret of one build. Every process with the provider's credentials derives the same secret; it
/// cannot be derived without them.
///
/// The SSH keys of a build are derived from it, so that a process that resumes a build can connect to
/// the guest. No key is stored outside the builder VM.
#[derive(Clone, PartialEq, Eq)]
pub struct BuildSecret(Zeroizing<[u8; 32]>);

impl BuildSecret {
    /// Creates a secret from the output of a keyed hash over the build id whose key is derived from
    /// the credentials, such as HMAC-SHA256 with the API token.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self(Zeroizing::new(secret))
    }

    /// Derives 32 bytes for one purpose. Neither the secret nor the bytes of another purpose can be
    /// computed from them.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> Zeroizing<[u8; 32]> {
        let mut hasher = Sha256::new();
        // The length separates the purpose from the secret. A length extension attack on SHA-256 needs
        // the hash of the input to be extended, and no hash of the secret alone is published.
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
