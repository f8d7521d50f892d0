//! Leases, which are SSH keys.
//!
//! Of what Hetzner has, an SSH key is what a lease has to be: its name is unique in the project, it
//! has labels and costs nothing. And every builder needs one: Hetzner mails a root password for each
//! server that is created without a key. Nobody uses its private half, which only who has the token
//! could compute; the builder logs in with a key of its own that is in the user data.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloudd_core::provider::{
    BuildId, BuildSecret, Error, ErrorKind, LeaseId, LeaseSpec, Result, keys,
};

use super::{Hcloud, labels, parse};
use crate::schema::{CreateSshKey, Label, SshKeyId};

impl Hcloud {
    pub(super) async fn new_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        const CREATE: &str = "create lease";
        let owner = spec.labels.get(keys::HOLDER).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, CREATE)
                .with_resource(&spec.name)
                .with_message(format_args!("the label {} is missing", keys::HOLDER))
        })?;
        let mine = Label::new(keys::HOLDER, owner)?;
        // The same for the same owner, so that a lease whose answer was lost is known again; another
        // one for each, since the project takes no key twice.
        let public = public_key(&self.client().keyed_hash(&format!("cloudd lease {owner}")))?;
        let wish = CreateSshKey::new(&spec.name, public).labels(labels::to_hetzner(&spec.labels));
        let made = self.client().create_ssh_key(&wish, &mine).await?;
        self.known().note_lease(&made.resource);
        Ok(LeaseId::new(made.resource.id.to_string()))
    }

    pub(super) fn build_secret(&self, build: &BuildId) -> BuildSecret {
        BuildSecret::new(self.client().keyed_hash(&format!("cloudd build {build}")))
    }

    pub(super) async fn delete_lease(&self, id: SshKeyId) -> Result<()> {
        self.client().delete_ssh_key(id).await?;
        self.known().forget_lease(id);
        Ok(())
    }
}

/// The key that a server is created with.
pub(super) fn key(operation: &str, lease: Option<&LeaseId>) -> Result<SshKeyId> {
    let lease = lease.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, operation)
            .with_message("it has no lease, whose key a server needs on Hetzner Cloud")
    })?;
    id(lease)
}

pub(super) fn id(id: &LeaseId) -> Result<SshKeyId> {
    parse("find lease", id.as_str())
}

/// The public key to a seed, as OpenSSH writes it (RFC 4253 section 6.6, RFC 8709).
fn public_key(seed: &[u8; 32]) -> Result<String> {
    const ALGORITHM: &[u8] = b"ssh-ed25519";
    let pair = Ed25519KeyPair::from_seed_unchecked(seed)
        .map_err(|error| Error::new(ErrorKind::Internal, "make SSH key").with_source(error))?;
    let mut wire = Vec::new();
    for part in [ALGORITHM, pair.public_key().as_ref()] {
        wire.extend((part.len() as u32).to_be_bytes());
        wire.extend_from_slice(part);
    }
    Ok(format!("ssh-ed25519 {} cloudd", STANDARD.encode(wire)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_the_form_of_openssh_and_differ_as_their_seeds_do() {
        let key = public_key(&[1; 32]).unwrap();
        // What every ed25519 key begins with.
        assert!(key.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"), "{key}");
        assert_eq!(key.split(' ').nth(1).unwrap().len(), 68);
        assert_eq!(key, public_key(&[1; 32]).unwrap());
        assert_ne!(key, public_key(&[2; 32]).unwrap());
    }
}
