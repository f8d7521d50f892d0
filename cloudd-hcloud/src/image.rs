//! Images, which are snapshots.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use cloudd_core::provider::{
    Error, ErrorKind, Image, ImageId, ImageSpec, ImageStatus, Reporter, Result, Selector, keys,
};
use cloudd_core::retry::{self, Backoff};

use crate::builder::Hcloud;
use crate::client::CreateOutcome;
use crate::schema::{self, CreateImage, ServerId, ServerStatus};
use crate::vm::{NO_DEADLINE, report_progress};
use crate::{convert, labels};

impl Hcloud {
    /// Starts a snapshot of a server that is off.
    pub(crate) async fn create_snapshot(
        &self,
        server: ServerId,
        spec: &ImageSpec,
    ) -> Result<Image> {
        const CREATE: &str = "create image";
        let hint = self.hints().servers.get(&server).cloned();
        let status = match hint.as_ref().and_then(|hint| hint.status()) {
            Some(status) => status.clone(),
            None => self.client().server(server).await?.status,
        };
        if status != ServerStatus::Off {
            return Err(Error::new(ErrorKind::Busy, CREATE)
                .with_resource(server)
                .with_message(format_args!("the server is not off but {status}")));
        }
        // Snapshots have no unique name. A build has one snapshot, which is found by the build label.
        let build = labels::required(CREATE, &spec.labels, keys::BUILD)?;
        if let Some(hint) = self.hints().servers.get_mut(&server) {
            hint.has_no_image = false;
        }
        if !hint.is_some_and(|hint| hint.has_no_image)
            && let Some(image) = self.find_existing(build.value()).await?
        {
            return Ok(image);
        }
        let request = CreateImage::new(&spec.description).labels(labels::to_hetzner(&spec.labels));
        let CreateOutcome { resource, actions, .. } =
            self.client().create_image(server, &request, &build).await?;
        self.hints().images.insert(resource.id, actions);
        let mut image = from_hetzner(&resource);
        // The image must not be used before its action has ended, whatever status the API reports.
        image.status = ImageStatus::Creating;
        Ok(image)
    }

    /// The snapshot of the build that an earlier call or another process created. Failed snapshots
    /// are deleted.
    async fn find_existing(&self, build: &str) -> Result<Option<Image>> {
        for image in self.find_images(&Selector::all().with(keys::BUILD, build)).await? {
            if image.status != schema::ImageStatus::Unavailable {
                return Ok(Some(from_hetzner(&image)));
            }
            self.delete_image(image.id).await?;
        }
        Ok(None)
    }

    /// Waits until a snapshot is available.
    pub(crate) async fn wait_snapshot(
        &self,
        id: schema::ImageId,
        reporter: &Reporter,
    ) -> Result<Image> {
        let actions = self.hints().images.get(&id).cloned().unwrap_or_default();
        let on_progress = |action: &schema::Action| report_progress(action, reporter);
        self.client().wait_with_progress(actions, NO_DEADLINE, on_progress).await?;
        let image = retry::poll_until("wait for image", id, Backoff::STEADY, || async {
            // One list that all builds share.
            let images = self.find_images(&Selector::all()).await?;
            let Some(image) = images.iter().find(|image| image.id == id) else {
                return Err(Error::gone(id));
            };
            let image = from_hetzner(image);
            match image.status {
                ImageStatus::Available => Ok(Some(image)),
                ImageStatus::Broken => Err(Error::image_broken(id)),
                _ => Ok(None),
            }
        })
        .await?;
        self.hints().images.remove(&id);
        Ok(image)
    }

    pub(crate) async fn delete_image(&self, id: schema::ImageId) -> Result<()> {
        self.client().delete_image(id).await?;
        self.hints().images.remove(&id);
        Ok(())
    }
}

/// Converts a snapshot.
pub(crate) fn from_hetzner(image: &schema::Image) -> Image {
    let status = match image.status {
        schema::ImageStatus::Available => ImageStatus::Available,
        schema::ImageStatus::Unavailable => ImageStatus::Broken,
        _ => ImageStatus::Creating,
    };
    let disk = convert::disk_size(image.disk_size);
    let mut converted = Image::new(ImageId::new(image.id.to_string()), status, disk);
    converted.created =
        image.created.map_or(0, |created| created.as_second().try_into().unwrap_or(0));
    converted.protected = image.protection.delete;
    converted.labels = labels::from_hetzner(&image.labels);
    converted
}
