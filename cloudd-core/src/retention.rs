//! Keeping the newest images of a name and deleting the others.

use std::num::NonZeroUsize;

use crate::provider::{
    Architecture, Error, Image, ImageStatus, Provider, ResourceId, Result, Selector, keys,
};

/// What became of the images that were not to be kept.
#[derive(Debug)]
#[non_exhaustive]
pub struct Retained {
    /// What was deleted.
    pub deleted: Vec<ResourceId>,
    /// What was not, and why.
    pub failed: Vec<(ResourceId, Error)>,
}

/// The images of a name and architecture that are available, the newest first.
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

/// Deletes all but the newest `keep` available images of a name and architecture. Protected ones
/// stay, and do not count.
///
/// # Errors
/// Those of [`Provider::images`]; what cannot be deleted is in [`Retained::failed`].
pub async fn keep_newest(
    provider: &dyn Provider,
    name: &str,
    architecture: Architecture,
    keep: NonZeroUsize,
) -> Result<Retained> {
    let mut images = images(provider, name, architecture).await?;
    images.retain(|image| !image.protected);
    let mut retained = Retained { deleted: Vec::new(), failed: Vec::new() };
    for image in images.into_iter().skip(keep.get()) {
        let id = ResourceId::from(image.id);
        match provider.delete(&id).await {
            Ok(()) => retained.deleted.push(id),
            Err(error) => retained.failed.push((id, error)),
        }
    }
    Ok(retained)
}

/// Sorts images by age; of the same age, by id.
pub(crate) fn newest_first(images: &mut [Image]) {
    images.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
}
