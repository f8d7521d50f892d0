use super::error::BuildErrorKind;
use super::events::{BuildEventKind, Phase};
use super::state::Build;
use crate::provider::{Image, ImageStatus, ResourceId, Vm};

/// Makes the image of the root disk of a VM that is off.
pub(super) async fn snapshot(build: &mut Build<'_>, vm: &Vm) -> Result<Image, BuildErrorKind> {
    build.enter_recorded(Phase::Image).await?;
    let spec = build.plan.image_spec(build.cx, &build.id);
    let reporter = build.events.reporter();
    build.journal.intend("image");
    let create = build.cx.provider.create_image(&vm.id, &spec, &reporter);
    // Some providers copy the disk inside this call, so that it may take as long as the image.
    let deadline = build.cx.config.deadlines.image;
    let image = build.call_within("make image of VM", &vm.id, deadline, create).await?;
    let resource = ResourceId::from(image.id.clone());
    build.journal.confirm("image", [resource.clone()]);
    build.events.send(BuildEventKind::Created { resource });
    Ok(image)
}

/// Waits until an image is available.
pub(super) async fn wait_available(
    build: &Build<'_>,
    image: Image,
) -> Result<Image, BuildErrorKind> {
    if image.status == ImageStatus::Available {
        return Ok(image);
    }
    let reporter = build.events.reporter();
    let wait = build.cx.provider.wait_image(&image.id, &reporter);
    build.wait("image", build.cx.config.deadlines.image, wait).await
}
