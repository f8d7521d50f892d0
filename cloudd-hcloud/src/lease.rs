//! Leases, which are SSH keys of the project.
//!
//! An SSH key has what a lease needs: a name that is unique in the project, labels, and no cost.
//! Every builder VM needs a key anyway, because Hetzner emails a root password for each server that
//! is created without one. The private half of the key is never used; it can only be derived with
//! the API token. To log in to a builder VM, cloudd puts another key into the user data.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloudd_core::provider::{
    BuildId, BuildSecret, Error, ErrorKind, LeaseId, LeaseSpec, Result, keys,
};

use crate::builder::Hcloud;
use crate::schema::{CreateSshKey, SshKeyId};
use crate::{convert, labels};

impl Hcloud {
    /// Creates a lease, or adopts the one of the same name and holder.
    pub(crate) async fn create_ssh_key_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        const CREATE: &str = "create lease";
        let holder = labels::required(CREATE, &spec.labels, keys::HOLDER)?;
        // The project accepts each public key only once, so every lease has its own. The key is derived
        // from name and holder, so that a lease whose create response was lost is recognized.
        let seed = format!("cloudd lease {} {}", spec.name, holder.value());
        let seed = self.client().keyed_hash(&seed);
        let request = CreateSshKey::new(&spec.name, public_key(&seed)?)
            .labels(labels::to_hetzner(&spec.labels));
        let key = self.client().create_ssh_key(&request, &holder).await?.resource;
        self.hints().leases.insert(key.id, key.labels);
        Ok(LeaseId::new(key.id.to_string()))
    }

    /// Derives the secret of a build from the API token.
    pub(crate) fn derive_build_secret(&self, build: &BuildId) -> BuildSecret {
        BuildSecret::new(self.client().keyed_hash(&format!("cloudd build {build}")))
    }

    pub(crate) async fn delete_lease(&self, id: SshKeyId) -> Result<()> {
        self.client().delete_ssh_key(id).await?;
        self.hints().leases.remove(&id);
        Ok(())
    }
}

/// The SSH key with which a server of the build is created: that of its lease.
pub(crate) fn ssh_key(operation: &str, lease: Option<&LeaseId>) -> Result<SshKeyId> {
    let lease = lease.ok_or_else(|| {
        Error::new(ErrorKind::InvalidInput, operation)
            .with_message("the spec has no lease, whose SSH key the server needs")
    })?;
    convert::parse_id(lease)
}

/// The Ed25519 public key of a seed in the format of OpenSSH (RFC 4253 section 6.6, RFC 8709).
fn public_key(seed: &[u8; 32]) -> Result<String> {
    const ALGORITHM: &[u8] = b"ssh-ed25519";
    let pair = Ed25519KeyPair::from_seed_unchecked(seed)
        .map_err(|error| Error::new(ErrorKind::Internal, "derive SSH key").with_source(error))?;
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
    fn public_keys_have_the_openssh_format_and_differ_by_seed() {
        let key = public_key(&[1; 32]).unwrap();
        // The base64 form of the algorithm name, which is the same for every ed25519 key.
        assert!(key.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"), "{key}");
        assert_eq!(key.split(' ').nth(1).unwrap().len(), 68);
        assert_eq!(key, public_key(&[1; 32]).unwrap());
        assert_ne!(key, public_key(&[2; 32]).unwrap());
    }
}
