//! What builder VMs begin with.

use std::cmp::Reverse;
use std::fmt;

use cloudd_core::provider::{Architecture, Error, ErrorKind, Result};

use super::architecture;
use crate::client::{Client, ImageFilter};
use crate::schema::{Image, ImageId, ImageStatus, ImageType, Selector};

/// What builder VMs begin with: an image with cloud-init, podman or the means to install it, and,
/// for ways into stage 2 other than `exitrd`, dracut.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BaseImage {
    /// The newest Fedora that Hetzner offers and has not announced to withdraw.
    #[default]
    NewestFedora,
    /// The public image of this name, such as `fedora-43`.
    Name(String),
    /// The image with this number, public or a snapshot.
    Id(u64),
    /// The newest available snapshot with this label.
    Label {
        /// The label's key.
        key: String,
        /// The label's value.
        value: String,
    },
}

impl fmt::Display for BaseImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewestFedora => f.write_str("newest Fedora"),
            Self::Name(name) => write!(f, "image {name}"),
            Self::Id(id) => write!(f, "image {id}"),
            Self::Label { key, value } => write!(f, "snapshot labelled {key}={value}"),
        }
    }
}

impl BaseImage {
    /// Finds the image for an architecture.
    pub(super) async fn resolve(&self, client: &Client, wanted: Architecture) -> Result<Image> {
        let on = architecture::of_hetzner(wanted)?;
        let filter = ImageFilter::new().architecture(on.clone());
        let image = match self {
            Self::NewestFedora => {
                let images = client.images(&filter.kind(ImageType::System)).await?;
                newest_fedora(images)
            }
            Self::Name(name) => {
                let images = client.images(&filter.kind(ImageType::System).name(name)).await?;
                images.into_iter().next()
            }
            Self::Id(id) => client.find_image(ImageId(*id)).await?,
            Self::Label { key, value } => {
                let filter = filter.kind(ImageType::Snapshot).status(ImageStatus::Available);
                let filter = filter.selector(Selector::new().equals(key, value));
                let images = client.images(&filter).await?;
                images.into_iter().max_by_key(|image| (image.created, image.id))
            }
        };
        let unfit = |why: &str| {
            Error::new(ErrorKind::InvalidInput, "find base image")
                .with_resource(self)
                .with_message(why)
        };
        let Some(image) = image else {
            return Err(unfit(&format!("there is none for {wanted}")));
        };
        if image.architecture.as_ref().is_some_and(|has| *has != on) {
            return Err(unfit(&format!("it is not for {wanted}")));
        }
        if image.status != ImageStatus::Available {
            return Err(unfit(&format!("it is {}", image.status)));
        }
        Ok(image)
    }
}

/// How a base image stands in an [`ResolvedBuilder`](cloudd_core::provider::ResolvedBuilder): the number first, as the
/// name is shared by architectures and by what Hetzner puts in an image's place.
pub(super) fn identity(image: &Image) -> String {
    let name = image.name.as_deref().filter(|name| !name.is_empty());
    format!("{} {}", image.id, name.unwrap_or(&image.description)).trim_end().to_owned()
}

/// The number in an [`identity`].
pub(super) fn id(identity: &str) -> Result<ImageId> {
    let number = identity.split(' ').next().unwrap_or_default();
    number.parse().map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "create VM")
            .with_message(format_args!("the offer's base {identity:?} is not of this provider"))
    })
}

fn newest_fedora(images: Vec<Image>) -> Option<Image> {
    let fedora = |image: &Image| image.os_flavor == "fedora" && !image.is_deprecated();
    // Before the rest of the rule: a version that is no number, such as `rawhide`, is none to build
    // on.
    let version = |image: &Image| image.os_version.as_deref()?.parse::<u32>().ok();
    images
        .into_iter()
        .filter(|image| fedora(image) && image.status == ImageStatus::Available)
        .filter_map(|image| Some((version(&image)?, image)))
        .min_by_key(|(version, image)| Reverse((*version, image.id)))
        .map(|(_, image)| image)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(id: u64, rest: &str) -> Image {
        let text = format!(r#"{{"id":{id},"type":"system","status":"available"{rest}}}"#);
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_newest_fedora_is_the_highest_version_that_is_not_withdrawn() {
        let images = vec![
            image(1, r#","os_flavor":"fedora","os_version":"9""#),
            image(2, r#","os_flavor":"fedora","os_version":"43""#),
            image(3, r#","os_flavor":"fedora","os_version":"44","deprecation":{}"#),
            image(4, r#","os_flavor":"fedora","os_version":"rawhide""#),
            image(5, r#","os_flavor":"ubuntu","os_version":"124""#),
        ];
        assert_eq!(newest_fedora(images).unwrap().id, ImageId(2));
        assert_eq!(newest_fedora(Vec::new()), None);
    }

    #[test]
    fn an_identity_holds_the_number_and_the_name() {
        let fedora = image(7, r#","name":"fedora-43""#);
        assert_eq!(identity(&fedora), "7 fedora-43");
        assert_eq!(id(&identity(&fedora)).unwrap(), ImageId(7));
        assert_eq!(identity(&image(8, "")), "8");
        assert_eq!(id("memory x86_64").unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}
