//! Images that exist already: which one makes a build unnecessary, and which ones a new image
//! replaces.

use super::context::BuildContext;
use super::error::BuildErrorKind;
use super::plan::BuildPlan;
use super::policy::{PASSED, ReusePolicy};
use super::state::Build;
use crate::provider::{Image, ImageStatus, ResourceId, Selector, keys};
use crate::retention;

/// The image that makes a build unnecessary.
pub(super) async fn find_image(
    cx: &BuildContext,
    plan: &BuildPlan,
) -> Result<Option<Image>, BuildErrorKind> {
    let images = candidates(cx, plan).await?;
    let needs_check = cx.config.boot_check.is_some();
    let passed = |image: &Image| image.labels.get(keys::BOOT_CHECK) == Some(PASSED);
    Ok(images.into_iter().find(|image| !needs_check || passed(image)))
}

/// An image that lacks only the boot check.
pub(super) async fn find_unchecked(
    cx: &BuildContext,
    plan: &BuildPlan,
) -> Result<Option<Image>, BuildErrorKind> {
    if cx.config.boot_check.is_none() {
        return Ok(None);
    }
    Ok(candidates(cx, plan).await?.into_iter().next())
}

/// Whether an image that was found still exists: it may have been deleted since.
pub(super) async fn is_available(cx: &BuildContext, image: &Image) -> Result<bool, BuildErrorKind> {
    let found = cx.read(cx.provider.image(&image.id)).await?;
    Ok(found.is_some_and(|found| found.status == ImageStatus::Available))
}

/// A note about an image whose disk is larger than that of an image that would be built now: it does
/// not suit every server type that a new one would suit. Such an image is used all the same, because
/// its content is that of a new one.
pub(super) fn larger_disk(plan: &BuildPlan, image: &Image) -> Option<String> {
    let (has, wanted) = (image.disk_size, plan.resolved.root_size);
    (has > wanted).then(|| {
        format!(
            "image {} has a disk of {has}, and a new one would have {wanted}: no server with a disk \
             of less than {has} can be created from it; ReusePolicy::Replace or \
             ReusePolicy::Never makes a new one",
            image.id
        )
    })
}

/// The available images that may be used in place of a new one, the newest first.
async fn candidates(cx: &BuildContext, plan: &BuildPlan) -> Result<Vec<Image>, BuildErrorKind> {
    let selector = match cx.config.reuse {
        ReusePolicy::SameInputs => Selector::fingerprint(&plan.fingerprint),
        ReusePolicy::SameName => Selector::all()
            .with(keys::NAME, &cx.config.name)
            .with(keys::ARCHITECTURE, cx.config.architecture.as_str()),
        ReusePolicy::Never | ReusePolicy::Replace => return Ok(Vec::new()),
    };
    let mut images = cx.read(cx.provider.images(&selector)).await?;
    images.retain(|image| image.status == ImageStatus::Available);
    retention::newest_first(&mut images);
    Ok(images)
}

/// All images with the same fingerprint, the newest first.
pub(super) async fn same_inputs(
    cx: &BuildContext,
    plan: &BuildPlan,
) -> Result<Vec<Image>, BuildErrorKind> {
    let mut images = cx.read(cx.provider.images(&Selector::fingerprint(&plan.fingerprint))).await?;
    retention::newest_first(&mut images);
    Ok(images)
}

/// Deletes the unprotected images that a new one replaces. A failure becomes a note: the new image is
/// available.
pub(super) async fn delete_replaced(build: &mut Build<'_>, new: &Image) {
    let config = &build.cx.config;
    if config.reuse == ReusePolicy::Replace {
        let old = same_inputs(build.cx, build.plan).await;
        for image in old.unwrap_or_default() {
            if image.id == new.id || image.protected {
                continue;
            }
            let id = ResourceId::from(image.id);
            if let Err(error) = build.delete(&id).await {
                build.events.note(format!("the old {id} was not deleted: {error}"));
            }
        }
    }
    let Some(keep) = config.keep_newest else { return };
    let named = retention::images(build.cx.provider.as_ref(), &config.name, config.architecture);
    let named = match build.cx.read(named).await {
        Ok(images) => images,
        Err(error) => return build.events.note(format!("old images were not deleted: {error}")),
    };
    for image in retention::superseded(named, keep, Some(new)) {
        let id = ResourceId::from(image.id);
        if let Err(error) = build.delete(&id).await {
            build.events.note(format!("the old {id} was not deleted: {error}"));
        }
    }
}
