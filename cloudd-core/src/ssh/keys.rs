use std::fmt;
use std::sync::Arc;

use russh::keys::key::safe_rng;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use russh::keys::ssh_key::{self, LineEnding};
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};
use zeroize::Zeroizing;

use crate::cloud_init::{HostKey, HostKeyAlgorithm};
use crate::provider::{BuildSecret, Error, ErrorKind, Result};

/// The two Ed25519 key pairs of one build: the client's, which the builder VM lets in, and the
/// host's, by which the builder VM is known.
///
/// They exist in memory and in the VM's user data only. `Debug` shows the public halves; the private
/// ones are overwritten when the last clone goes.
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
    /// New keys from the operating system's random numbers.
    ///
    /// # Errors
    /// [`ErrorKind::Internal`] when they cannot be encoded.
    pub fn generate() -> Result<Self> {
        let new = || PrivateKey::random(&mut safe_rng(), Algorithm::Ed25519);
        Self::of(new().map_err(failed)?, new().map_err(failed)?)
    }

    /// The keys of a build, the same in every process that has its secret.
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

    /// The client's public key as a line of `authorized_keys`, and as clouds take it.
    #[must_use]
    pub fn client_public(&self) -> &str {
        &self.0.client_public
    }

    /// The client's private key in the PEM of OpenSSH: for a look into a stuck builder by hand.
    #[must_use]
    pub fn expose_client_private(&self) -> &str {
        &self.0.client_private
    }

    /// The host's public key, the line of a `.pub` file.
    #[must_use]
    pub fn host_public(&self) -> &str {
        &self.0.host_public
    }

    /// The host's fingerprint as `ssh-keygen -l` shows it: `SHA256:` and 43 characters.
    #[must_use]
    pub fn host_fingerprint(&self) -> String {
        fingerprint(&self.0.host)
    }

    /// The host's private key in the PEM of OpenSSH. Goes into user data and nowhere else.
    #[must_use]
    pub fn expose_host_private(&self) -> &str {
        &self.0.host_private
    }

    /// The host's key pair as cloud-init installs it.
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

/// A key's fingerprint as `ssh-keygen -l` shows it.
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
    fn keys_have_the_form_that_cloud_init_and_clouds_take() {
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
    fn whoever_has_the_secret_of_a_build_makes_its_keys_again() {
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
    fn debug_output_shows_public_halves_only() {
        let keys = SshKeys::generate().unwrap();
        let shown = format!("{keys:?}{:?}", keys.host_key());
        assert!(shown.contains(keys.client_public()));
        assert!(!shown.contains("PRIVATE KEY"), "{shown}");
        // The body of the PEM, whose last lines hold the secret.
        let private = [keys.expose_client_private(), keys.expose_host_private()].concat();
        for line in private.lines().filter(|line| !line.starts_with('-')) {
            assert!(!shown.contains(line), "{shown}");
        }
    }
}
