//! SSH keys.

use super::create::LOOK_UP_AT_ONCE;
use super::filter::SshKeyFilter;
use super::request::Request;
use super::response;
use super::response::CreateOutcome;
use super::{Client, gone_is_deleted};
use crate::Error;
use crate::schema::{CreateSshKey, Label, Labels, SshKey, SshKeyId, check_labels};

impl Client {
    /// Registers a public key at most once; see [`create_server`](Self::create_server).
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent. `AlreadyExists`: a key without the label has the
    /// name, or the key is registered under another name. `OutcomeUnknown`: the lookup failed.
    pub(crate) async fn create_ssh_key(
        &self,
        body: &CreateSshKey,
        idempotency_label: &Label,
    ) -> Result<CreateOutcome<SshKey>, Error> {
        check_labels(&body.labels)?;
        let look_up = || async {
            let named = self.ssh_keys(&SshKeyFilter::new().name(&body.name)).await?;
            let own = named.into_iter().find(|key| {
                idempotency_label.is_in(&key.labels) && key.is_same_key(&body.public_key)
            });
            Ok(own.map(|key| CreateOutcome::existing(key, Vec::new())))
        };
        let request = Request::create("/ssh_keys", format!("create SSH key {}", body.name), body);
        self.executor().create_idempotent(request, LOOK_UP_AT_ONCE, look_up).await
    }

    /// Lists SSH keys, oldest first.
    pub(crate) async fn ssh_keys(&self, filter: &SshKeyFilter) -> Result<Vec<SshKey>, Error> {
        self.executor().list(filter.apply(Request::get("/ssh_keys", "list SSH keys"))).await
    }

    /// Reads an SSH key.
    pub(crate) async fn ssh_key(&self, id: SshKeyId) -> Result<SshKey, Error> {
        let request = Request::get(format!("/ssh_keys/{id}"), format!("read SSH key {id}"));
        self.executor().run(&request, response::object).await
    }

    /// Replaces all labels of an SSH key.
    pub(crate) async fn set_ssh_key_labels(
        &self,
        id: SshKeyId,
        labels: &Labels,
    ) -> Result<SshKey, Error> {
        check_labels(labels)?;
        let operation = format!("update SSH key {id}");
        let request = Request::set_labels(format!("/ssh_keys/{id}"), operation, labels);
        self.executor().run(&request, response::object).await
    }

    /// Deletes an SSH key unless it does not exist. Servers that have it keep it.
    pub(crate) async fn delete_ssh_key(&self, id: SshKeyId) -> Result<(), Error> {
        let request = Request::delete(format!("/ssh_keys/{id}"), format!("delete SSH key {id}"));
        gone_is_deleted(self.executor().run(&request, response::deletion).await).map(drop)
    }
}
