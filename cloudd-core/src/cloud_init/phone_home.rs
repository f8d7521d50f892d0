//! `phone_home`.

use serde::{Serialize, Serializer};

use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;
use super::secret::Url;

impl CloudConfig {
    /// Tells a server that the machine is up.
    pub fn phone_home(mut self, phone_home: PhoneHome) -> Self {
        self.phone_home = Some(phone_home);
        self
    }
}

/// A POST request that says that the machine is up, and how to know it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use]
pub struct PhoneHome {
    url: Url,
    #[serde(serialize_with = "all_or_some")]
    post: Vec<PhoneHomeField>,
    tries: u32,
}

/// What the machine tells of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PhoneHomeField {
    /// The public RSA host key.
    PubKeyRsa,
    /// The public ECDSA host key.
    PubKeyEcdsa,
    /// The public Ed25519 host key.
    PubKeyEd25519,
    /// The cloud's id of the machine.
    InstanceId,
    /// The host name.
    Hostname,
    /// The fully qualified name.
    Fqdn,
}

/// cloud-init's own number. It is always written: without it, cloud-init 22.4 logs a warning.
const TRIES: u32 = 10;

impl PhoneHome {
    /// Posts everything it knows to this URL, in which cloud-init replaces `$INSTANCE_ID`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Url::new(url), post: Vec::new(), tries: TRIES }
    }

    /// Posts only these fields, and those of further calls.
    pub fn post(mut self, fields: impl IntoIterator<Item = PhoneHomeField>) -> Self {
        self.post.extend(fields);
        self
    }

    /// How often it tries, three seconds apart; 10 if not given.
    pub fn tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }
}

fn all_or_some<S: Serializer>(
    fields: &Vec<PhoneHomeField>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if fields.is_empty() {
        return serializer.serialize_str("all");
    }
    fields.serialize(serializer)
}

impl Section for Option<PhoneHome> {
    fn check(&self) -> Result<()> {
        let Some(phone_home) = self else {
            return Ok(());
        };
        if phone_home.tries == 0 {
            check::invalid("phone_home.tries", "0", "tries would not try at all")?;
        }
        check::url("phone_home.url", &phone_home.url)?;
        match check::placeholders(phone_home.url.expose()).find(|name| *name != "INSTANCE_ID") {
            Some(name) => check::invalid("phone_home.url", name, "is not known after a '$'"),
            None => Ok(()),
        }
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("phone_home", self);
        Ok(())
    }
}
