//! Images, and VMs that are created from them.

use super::{Harness, exists, labels};
use crate::provider::{BootSpec, ImageStatus, PowerState, Result, Selector};

pub(super) async fn one_a_build(harness: Harness<'_>) -> Result<()> {
    let Some(vm) = harness.vm_that_ran().await? else { return Ok(()) };
    let spec = harness.image_spec();
    let first = harness.provider.create_image(&vm.id, &spec, &harness.silent).await?;
    let again = harness.provider.create_image(&vm.id, &spec, &harness.silent).await?;
    assert_eq!(first.id, again.id, "a second image of one build");
    harness.provider.wait_image(&first.id, &harness.silent).await?;
    let images = harness.provider.images(&Selector::build(&harness.build)).await?;
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0].status, ImageStatus::Available);
    Ok(())
}

pub(super) async fn boots(harness: Harness<'_>) -> Result<()> {
    let Some(vm) = harness.vm_that_ran().await? else { return Ok(()) };
    let image =
        harness.provider.create_image(&vm.id, &harness.image_spec(), &harness.silent).await?;
    let image = harness.provider.wait_image(&image.id, &harness.silent).await?;
    let name = format!("{}-check", harness.name());
    let architecture = harness.fixture.requirements.architecture;
    let own = labels(&harness.build);
    let mut spec = BootSpec::new(name, own, image.id.clone(), architecture, image.disk_size);
    spec.lease = Some(harness.lease("holder").await?);
    let started = harness.provider.create_vm_from_image(&spec, &harness.silent).await?;
    let again = harness.provider.create_vm_from_image(&spec, &harness.silent).await?;
    assert_eq!(started.id, again.id, "the VM of the same build was not adopted");
    let found = exists(harness.provider.vm(&started.id).await?, &started.id);
    assert_eq!(found.state, PowerState::Off, "a created VM is off");
    harness.provider.start_vm(&started.id, &harness.silent).await?;
    harness.provider.delete(&started.id.clone().into()).await?;
    assert_eq!(harness.provider.vm(&started.id).await?, None);
    assert!(
        harness.provider.image(&image.id).await?.is_some(),
        "the image was deleted with the VM"
    );
    Ok(())
}
