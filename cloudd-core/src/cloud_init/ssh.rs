//! Host keys and logins over ssh.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::check;
use super::config::{CloudConfig, Section};
use super::error::{Error, Result};
use super::password::Login;
use super::public_key::{check_certificate, check_host_key, check_public_key};
use super::render::Document;
use super::secret::Secret;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ssh {
    host_keys: Vec<HostKey>,
    image_host_keys: Option<ImageHostKeys>,
    generate: Vec<HostKeyAlgorithm>,
    root_login: Option<Login>,
    password_login: Option<Login>,
    authorized_keys: Vec<String>,
}

impl CloudConfig {
    /// A host key made beforehand, so that the one who connects knows it instead of accepting
    /// whatever answers.
    ///
    /// With at least one, cloud-init generates none itself; that also saves the time of an RSA key.
    #[doc(alias = "ssh_keys")]
    pub fn ssh_host_key(mut self, key: HostKey) -> Self {
        self.ssh.host_keys.push(key);
        self
    }

    /// What happens to host keys that came with the image. cloud-init's own choice is to delete.
    #[doc(alias = "ssh_deletekeys")]
    pub fn image_host_keys(mut self, keys: ImageHostKeys) -> Self {
        self.ssh.image_host_keys = Some(keys);
        self
    }

    /// Which host keys are generated at the first boot; of all algorithms if not said.
    #[doc(alias = "ssh_genkeytypes")]
    pub fn generate_host_keys(
        mut self,
        algorithms: impl IntoIterator<Item = HostKeyAlgorithm>,
    ) -> Self {
        self.ssh.generate.extend(algorithms);
        self
    }

    /// Whether root can log in with the keys of the machine. Most images refuse it.
    #[doc(alias = "disable_root")]
    pub fn root_login(mut self, login: Login) -> Self {
        self.ssh.root_login = Some(login);
        self
    }

    /// Whether sshd takes passwords. Left as the image has it if not said.
    #[doc(alias = "ssh_pwauth")]
    pub fn ssh_password_login(mut self, login: Login) -> Self {
        self.ssh.password_login = Some(login);
        self
    }

    /// A public key for the image's default user, and for root if
    /// [`root_login`](Self::root_login) is allowed.
    ///
    /// A key for one user is [`User::authorized_key`](super::User::authorized_key).
    #[doc(alias = "ssh_authorized_keys")]
    pub fn ssh_authorized_key(mut self, key: impl Into<String>) -> Self {
        self.ssh.authorized_keys.push(key.into());
        self
    }
}

/// Host keys that came with the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageHostKeys {
    /// They go: machines made from one image must not share a key.
    Delete,
    /// They stay.
    Keep,
}

/// An algorithm of host keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum HostKeyAlgorithm {
    /// Ed25519: short, and made in no time.
    Ed25519,
    /// ECDSA on a NIST curve.
    Ecdsa,
    /// RSA.
    Rsa,
}

impl HostKeyAlgorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Ed25519 => "ed25519",
            Self::Ecdsa => "ecdsa",
            Self::Rsa => "rsa",
        }
    }

    /// How the type field of such a public key begins.
    fn key_type(self) -> &'static str {
        match self {
            Self::Ed25519 => "ssh-ed25519",
            Self::Ecdsa => "ecdsa-sha2-nistp",
            Self::Rsa => "ssh-rsa",
        }
    }
}

/// A host key of one algorithm. `Debug` does not show the private part.
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct HostKey {
    algorithm: HostKeyAlgorithm,
    private: Secret,
    public: Option<String>,
    certificate: Option<String>,
}

impl HostKey {
    /// A private key without passphrase, as `ssh-keygen` writes it. A missing last newline, which
    /// sshd does not forgive, is added.
    pub fn new(algorithm: HostKeyAlgorithm, private: impl Into<String>) -> Self {
        let mut private = private.into();
        if !private.ends_with('\n') {
            private.push('\n');
        }
        Self { algorithm, private: Secret::new(private), public: None, certificate: None }
    }

    /// The public half, the line of the `.pub` file. cloud-init derives it if it is not given.
    pub fn public(mut self, line: impl Into<String>) -> Self {
        self.public = Some(line.into());
        self
    }

    /// A host certificate, which sshd is configured to present.
    pub fn certificate(mut self, line: impl Into<String>) -> Self {
        self.certificate = Some(line.into());
        self
    }

    fn check(&self) -> Result<()> {
        let algorithm = self.algorithm.name();
        if let Some(reason) = private_key_fault(self.private.expose()) {
            return Err(Error::InvalidHostKey { algorithm, reason });
        }
        let owner = format!("the {algorithm} host key");
        if let Some(line) = &self.public {
            check_host_key(&owner, line, self.algorithm.key_type())?;
        }
        if let Some(line) = &self.certificate {
            check_certificate(&owner, line, self.algorithm.key_type())?;
        }
        Ok(())
    }
}

fn private_key_fault(pem: &str) -> Option<&'static str> {
    if pem.contains(['\r', '\0']) {
        Some("has carriage returns or NUL characters in it")
    } else if !["OPENSSH PRIVATE KEY", "EC PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY"]
        .iter()
        .any(|kind| check::is_pem(pem, kind))
    {
        Some("is not a private key in PEM")
    } else {
        None
    }
}

impl Section for Ssh {
    fn check(&self) -> Result<()> {
        self.host_keys.iter().try_for_each(HostKey::check)?;
        check::no_duplicates("ssh_keys", self.host_keys.iter().map(|key| key.algorithm.name()))?;
        check::no_duplicates("ssh_genkeytypes", self.generate.iter().map(|a| a.name()))?;
        if !self.host_keys.is_empty() && !self.generate.is_empty() {
            return Err(Error::Ignored { ignored: "ssh_genkeytypes", because: "ssh_keys" });
        }
        self.authorized_keys.iter().try_for_each(|key| check_public_key("the default user", key))
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        if !self.host_keys.is_empty() {
            document.entry("ssh_keys", &HostKeys(&self.host_keys));
        }
        let delete = self.image_host_keys.map(|keys| keys == ImageHostKeys::Delete);
        document.entry_if("ssh_deletekeys", &delete);
        document.list("ssh_genkeytypes", &self.generate);
        document.entry_if("disable_root", &self.root_login.map(|login| login == Login::Refused));
        document.entry_if("ssh_pwauth", &self.password_login.map(|login| login == Login::Allowed));
        document.list("ssh_authorized_keys", &self.authorized_keys);
        Ok(())
    }
}

struct HostKeys<'a>(&'a [HostKey]);

impl Serialize for HostKeys<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for key in self.0 {
            let name = key.algorithm.name();
            map.serialize_entry(&format!("{name}_private"), &key.private)?;
            if let Some(public) = &key.public {
                map.serialize_entry(&format!("{name}_public"), public)?;
            }
            if let Some(certificate) = &key.certificate {
                map.serialize_entry(&format!("{name}_certificate"), certificate)?;
            }
        }
        map.end()
    }
}
