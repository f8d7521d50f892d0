use super::Phase;
use super::claim::phase;
use super::error::Cause;
use super::plan::Planned;
use super::run::Run;
use crate::provider::{Image, ImageStatus, Vm};

/// A VM that went off after its root disk was written and verified.
pub(super) struct PoweredOff {
    pub(super) planned: Planned,
    pub(super) vm: Vm,
}

impl PoweredOff {
    /// Makes the image of the root disk and waits until it is available.
    pub(super) async fn capture(self, run: &Run<'_>) -> Result<Image, Cause> {
        run.enter(Phase::Image);
        let Self { planned, vm } = self;
        run.mark(phase::IMAGE).await?;
        let spec = planned.image_spec(run);
        let reporter = run.sink.reporter();
        let create = run.provider.create_image(&vm.id, &spec, &reporter);
        // Some providers copy the disk inside this call, so it may take what an image may take.
        let deadline = run.builder.deadlines.image;
        let image = run.call_within("make image of VM", &vm.id, deadline, create).await?;
        run.created(image.id.clone());
        available(run, image).await
    }
}

/// Waits until an image is available. Cancelled meanwhile: it goes, too.
pub(super) async fn available(run: &Run<'_>, image: Image) -> Result<Image, Cause> {
    if image.status == ImageStatus::Available {
        return Ok(image);
    }
    let reporter = run.sink.reporter();
    let wait = run.provider.wait_image(&image.id, &reporter);
    run.wait("image", run.builder.deadlines.image, wait).await
}
