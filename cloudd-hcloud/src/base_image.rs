//! The image that builder VMs are created from.

use std::fmt;
use std::time::Duration;

use cloudd_core::provider::{Architecture, Error, ErrorKind, Result};

use crate::client::{Client, ImageFilter};
use crate::convert;
use crate::schema::{Image, ImageId, ImageStatus, ImageType, Selector};

/// The image that builder VMs are created from.
///
/// It needs cloud-init, podman or the means to install it, and dracut for every way into stage 2
/// other than `exitrd`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum BaseImage {
    /// The Fedora with the highest version that Hetzner offers and has not deprecated.
    #[default]
    NewestFedora,
    /// The Debian with the highest version that Hetzner offers and has not deprecated.
    NewestDebian,
    /// The public image of this name, such as `fedora-43`.
    Name(String),
    /// The image with this id, public or a snapshot.
    Id(u64),
    /// The newest available snapshot with this label.
    Label {
        /// The key of the label.
        key: String,
        /// The value of the label.
        value: String,
    },
}

impl fmt::Display for BaseImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewestFedora => f.write_str("newest Fedora"),
            Self::NewestDebian => f.write_str("newest Debian"),
            Self::Name(name) => write!(f, "image {name}"),
            Self::Id(id) => write!(f, "image {id}"),
            Self::Label { key, value } => write!(f, "snapshot labelled {key}={value}"),
        }
    }
}

impl BaseImage {
    /// Finds the image for an architecture. Builds that start together share one list of images,
    /// which is at most `max_age` old; an image that is given by its id is read each time.
    pub(crate) async fn resolve(
        &self,
        client: &Client,
        architecture: Architecture,
        max_age: Duration,
    ) -> Result<Image> {
        let wanted = convert::architecture(architecture)?;
        let filter = ImageFilter::new().architecture(wanted.clone());
        let image = match self {
            Self::NewestFedora | Self::NewestDebian => {
                let flavor = if *self == Self::NewestDebian { "debian" } else { "fedora" };
                let filter = filter.kind(ImageType::System);
                newest(&client.cached_images(&filter, max_age).await?, flavor).cloned()
            }
            Self::Name(name) => {
                let filter = filter.kind(ImageType::System).name(name);
                client.cached_images(&filter, max_age).await?.first().cloned()
            }
            Self::Id(id) => client.find_image(ImageId(*id)).await?,
            Self::Label { key, value } => {
                let filter = filter.kind(ImageType::Snapshot).status(ImageStatus::Available);
                let filter = filter.selector(Selector::new().equals(key, value));
                let images = client.cached_images(&filter, max_age).await?;
                images.iter().max_by_key(|image| (image.created, image.id)).cloned()
            }
        };
        let invalid = |reason: &str| {
            Error::new(ErrorKind::InvalidInput, "find base image")
                .with_resource(self)
                .with_message(reason)
        };
        let Some(image) = image else {
            return Err(invalid(&format!("there is no such image for {architecture}")));
        };
        if image.architecture.as_ref().is_some_and(|has| *has != wanted) {
            return Err(invalid(&format!("the image is not for {architecture}")));
        }
        if image.status != ImageStatus::Available {
            return Err(invalid(&format!("the status of the image is {}", image.status)));
        }
        Ok(image)
    }
}

/// Identifies an image for people. The id comes first, because two architectures
/// share a name, and so do a public image and its later replacement.
pub(crate) fn identity(image: &Image) -> String {
    let name = image.name.as_deref().filter(|name| !name.is_empty());
    format!("{} {}", image.id, name.unwrap_or(&image.description)).trim_end().to_owned()
}

/// The available image of a distribution with the highest version, and of these the one with the
/// highest id. Deprecated images are left out, and versions that are not a number, such as `rawhide`.
fn newest<'a>(images: &'a [Image], os_flavor: &str) -> Option<&'a Image> {
    let version = |image: &Image| image.os_version.as_deref()?.parse::<u32>().ok();
    images
        .iter()
        .filter(|image| image.os_flavor == os_flavor && !image.is_deprecated())
        .filter(|image| image.status == ImageStatus::Available)
        .filter_map(|image| Some((version(image)?, image)))
        .max_by_key(|(version, image)| (*version, image.id))
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
    fn the_newest_image_of_a_distribution_is_its_highest_version_that_is_not_deprecated() {
        let images = vec![
            image(1, r#","os_flavor":"fedora","os_version":"9""#),
            image(2, r#","os_flavor":"fedora","os_version":"43""#),
            image(3, r#","os_flavor":"fedora","os_version":"44","deprecation":{}"#),
            image(4, r#","os_flavor":"fedora","os_version":"rawhide""#),
            image(5, r#","os_flavor":"ubuntu","os_version":"124""#),
            image(6, r#","os_flavor":"debian","os_version":"13""#),
            image(7, r#","os_flavor":"debian","os_version":"9""#),
            image(8, r#","os_flavor":"debian","os_version":"14","deprecation":{}"#),
        ];
        assert_eq!(newest(&images, "fedora").unwrap().id, ImageId(2));
        assert_eq!(newest(&images, "debian").unwrap().id, ImageId(6));
        assert_eq!(newest(&[], "fedora"), None);
    }

    #[test]
    fn an_identity_contains_the_id_and_the_name() {
        let fedora = image(7, r#","name":"fedora-43""#);
        assert_eq!(identity(&fedora), "7 fedora-43");
        assert_eq!(identity(&image(8, "")), "8");
    }
}
