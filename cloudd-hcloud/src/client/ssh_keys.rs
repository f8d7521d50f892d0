//! SSH keys.

use super::adopt::Made;
use super::calls::ssh_keys;
use super::deletion::Deletion;
use super::filter::SshKeyFilter;
use super::{Client, LOOK_AT_ONCE};
use crate::Error;
use crate::schema::{CreateSshKey, Label, SshKey, SshKeyId, UpdateSshKey};

impl Client {
    /// Registers a public key at most once; see [`create_server`](Self::create_server) for `mine`.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent. `AlreadyExists`: name or key are taken by one
    /// without the label; the API keeps a key under one name only. `AnswerLost`: it could not be
    /// found out whether the key is registered.
    pub async fn create_ssh_key(
        &self,
        wish: &CreateSshKey,
        mine: &Label,
    ) -> Result<Made<SshKey>, Error> {
        wish.check()?;
        let find = || async {
            let named = self.ssh_keys(&SshKeyFilter::new().name(&wish.name)).await?;
            let key = named
                .into_iter()
                .find(|key| mine.is_in(&key.labels) && key.is_same_key(&wish.public_key));
            Ok(key.map(|key| Made::adopted(key, Vec::new())))
        };
        let accept = |key| Made::created(key, Vec::new());
        self.core().once(|repeat| ssh_keys::create(wish, repeat), accept, LOOK_AT_ONCE, find).await
    }

    /// Lists SSH keys, oldest first.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn ssh_keys(&self, filter: &SshKeyFilter) -> Result<Vec<SshKey>, Error> {
        self.core().all(|page| ssh_keys::list(filter, page)).await
    }

    /// Reads an SSH key.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn ssh_key(&self, id: SshKeyId) -> Result<SshKey, Error> {
        self.core().run(&ssh_keys::read(id)).await
    }

    /// Changes the labels, which are replaced as a whole.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent, `NotFound`.
    pub async fn update_ssh_key(
        &self,
        id: SshKeyId,
        change: &UpdateSshKey,
    ) -> Result<SshKey, Error> {
        change.check()?;
        self.core().run(&ssh_keys::update(id, change)).await
    }

    /// Removes an SSH key from the project. Servers that have it keep it.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn delete_ssh_key(&self, id: SshKeyId) -> Result<Deletion, Error> {
        Deletion::of(self.core().run(&ssh_keys::delete(id)).await)
    }
}
