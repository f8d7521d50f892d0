//! SSH keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use serde_json::{Map, Value, json};

use super::super::clock::Time;
use super::super::wire::ApiError;
use super::World;

/// One SSH key.
#[derive(Debug, Clone)]
pub(crate) struct SshKey {
    pub id: u64,
    pub name: String,
    pub public_key: String,
    pub fingerprint: String,
    pub labels: Map<String, Value>,
    pub created: Time,
}

impl SshKey {
    pub(crate) fn json(&self) -> Value {
        json!({
            "id": self.id,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "public_key": self.public_key,
            "labels": self.labels,
            "created": self.created.rfc3339(),
        })
    }
}

/// The fingerprint of a public key in OpenSSH's format: MD5 over the decoded blob, as hex with
/// colons. `None` when it is no such key.
pub(crate) fn fingerprint(public_key: &str) -> Option<String> {
    let mut words = public_key.split_whitespace();
    let (kind, blob) = (words.next()?, STANDARD.decode(words.next()?).ok()?);
    // The blob begins with the length and name of its own type.
    let length = u32::from_be_bytes(blob.get(..4)?.try_into().ok()?);
    let named = blob.get(4..4 + usize::try_from(length).ok()?)?;
    if named != kind.as_bytes() {
        return None;
    }
    let hex: Vec<_> = Md5::digest(&blob).iter().map(|byte| format!("{byte:02x}")).collect();
    Some(hex.join(":"))
}

impl World {
    /// # Errors
    /// `not_found`.
    pub(crate) fn ssh_key(&self, id: u64) -> Result<&SshKey, ApiError> {
        self.ssh_keys.get(&id).ok_or_else(|| ApiError::not_found("ssh_key", id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprints_are_those_of_ssh_keygen() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKSSJFjjkgFiOE4vORopcaGcoVY4H0D3y29Hb9shn0E+ a comment";
        assert_eq!(
            fingerprint(key).as_deref(),
            Some("f4:13:3e:1a:3c:a0:9d:61:ed:88:44:64:73:16:92:b1")
        );
    }

    #[test]
    fn what_is_no_key_has_no_fingerprint() {
        for text in [
            "",
            "ssh-ed25519",
            "ssh-ed25519 !!!",
            "ssh-ed25519 AAAA",
            "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIGJ1aWxkLWV4YW1wbGUta2V5LW9ubHktZmFrZTAw",
        ] {
            assert_eq!(fingerprint(text), None, "{text}");
        }
    }
}
