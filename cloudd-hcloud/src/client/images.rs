//! Images.

use std::time::Duration;

use cloudd_core::provider::ErrorKind;
use serde_json::json;

use super::filter::ImageFilter;
use super::request::Request;
use super::response;
use super::response::CreateOutcome;
use super::{Client, gone_is_deleted};
use crate::Error;
use crate::schema::{
    Action, CreateImage, Image, ImageId, ImageType, Label, Labels, ServerId, check_labels,
};

/// The delays before the lookups of a snapshot after a lost response. Snapshots have no unique
/// name, so that a late request needs time to arrive.
const SNAPSHOT_LOOK_UP_DELAYS: &[Duration] = &[
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
];

/// Whether an image is protected against deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeleteProtection {
    /// A deletion is rejected.
    On,
    /// The image can be deleted.
    Off,
}

impl Client {
    /// Takes a snapshot of a server at most once. The server must be off for a consistent disk.
    ///
    /// `nonce` is a label of the request that no other snapshot ever has: snapshots have no unique
    /// name, and one whose response was lost is found only by this label. The image can be used
    /// when the actions have ended and its status is `available`. A failed one may be left behind
    /// incomplete.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent: invalid labels, or the nonce is not among them.
    /// `Busy`: another action uses the server. `OutcomeUnknown`: the lookup failed.
    pub(crate) async fn create_image(
        &self,
        server: ServerId,
        body: &CreateImage,
        nonce: &Label,
    ) -> Result<CreateOutcome<Image>, Error> {
        check_labels(&body.labels)?;
        if !nonce.is_in(&body.labels) {
            let message = format!("the nonce `{nonce}` is not among the labels");
            return Err(Error::invalid_field("labels", message));
        }
        let look_up = || async {
            let filter = ImageFilter::new().kind(ImageType::Snapshot).selector(nonce);
            let mut found = self.images(&filter).await?.into_iter();
            let Some(image) = found.next() else { return Ok(None) };
            for duplicate in found {
                // The lost request arrived after it was repeated; Hetzner bills both snapshots.
                tracing::warn!(image = %duplicate.id, kept = %image.id, "deleting a duplicate snapshot");
                self.delete_image(duplicate.id).await?;
            }
            let actions = self.actions_of("image", image.id).await?;
            Ok(Some(CreateOutcome::existing(image, actions)))
        };
        let path = format!("/servers/{server}/actions/create_image");
        let request = Request::create(path, format!("take a snapshot of server {server}"), body);
        self.executor().create_idempotent(request, SNAPSHOT_LOOK_UP_DELAYS, look_up).await
    }

    /// Reads an image.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn image(&self, id: ImageId) -> Result<Image, Error> {
        let request = Request::get(format!("/images/{id}"), format!("read image {id}"));
        self.executor().run(&request, response::object).await
    }

    /// Reads an image; `None` if it does not exist.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn find_image(&self, id: ImageId) -> Result<Option<Image>, Error> {
        match self.image(id).await {
            Ok(image) => Ok(Some(image)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Lists images, ordered by id.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn images(&self, filter: &ImageFilter) -> Result<Vec<Image>, Error> {
        self.executor().list(filter.apply(Request::get("/images", "list images"))).await
    }

    /// Replaces all labels of an image.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent, `NotFound`.
    pub async fn set_image_labels(&self, id: ImageId, labels: &Labels) -> Result<Image, Error> {
        check_labels(labels)?;
        let operation = format!("update image {id}");
        let request = Request::set_labels(format!("/images/{id}"), operation, labels);
        self.executor().run(&request, response::object).await
    }

    /// Deletes a snapshot unless it does not exist. Servers created from it are kept.
    ///
    /// # Errors
    /// `Protected`.
    pub async fn delete_image(&self, id: ImageId) -> Result<(), Error> {
        let request = Request::delete(format!("/images/{id}"), format!("delete image {id}"));
        gone_is_deleted(self.executor().run(&request, response::deletion).await).map(drop)
    }

    /// Sets or removes the deletion protection of a snapshot. The request may be repeated.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn protect_image(
        &self,
        id: ImageId,
        protection: DeleteProtection,
    ) -> Result<Action, Error> {
        let path = format!("/images/{id}/actions/change_protection");
        let operation = format!("change the protection of image {id}");
        let body = json!({"delete": protection == DeleteProtection::On});
        self.executor().run(&Request::post(path, operation).json(&body), response::object).await
    }
}
