//! The SSH key of a build.
//!
//! Hetzner mails a root password for every server that is created without a key. So each build has
//! one of its own, which goes when its server goes: the one that the builder logs in with, or,
//! where it does not, one whose private half nobody holds.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloudd_core::provider::{Error, ErrorKind, Result, VmSpec};

use super::{Hcloud, known, labels};
use crate::client::SshKeyFilter;
use crate::schema::{CreateSshKey, Label, Labels, SshKeyId};

impl Hcloud {
    /// The key of a build, registered now unless it is already.
    pub(super) async fn build_key(
        &self,
        spec: &VmSpec,
        mine: &Label,
        labels: &Labels,
    ) -> Result<SshKeyId> {
        if let Some(id) = self.known().key(mine.value()) {
            return Ok(id);
        }
        let name = &spec.name;
        let public = spec.ssh_key.clone().map_or_else(public_key, Ok)?;
        let wish = CreateSshKey::new(name, public).labels(labels.clone());
        let id = match self.client().create_ssh_key(&wish, mine).await {
            Ok(made) => made.resource.id,
            Err(error) if error.kind() == crate::ErrorKind::AlreadyExists => {
                // A key of the same build, from before this process: any keeps the password from
                // being mailed, and the one to log in with is in the user data.
                let named = self.client().ssh_keys(&SshKeyFilter::new().name(name)).await?;
                let ours = named.into_iter().find(|key| mine.is_in(&key.labels));
                ours.ok_or(error)?.id
            }
            Err(error) => return Err(error.into()),
        };
        self.known().note_key(mine.value(), id);
        Ok(id)
    }

    /// Removes the key of a build from the project.
    pub(super) async fn delete_build_key(&self, build: &known::Build) -> Result<()> {
        match build.key {
            Some(id) => {
                self.client().delete_ssh_key(id).await?;
            }
            None => {
                let filter = SshKeyFilter::new().selector(labels::of_build(&build.id));
                for key in self.client().ssh_keys(&filter).await? {
                    self.client().delete_ssh_key(key.id).await?;
                }
            }
        }
        self.known().forget_key(&build.id);
        Ok(())
    }
}

/// A public key to no private one, as OpenSSH writes it (RFC 4253 section 6.6, RFC 8709).
fn public_key() -> Result<String> {
    const ALGORITHM: &[u8] = b"ssh-ed25519";
    let pair = Ed25519KeyPair::generate()
        .map_err(|error| Error::new(ErrorKind::Internal, "make SSH key").because(error))?;
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
    fn keys_have_the_form_of_openssh_and_differ() {
        let key = public_key().unwrap();
        // What every ed25519 key begins with.
        assert!(key.starts_with("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI"), "{key}");
        assert_eq!(key.split(' ').nth(1).unwrap().len(), 68);
        assert_ne!(key, public_key().unwrap());
    }
}
