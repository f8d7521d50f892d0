use super::Phase;
use super::error::Cause;
use super::plan::Planned;
use super::run::Run;
use crate::provider::{Image, ImageSpec, ImageStatus, Vm};

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
        run.mark(&vm, "image").await?;
        let spec = ImageSpec::new(
            &run.builder.name,
            &planned.description,
            planned.image_labels,
            run.builder.architecture,
        );
        let reporter = run.sink.reporter();
        let create = run.provider.create_image(&vm.id, &spec, &reporter);
        // Some providers copy the disk inside this call, so it may take what an image may take.
        let deadline = run.builder.deadlines.image;
        let image = run.call_within("make image of VM", &vm.id, deadline, create).await?;
        run.created(image.id.clone());
        let available = async {
            match image.status {
                ImageStatus::Available => Ok(image),
                _ => run.provider.wait_image(&image.id, &reporter).await,
            }
        };
        // Cancelled while the image was made: it goes, too.
        run.wait("image", run.builder.deadlines.image, available).await
    }
}
