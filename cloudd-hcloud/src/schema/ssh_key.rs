//! SSH keys.

use serde::{Deserialize, Serialize};

use super::label::check_labels;
use super::lenient::or_default;
use super::rules::check_public_key;
use super::{Labels, SshKeyId};
use crate::Error;

/// A public key that the API puts into servers.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SshKey {
    /// The id.
    pub id: SshKeyId,
    /// The name, unique in the project.
    pub name: String,
    /// MD5 of the key in hex with colons, unique in the project.
    #[serde(default, deserialize_with = "or_default")]
    pub fingerprint: String,
    /// The key, as in `authorized_keys`.
    #[serde(default, deserialize_with = "or_default")]
    pub public_key: String,
    /// The labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
}

impl SshKey {
    /// Whether this is the given public key, whatever its comment.
    #[must_use]
    pub fn is_same_key(&self, public_key: &str) -> bool {
        let key =
            |text: &str| text.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>();
        let mine = key(&self.public_key);
        mine.len() == 2 && mine == key(public_key)
    }
}

/// `POST /ssh_keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CreateSshKey {
    /// The name, unique in the project.
    pub name: String,
    /// The key, as in `authorized_keys`.
    pub public_key: String,
    /// The labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

impl CreateSshKey {
    /// A key with this name.
    pub fn new(name: impl Into<String>, public_key: impl Into<String>) -> Self {
        Self { name: name.into(), public_key: public_key.into(), labels: Labels::new() }
    }

    /// Sets the labels.
    #[must_use]
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.name.is_empty() {
            return Err(Error::invalid("name", "an SSH key has a name"));
        }
        check_public_key(&self.public_key)?;
        check_labels(&self.labels)
    }
}

/// `PUT /ssh_keys/{id}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpdateSshKey {
    /// Replaces the whole set.
    pub labels: Labels,
}

impl UpdateSshKey {
    /// Replaces all labels.
    #[must_use]
    pub fn labels(labels: Labels) -> Self {
        Self { labels }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_labels(&self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_the_same_whatever_their_comment() {
        let key: SshKey =
            serde_json::from_str(r#"{"id":1,"name":"k","public_key":"ssh-ed25519 AAAA me@here"}"#)
                .unwrap();
        assert!(key.is_same_key("ssh-ed25519 AAAA\n"));
        assert!(!key.is_same_key("ssh-ed25519 AAAB me@here"));
        assert!(!key.is_same_key(""));
    }
}
