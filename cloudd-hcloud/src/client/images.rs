//! Images.

use super::Client;
use super::adopt::Made;
pub use super::calls::images::DeleteProtection;
use super::calls::{Created, images, servers};
use super::deletion::Deletion;
use super::filter::ImageFilter;
use crate::schema::{Action, CreateImage, Image, ImageId, ImageType, Label, ServerId, UpdateImage};
use crate::{Error, ErrorKind};

impl Client {
    /// Takes a snapshot of a server at most once. The server must be off for a consistent disk.
    ///
    /// `nonce` is a label of the wish that no other snapshot has or will have: images have no
    /// unique name, and a snapshot whose answer was lost is found by that label only. The image can
    /// be used when the actions have ended and its status is `available`; one that fails may stay
    /// behind half made.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent: labels against the rules, or the nonce not among
    /// them. `Locked`: another action works on the server. `AnswerLost`: it could not be found out
    /// whether there is a snapshot.
    pub async fn create_image(
        &self,
        server: ServerId,
        wish: &CreateImage,
        nonce: &Label,
    ) -> Result<Made<Image>, Error> {
        wish.check()?;
        if !nonce.is_in(&wish.labels) {
            return Err(Error::invalid("labels", format!("the nonce `{nonce}` is not among them")));
        }
        let find = || async {
            let filter = ImageFilter::new().kind(ImageType::Snapshot).selector(nonce);
            let mut found = self.images(&filter).await?.into_iter();
            let Some(image) = found.next() else {
                return Ok(None);
            };
            for twin in found {
                // A lost request that arrived late, after it was repeated: one snapshot too many,
                // and billed.
                tracing::warn!(image = %twin.id, kept = %image.id, "deleting the twin of a snapshot");
                self.delete_image(twin.id).await?;
            }
            let actions = self.core().all(|page| images::actions(image.id, page)).await?;
            Ok(Some(Made::adopted(image, actions)))
        };
        let accept = |created: Created<Image>| Made::created(created.object, created.actions);
        let create = |repeat| servers::create_image(server, wish, repeat);
        self.core().once(create, accept, &self.core().tuning.image_looks, find).await
    }

    /// Reads an image.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn image(&self, id: ImageId) -> Result<Image, Error> {
        self.core().run(&images::read(id)).await
    }

    /// Reads an image, unless there is none.
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

    /// Lists images, oldest id first.
    ///
    /// # Errors
    /// Those of every request.
    pub async fn images(&self, filter: &ImageFilter) -> Result<Vec<Image>, Error> {
        self.core().all(|page| images::list(filter, page)).await
    }

    /// Changes description or labels. Labels are replaced as a whole.
    ///
    /// # Errors
    /// `InvalidInput` before anything is sent, `NotFound`.
    pub async fn update_image(&self, id: ImageId, change: &UpdateImage) -> Result<Image, Error> {
        change.check()?;
        self.core().run(&images::update(id, change)).await
    }

    /// Deletes a snapshot. Servers made of it stay.
    ///
    /// # Errors
    /// `Protected`.
    pub async fn delete_image(&self, id: ImageId) -> Result<Deletion, Error> {
        Deletion::of(self.core().run(&images::delete(id)).await)
    }

    /// Sets or lifts the deletion protection of a snapshot.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn protect_image(
        &self,
        id: ImageId,
        protection: DeleteProtection,
    ) -> Result<Action, Error> {
        self.core().run(&images::protect(id, protection)).await
    }
}
