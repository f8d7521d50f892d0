use std::fmt;
use std::sync::Arc;

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{self, LineEnding};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::cloud_init::{HostKey, HostKeyAlgorithm};
use crate::provider::{BuildSecret, Error, ErrorKind, Result};

/// The two Ed25519 key pairs of one build: the client's, with which cloudd logs in, and the host's,
/// by which cloudd identifies the builder VM.
///
/// They are in memory and in the VM's user data only. `Debug` shows the public keys; the private keys
/// are zeroed in memory when the last clone is dropped.
#[derive(Clone)]
pub struct SshKeys(Arc<Inner>);

struct Inner {
    client: Arc<PrivateKey>,
    client_public: String,
    client_private: Zeroizing<String>,
    host: PublicKey,
    host_public: String,
    host_private: Zeroizing<String>,
}

impl SshKeys {
    /// Generates keys from the operating system's random numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when they cannot be encoded.
    pub fn generate() -> Result<Self> {
        let new = || PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519);
        Self::of(new().map_err(failed)?, new().map_err(failed)?)
    }

    /// Derives the keys of a build from its secret: the same in every process that has the secret.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when they cannot be encoded.
    pub fn of_build(secret: &BuildSecret) -> Result<Self> {
        let key = |purpose| {
            let pair = Ed25519Keypair::from_seed(&secret.derive(purpose));
            PrivateKey::new(KeypairData::Ed25519(pair), "").map_err(failed)
        };
        Self::of(key("ssh client key")?, key("ssh host key")?)
    }

    fn of(mut client: PrivateKey, mut host: PrivateKey) -> Result<Self> {
        for key in [&mut client, &mut host] {
            key.set_comment("cloudd");
        }
        Ok(Self(Arc::new(Inner {
            client_public: client.public_key().to_openssh().map_err(failed)?,
            client_private: client.to_openssh(LineEnding::LF).map_err(failed)?,
            client: Arc::new(client),
            host_public: host.public_key().to_openssh().map_err(failed)?,
            host_private: host.to_openssh(LineEnding::LF).map_err(failed)?,
            host: host.public_key().clone(),
        })))
    }

    /// Returns the client's public key as a line of `authorized_keys`, which clouds accept, too.
    #[must_use]
    pub fn client_public(&self) -> &str {
        &self.0.client_public
    }

    /// Returns the client's private key as OpenSSH PEM, to log in to a stuck builder manually.
    #[must_use]
    pub fn expose_client_private(&self) -> &str {
        &self.0.client_private
    }

    /// Returns the host's public key as the line of a `.pub` file.
    #[must_use]
    pub fn host_public(&self) -> &str {
        &self.0.host_public
    }

    /// Returns the fingerprint of the host's key as `ssh-keygen -l` prints it: `SHA256:` and 43
    /// characters.
    #[must_use]
    pub fn host_fingerprint(&self) -> String {
        fingerprint(&self.0.host)
    }

    /// Returns the host's private key as OpenSSH PEM, for user data only.
    #[must_use]
    pub fn expose_host_private(&self) -> &str {
        &self.0.host_private
    }

    /// Returns the host's key pair in the form that cloud-init installs.
    pub fn host_key(&self) -> HostKey {
        HostKey::new(HostKeyAlgorithm::Ed25519, self.expose_host_private())
            .public(self.host_public())
    }

    pub(super) fn client(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.0.client)
    }

    pub(super) fn host(&self) -> &PublicKey {
        &self.0.host
    }
}

impl fmt::Debug for SshKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshKeys")
            .field("client_public", &self.0.client_public)
            .field("host_public", &self.0.host_public)
            .finish_non_exhaustive()
    }
}

/// Returns the fingerprint of a key as `ssh-keygen -l` prints it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

fn failed(error: ssh_key::Error) -> Error {
    Error::new(ErrorKind::Internal, "make SSH keys").with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud_init::{CloudConfig, Login};

    #[test]
    fn keys_have_the_form_that_cloud_init_and_clouds_accept() {
        let keys = SshKeys::generate().unwrap();
        for line in [keys.client_public(), keys.host_public()] {
            assert!(line.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"), "{line}");
            assert!(line.ends_with(" cloudd"), "{line}");
        }
        let config = CloudConfig::new()
            .ssh_host_key(keys.host_key())
            .root_login(Login::Allowed)
            .ssh_authorized_key(keys.client_public());
        let rendered = config.render().unwrap();
        assert!(rendered.as_str().contains(keys.host_public()));
    }

    #[test]
    fn the_secret_of_a_build_determines_its_keys() {
        let [one, again, other] = [1, 1, 2].map(|byte| BuildSecret::new([byte; 32]));
        let [one, again, other] = [one, again, other].map(|it| SshKeys::of_build(&it).unwrap());
        assert_eq!(one.client_public(), again.client_public());
        assert_eq!(one.host_public(), again.host_public());
        assert_ne!(one.client_public(), one.host_public());
        assert_ne!(one.client_public(), other.client_public());
    }

    #[test]
    fn every_build_has_keys_of_its_own() {
        let (one, other) = (SshKeys::generate().unwrap(), SshKeys::generate().unwrap());
        assert_ne!(one.client_public(), other.client_public());
        assert_ne!(one.host_public(), other.host_public());
        assert_ne!(one.host_public(), one.client_public());
    }

    #[test]
    fn debug_output_shows_public_keys_only() {
        let keys = SshKeys::generate().unwrap();
        let shown = format!("{keys:?}{:?}", keys.host_key());
        assert!(shown.contains(keys.client_public()));
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
        // The body of the PEM, whose last lines contain the private key.
        let private = [keys.expose_client_private(), keys.expose_host_private()].concat();
        for line in private.lines().filter(|line| !line.starts_with('-')) {
            assert!(!shown.contains(line), "{shown}");
        }
    }
}
