//! Images, which are snapshots.

use cloudd_core::provider::{
    BuildId, Error, ErrorKind, Image, ImageId, ImageSpec, ImageStatus, Reporter, Result,
};
use cloudd_core::wait::{self, Pace};

use super::{ACTION, Hcloud, NO_DEADLINE, choice, labels, vm};
use crate::client::{ActionWait, Made};
use crate::schema::{self, CreateImage, Label, ServerId, ServerStatus};

/// A label that no other snapshot has: snapshots have no unique name, and one whose answer was lost
/// is found by it.
const NONCE: &str = "cloudd/nonce";

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
                .on(server)
                .message(format_args!("the server is not off but {status}")));
        }
        let nonce = Label::new(NONCE, BuildId::random().as_str())?;
        let mut own = labels::to_hetzner(&spec.labels);
        own.insert(nonce.key().to_owned(), nonce.value().to_owned());
        let wish = CreateImage::new(&spec.description).labels(own);
        let Made { resource, actions, .. } =
            self.client().create_image(server, &wish, &nonce).await?;
        self.known().note_image(resource.id, actions);
        let mut image = of(&resource);
        // Whatever the API says: not before its action has ended.
        image.status = ImageStatus::Creating;
        Ok(image)
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
        let image = wait::until("wait for image", id, Pace::STEADY, || async {
            match self.client().find_image(id).await? {
                Some(found) => match of(&found) {
                    image if image.status == ImageStatus::Available => Ok(Some(image)),
                    image if image.status == ImageStatus::Broken => Err(wait::broken(id)),
                    _ => Ok(None),
                },
                None => Err(wait::vanished(id)),
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
    made.labels = labels::of_hetzner(&image.labels);
    made
}
