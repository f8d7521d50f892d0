//! SSH keys.

use serde::{Deserialize, Serialize};

use super::lenient::or_default;
use super::{Labels, SshKeyId};

/// A public key that is registered in the project.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct SshKey {
    pub(crate) id: SshKeyId,
    /// The name, unique in the project.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) name: String,
    /// The key in the format of `authorized_keys`.
    #[serde(default, deserialize_with = "or_default")]
    public_key: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: Labels,
}

impl SshKey {
    /// Whether this is the given public key; comments are ignored.
    pub(crate) fn is_same_key(&self, public_key: &str) -> bool {
        let own: Vec<_> = self.public_key.split_whitespace().take(2).collect();
        own.len() == 2 && own == public_key.split_whitespace().take(2).collect::<Vec<_>>()
    }
}

/// The body of `POST /ssh_keys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CreateSshKey {
    /// The name, unique in the project.
    pub(crate) name: String,
    /// The key in the format of `authorized_keys`, unique in the project.
    pub(crate) public_key: String,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
}

impl CreateSshKey {
    /// A key with this name.
    pub(crate) fn new(name: impl Into<String>, public_key: impl Into<String>) -> Self {
        Self { name: name.into(), public_key: public_key.into(), labels: Labels::new() }
    }

    /// Sets the labels.
    pub(crate) fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_do_not_make_keys_different() {
        let key: SshKey =
            serde_json::from_str(r#"{"id":1,"name":"k","public_key":"ssh-ed25519 AAAA me@here"}"#)
                .unwrap();
        assert!(key.is_same_key("ssh-ed25519 AAAA\n"));
        assert!(!key.is_same_key("ssh-ed25519 AAAB me@here"));
        assert!(!key.is_same_key(""));
    }
}
