//! One entry of `apt.sources`.

use serde::Serialize;

use super::check;
use super::error::{Error, Result};

/// A repository of deb packages.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use]
pub struct AptSource {
    #[serde(skip)]
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keyserver: Option<String>,
}

impl AptSource {
    /// A repository in `/etc/apt/sources.list.d/NAME.list`, as a one-line source.
    ///
    /// cloud-init replaces `$RELEASE`, `$MIRROR` and `$KEY_FILE` in the line. With
    /// `deb [signed-by=$KEY_FILE] …` the key counts for this repository alone; otherwise it counts
    /// for all of them.
    pub fn new(name: impl Into<String>, line: impl Into<String>) -> Self {
        let line = Some(line.into());
        Self { name: name.into(), source: line, key: None, keyid: None, keyserver: None }
    }

    /// A key without a repository.
    pub fn key_only(name: impl Into<String>, armored: impl Into<String>) -> Self {
        let key = Some(armored.into());
        Self { name: name.into(), source: None, key, keyid: None, keyserver: None }
    }

    /// The public key of the repository, ASCII-armored.
    pub fn key(mut self, armored: impl Into<String>) -> Self {
        self.key = Some(armored.into());
        self
    }

    /// The fingerprint of a key that is fetched from a key server.
    #[doc(alias = "keyid")]
    pub fn key_id(mut self, fingerprint: impl Into<String>) -> Self {
        self.keyid = Some(fingerprint.into());
        self
    }

    /// The key server, `keyserver.ubuntu.com` if not given.
    pub fn keyserver(mut self, host: impl Into<String>) -> Self {
        self.keyserver = Some(host.into());
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn check(&self) -> Result<()> {
        check::token("apt.sources", &self.name)?;
        if self.name.contains('/') {
            check::invalid("apt.sources", &self.name, "is not a file name")?;
        }
        if let Some(line) = &self.source {
            check::one_line("apt.sources.source", line)?;
            let known = ["RELEASE", "MIRROR", "PRIMARY", "SECURITY", "KEY_FILE"];
            if let Some(name) = check::placeholders(line).find(|name| !known.contains(name)) {
                check::invalid("apt.sources.source", name, "is not known after a '$'")?;
            }
            if line.contains("$KEY_FILE") && self.key.is_none() && self.keyid.is_none() {
                check::invalid("apt.sources.source", line, "names $KEY_FILE, but has no key")?;
            }
        }
        if let Some(key) = &self.key
            && !check::is_pem(key, "PGP PUBLIC KEY BLOCK")
        {
            check::invalid("apt.sources.key", &self.name, "has a key that is not ASCII-armored")?;
        }
        if self.key.is_some() && self.keyid.is_some() {
            return Err(Error::Ignored {
                ignored: "apt.sources.keyid",
                because: "apt.sources.key",
            });
        }
        if let Some(id) = &self.keyid {
            let digits = id.chars().filter(char::is_ascii_hexdigit).count();
            let known = |c: char| c.is_ascii_hexdigit() || c == ' ';
            // Sixteen digits name a key that anybody can make another of.
            if digits != 40 || !id.chars().all(known) {
                check::invalid("apt.sources.keyid", id, "is not a fingerprint of 40 hex digits")?;
            }
        }
        match (&self.keyserver, &self.keyid) {
            (Some(_), None) => Err(Error::Ignored {
                ignored: "apt.sources.keyserver",
                because: "a missing apt.sources.keyid",
            }),
            (Some(server), Some(_)) => check::token("apt.sources.keyserver", server),
            (None, _) => Ok(()),
        }
    }
}
