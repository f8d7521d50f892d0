//! Keeps the newest images of a name and deletes the others.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::num::NonZeroUsize;

use crate::provider::{
    Architecture, Error, Image, ImageStatus, Provider, ResourceId, Result, Selector, keys,
};

/// The result of a retention run.
#[derive(Debug)]
#[non_exhaustive]
pub struct Retained {
    /// The deleted images.
    pub deleted: Vec<ResourceId>,
    /// The images that could not be deleted, and why.
    pub failed: Vec<(ResourceId, Error)>,
}

/// Lists the available images of a name and architecture, the newest first.
///
/// # Errors
/// Those of [`Provider::images`].
pub async fn images(
    provider: &dyn Provider,
    name: &str,
    architecture: Architecture,
) -> Result<Vec<Image>> {
    let selector =
        Selector::all().with(keys::NAME, name).with(keys::ARCHITECTURE, architecture.as_str());
    let mut images = provider.images(&selector).await?;
    images.retain(|image| image.status == ImageStatus::Available);
    newest_first(&mut images);
    Ok(images)
}

/// Deletes all but the newest `keep` available images of a name and architecture. Protected images and
/// images of unknown age are kept and not counted; of images that were created in the same second
/// none counts as newer.
///
/// # Errors
/// Those of [`Provider::images`]; images that cannot be deleted are in [`Retained::failed`].
pub async fn keep_newest(
    provider: &dyn Provider,
    name: &str,
    architecture: Architecture,
    keep: NonZeroUsize,
) -> Result<Retained> {
    let images = images(provider, name, architecture).await?;
    let mut retained = Retained { deleted: Vec::new(), failed: Vec::new() };
    for image in superseded(images, keep, None) {
        let id = ResourceId::from(image.id);
        match provider.delete(&id).await {
            Ok(()) => retained.deleted.push(id),
            Err(error) => retained.failed.push((id, error)),
        }
    }
    Ok(retained)
}

/// The images that may be deleted: those than which at least `keep` images are known to be newer.
///
/// The image that a build returns, `returned`, is never among them, and counts as one of those that
/// are kept. An image that claims to be newer than it is kept, too: the clock of the machine that
/// created it may be ahead, or another process may just have returned it.
pub(crate) fn superseded(
    mut images: Vec<Image>,
    keep: NonZeroUsize,
    returned: Option<&Image>,
) -> Vec<Image> {
    images.retain(|image| {
        !image.protected && image.created != 0 && returned.is_none_or(|it| it.id != image.id)
    });
    let mut ages: Vec<_> = images.iter().map(|image| image.created).collect();
    ages.extend(returned.map(|image| image.created));
    images.retain(|image| {
        let newer = ages.iter().filter(|created| **created > image.created).count();
        let is_older = returned.is_none_or(|returned| returned.created > image.created);
        is_older && newer >= keep.get()
    });
    images
}

/// Sorts images by age, and images of the same age by id.
pub(crate) fn newest_first(images: &mut [Image]) {
    images.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{ImageId, Size};

    fn image(id: &str, created: u64) -> Image {
        let mut image = Image::new(ImageId::new(id), ImageStatus::Available, Size::gib(1));
        image.created = created;
        image
    }

    fn ids(images: Vec<Image>, keep: usize, returned: Option<&Image>) -> Vec<String> {
        let keep = NonZeroUsize::new(keep).unwrap();
        superseded(images, keep, returned).iter().map(|it| it.id.to_string()).collect()
    }

    #[test]
    fn only_images_that_are_known_to_be_older_are_deleted() {
        let all = || vec![image("a", 10), image("b", 20), image("c", 30)];
        assert_eq!(ids(all(), 1, None), ["a", "b"]);
        assert_eq!(ids(all(), 2, None), ["a"]);
        assert_eq!(ids(all(), 3, None), [""; 0]);
        // Created in the same second: neither is older.
        assert_eq!(ids(vec![image("a", 10), image("b", 10)], 1, None), [""; 0]);
        // Of unknown age.
        assert_eq!(ids(vec![image("a", 0), image("b", 10)], 1, None), [""; 0]);
        let mut protected = image("a", 10);
        protected.protected = true;
        assert_eq!(ids(vec![protected, image("b", 20)], 1, None), [""; 0]);
    }

    proptest::proptest! {
        #[test]
        fn the_returned_image_and_those_that_claim_to_be_newer_are_never_deleted(
            ages in proptest::collection::vec(0u64..6, 1..8), returned: usize, keep in 1usize..4,
        ) {
            let images: Vec<_> =
                ages.iter().enumerate().map(|(id, age)| image(&id.to_string(), *age)).collect();
            let returned = images[returned % images.len()].clone();
            let deleted = superseded(
                images.clone(), NonZeroUsize::new(keep).unwrap(), Some(&returned),
            );
            for image in &deleted {
                proptest::prop_assert_ne!(&image.id, &returned.id);
                proptest::prop_assert!(image.created != 0 && image.created < returned.created);
            }
            let kept = images.len() - deleted.len();
            proptest::prop_assert!(kept >= keep.min(images.len()));
        }
    }
}
