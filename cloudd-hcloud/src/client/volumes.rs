//! Volumes.

use super::create::LOOK_UP_AT_ONCE;
use super::filter::VolumeFilter;
use super::request::Request;
use super::response;
use super::response::CreateOutcome;
use super::{Client, gone_is_deleted};
use crate::Error;
use crate::schema::{CreateVolume, Label, Labels, Volume, VolumeId, check_labels};

impl Client {
    /// Creates a volume at most once; see [`create_server`](Self::create_server).
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent. `AlreadyExists`: a volume without the label has the
    /// name. `Unavailable`, see [`Error::is_out_of_capacity`]. `OutcomeUnknown`: the lookup failed.
    pub(crate) async fn create_volume(
        &self,
        body: &CreateVolume,
        idempotency_label: &Label,
    ) -> Result<CreateOutcome<Volume>, Error> {
        check_labels(&body.labels)?;
        let look_up = || async {
            let named = self.volumes(&VolumeFilter::new().name(&body.name)).await?;
            let own = named.into_iter().find(|volume| idempotency_label.is_in(&volume.labels));
            let Some(volume) = own else { return Ok(None) };
            let actions = self.actions_of("volume", volume.id).await?;
            Ok(Some(CreateOutcome::existing(volume, actions)))
        };
        let request = Request::create("/volumes", format!("create volume {}", body.name), body);
        self.executor().create_idempotent(request, LOOK_UP_AT_ONCE, look_up).await
    }

    /// Reads a volume.
    pub(crate) async fn volume(&self, id: VolumeId) -> Result<Volume, Error> {
        let request = Request::get(format!("/volumes/{id}"), format!("read volume {id}"));
        self.executor().run(&request, response::object).await
    }

    /// Lists volumes, oldest first.
    pub(crate) async fn volumes(&self, filter: &VolumeFilter) -> Result<Vec<Volume>, Error> {
        self.executor().list(filter.apply(Request::get("/volumes", "list volumes"))).await
    }

    /// Replaces all labels of a volume.
    pub(crate) async fn set_volume_labels(
        &self,
        id: VolumeId,
        labels: &Labels,
    ) -> Result<Volume, Error> {
        check_labels(labels)?;
        let operation = format!("update volume {id}");
        let request = Request::set_labels(format!("/volumes/{id}"), operation, labels);
        self.executor().run(&request, response::object).await
    }

    /// Deletes a volume unless it does not exist. It must not be attached; the API documents no
    /// error code for that.
    pub(crate) async fn delete_volume(&self, id: VolumeId) -> Result<(), Error> {
        let request = Request::delete(format!("/volumes/{id}"), format!("delete volume {id}"));
        gone_is_deleted(self.executor().run(&request, response::deletion).await).map(drop)
    }
}
