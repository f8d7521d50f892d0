//! Images that exist already.

use super::ReusePolicy;
use super::error::Cause;
use super::plan::Planned;
use super::run::Run;
use crate::provider::{Image, ImageStatus, ResourceId, Selector, keys};
use crate::retention;

/// What the label of a passed boot check says.
pub(super) const PASSED: &str = "passed";

/// The image that makes a build needless.
pub(super) async fn image(run: &Run<'_>, planned: &Planned) -> Result<Option<Image>, Cause> {
    let images = available(run, planned).await?;
    let wants_check = run.builder.boot_check.is_some();
    let passed = |image: &Image| image.labels.get(keys::BOOT_CHECK) == Some(PASSED);
    Ok(images.into_iter().find(|image| !wants_check || passed(image)))
}

/// Whether an image is still there to be handed out: somebody may have deleted it since it was found.
pub(super) async fn is_there(run: &Run<'_>, image: &Image) -> Result<bool, Cause> {
    let look = run.provider.image(&image.id);
    let found = run.wait("answer of the provider", run.builder.deadlines.call, look).await?;
    Ok(found.is_some_and(|found| found.status == ImageStatus::Available))
}

/// An image that only lacks the boot check.
pub(super) async fn unchecked(run: &Run<'_>, planned: &Planned) -> Result<Option<Image>, Cause> {
    if run.builder.boot_check.is_none() {
        return Ok(None);
    }
    Ok(available(run, planned).await?.into_iter().next())
}

/// Those that may be used in place of a new one, the newest first.
async fn available(run: &Run<'_>, planned: &Planned) -> Result<Vec<Image>, Cause> {
    let selector = match run.builder.existing {
        ReusePolicy::SameInputs => Selector::fingerprint(&planned.fingerprint),
        ReusePolicy::SameName => of_name(run),
        ReusePolicy::Never | ReusePolicy::Replace => return Ok(Vec::new()),
    };
    let mut images = find(run, &selector).await?;
    images.retain(|image| image.status == ImageStatus::Available);
    Ok(images)
}

/// Deletes what a new image stands in for, protected ones excepted. A failure is told and does not
/// fail the build: the image is there.
pub(super) async fn replace(run: &Run<'_>, planned: &Planned, new: &Image) {
    if run.builder.existing == ReusePolicy::Replace {
        let old = same(run, planned).await;
        for image in old.unwrap_or_default() {
            if image.id == new.id || image.protected {
                continue;
            }
            let id = ResourceId::from(image.id);
            if let Err(cause) = run.delete_found(&id).await {
                run.sink.note(format!("the old {id} stays: {cause}"));
            }
        }
    }
    let Some(keep) = run.builder.keep_newest else { return };
    let (name, architecture) = (&run.builder.name, run.builder.architecture);
    match retention::keep_newest(run.provider, name, architecture, keep).await {
        Ok(retained) => {
            for id in retained.deleted {
                run.deleted(&id);
            }
            for (id, error) in retained.failed {
                run.sink.note(format!("the old {id} stays: {error}"));
            }
        }
        Err(error) => run.sink.note(format!("old images stay: {error}")),
    }
}

/// All images that were made from the same, the newest first.
pub(super) async fn same(run: &Run<'_>, planned: &Planned) -> Result<Vec<Image>, Cause> {
    find(run, &Selector::fingerprint(&planned.fingerprint)).await
}

fn of_name(run: &Run<'_>) -> Selector {
    Selector::all()
        .with(keys::NAME, &run.builder.name)
        .with(keys::ARCHITECTURE, run.builder.architecture.as_str())
}

/// The newest first.
async fn find(run: &Run<'_>, selector: &Selector) -> Result<Vec<Image>, Cause> {
    let images = run.provider.images(selector);
    let mut images = run.wait("answer of the provider", run.builder.deadlines.call, images).await?;
    retention::newest_first(&mut images);
    Ok(images)
}
