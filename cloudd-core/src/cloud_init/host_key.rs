//! `ssh_keys`: SSH host keys.

use serde::{Serialize, Serializer};

use super::error::{Error, Result};
use super::public_key::check_host_key;
use super::secret::Secret;

/// An algorithm of SSH host keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostKeyAlgorithm {
    /// Ed25519: short keys, generated quickly.
    Ed25519,
    /// ECDSA on a NIST curve.
    Ecdsa,
    /// RSA.
    Rsa,
}

impl HostKeyAlgorithm {
    /// The algorithm's name in cloud-init, and the prefix of its public key type.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Ed25519 => ("ed25519", "ssh-ed25519"),
            Self::Ecdsa => ("ecdsa", "ecdsa-sha2-nistp"),
            Self::Rsa => ("rsa", "ssh-rsa"),
        }
    }
}

/// A host key of one algorithm. `Debug` leaves out the private key.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct HostKey {
    algorithm: HostKeyAlgorithm,
    private: Secret,
    public: Option<String>,
}

impl HostKey {
    /// Takes a private key without a passphrase, as written by `ssh-keygen`. A missing final newline
    /// is added because sshd rejects the key without it.
    pub fn new(algorithm: HostKeyAlgorithm, private: impl Into<String>) -> Self {
        let mut private = private.into();
        if !private.ends_with('\n') {
            private.push('\n');
        }
        Self { algorithm, private: Secret::new(private), public: None }
    }

    /// Sets the public key, the line of the `.pub` file. cloud-init derives it if it is not given.
    pub fn public(mut self, line: impl Into<String>) -> Self {
        self.public = Some(line.into());
        self
    }

    pub(super) fn name(&self) -> &'static str {
        self.algorithm.names().0
    }

    pub(super) fn check(&self) -> Result<()> {
        let (algorithm, key_type) = self.algorithm.names();
        let pem = self.private.expose();
        let is_private_key =
            ["OPENSSH PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY"]
                .iter()
                .any(|kind| is_pem(pem, kind));
        if pem.contains(['\r', '\0']) {
            let reason = "contains carriage returns or NUL characters";
            return Err(Error::InvalidHostKey { algorithm, reason });
        }
        if !is_private_key {
            return Err(Error::InvalidHostKey { algorithm, reason: "is not a private key in PEM" });
        }
        let owner = format!("the {algorithm} host key");
        self.public.iter().try_for_each(|line| check_host_key(&owner, line, key_type))
    }
}

/// Whether the text is PEM, one or more blocks of the given kind.
fn is_pem(text: &str, kind: &str) -> bool {
    let text = text.trim();
    text.starts_with(&format!("-----BEGIN {kind}-----"))
        && text.ends_with(&format!("-----END {kind}-----"))
}

/// The mapping `ssh_keys`, in the order in which the keys were given.
pub(super) struct HostKeys<'a>(pub(super) &'a [HostKey]);

impl Serialize for HostKeys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().flat_map(|key| {
            let private = (format!("{}_private", key.name()), key.private.expose());
            let public = key.public.as_deref();
            [private].into_iter().chain(public.map(|line| (format!("{}_public", key.name()), line)))
        }))
    }
}
