//! Images, which are snapshots.

use cloudd_core::provider::{
    Error, ErrorKind, Image, ImageId, ImageSpec, ImageStatus, Labels, Reporter, Result, Selector,
    keys,
};
use cloudd_core::retry::{self, Backoff};

use super::{ACTION, Hcloud, NO_DEADLINE, choice, labels, vm};
use crate::client::{ActionWait, Made};
use crate::schema::{self, CreateImage, ServerId, ServerStatus};

impl Hcloud {
    /// Begins a snapshot of a server that is off.
    pub(super) async fn snapshot(&self, server: ServerId, spec: &ImageSpec) -> Result<Image> {
        const CREATE: &str = "create image";
        let status = match self.known().server_status(server) {
            Some(status) => status,
            None => self.client().server(server).await?.status,
        };
        if status != ServerStatus::Off {
            return Err(Error::new(ErrorKind::Busy, CREATE)
                .with_resource(server)
                .with_message(format_args!("the server is not off but {status}")));
        }
        // Snapshots have no unique name; a build has one snapshot, which is found by its label.
        let mine = labels::build_label(CREATE, &spec.labels)?;
        if !self.known().has_no_image_yet(server)
            && let Some(made) = self.made_before(&spec.labels).await?
        {
            return Ok(made);
        }
        let wish = CreateImage::new(&spec.description).labels(labels::to_hetzner(&spec.labels));
        let Made { resource, actions, .. } =
            self.client().create_image(server, &wish, &mine).await?;
        self.known().note_image(resource.id, actions);
        let mut image = of(&resource);
        // Whatever the API says: not before its action has ended.
        image.status = ImageStatus::Creating;
        Ok(image)
    }

    /// The snapshot that an earlier process, or an earlier call, has made or begun for this build. One
    /// that came to nothing is deleted.
    async fn made_before(&self, labels: &Labels) -> Result<Option<Image>> {
        let build = labels.get(keys::BUILD).unwrap_or_default();
        for image in self.found_images(&Selector::all().with(keys::BUILD, build)).await? {
            if image.status != schema::ImageStatus::Unavailable {
                return Ok(Some(of(&image)));
            }
            self.delete_image(image.id).await?;
        }
        Ok(None)
    }

    /// Waits until a snapshot can be used.
    pub(super) async fn available_image(
        &self,
        id: schema::ImageId,
        reporter: &Reporter,
    ) -> Result<Image> {
        let actions = self.known().image_actions(id);
        let wait = ActionWait::new(actions, NO_DEADLINE)
            .on_progress(|action| vm::percent(action, reporter));
        self.client().wait(wait).await?;
        let image = retry::poll_until("wait for image", id, Backoff::STEADY, || async {
            // From the list that tells of the images of all builds.
            let all = self.found_images(&Selector::all()).await?;
            match all.iter().find(|image| image.id == id) {
                Some(found) => match of(found) {
                    image if image.status == ImageStatus::Available => Ok(Some(image)),
                    image if image.status == ImageStatus::Broken => Err(Error::image_broken(id)),
                    _ => Ok(None),
                },
                None => Err(Error::gone(id)),
            }
        })
        .await?;
        self.known().forget_image(id);
        if let Some(protection) = self.config().protection {
            let action = self.client().protect_image(id, protection).await?;
            self.client().wait(ActionWait::new([action], ACTION)).await?;
        }
        Ok(image)
    }

    pub(super) async fn delete_image(&self, id: schema::ImageId) -> Result<()> {
        self.client().delete_image(id).await?;
        self.known().forget_image(id);
        Ok(())
    }
}

/// A snapshot as the core has it.
pub(super) fn of(image: &schema::Image) -> Image {
    let status = match image.status {
        schema::ImageStatus::Available => ImageStatus::Available,
        schema::ImageStatus::Unavailable => ImageStatus::Broken,
        _ => ImageStatus::Creating,
    };
    let disk = choice::disk_size(image.disk_size);
    let mut made = Image::new(ImageId::new(image.id.to_string()), status, disk);
    made.created = image.created.map_or(0, schema::Timestamp::as_unix);
    made.protected = image.protection.delete;
    made.labels = labels::of_hetzner(&image.labels);
    made
}
