//! Keeps the newest images of a name and deletes the others.

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

/// Deletes all but the newest `keep` available images of a name and architecture. Protected images
/// are kept and not counted.
///
/// # Errors
/// Those of [`Provider::images`]; images that cannot be deleted are in [`Retained::failed`].
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

/// Sorts images by age, and images of the same age by id.
pub(crate) fn newest_first(images: &mut [Image]) {
    images.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
}
