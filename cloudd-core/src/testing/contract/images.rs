//! Images, and VMs that are created from them.

use super::guest;
use super::harness::{Harness, exists, expect_kind, labels};
use crate::provider::{BootSpec, ErrorKind, ImageStatus, PowerState, ResourceId, Result, Selector};

pub(super) async fn life(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm_that_ran().await?;
    let image =
        harness.provider.create_image(&vm.id, &harness.image_spec(), &harness.silent).await?;
    let id = ResourceId::from(image.id.clone());
    assert!(harness.found().await?.contains(&id), "the image is not found by its label");
    let image = harness.provider.wait_image(&image.id, &harness.silent).await?;
    assert_eq!(image.status, ImageStatus::Available);
    assert_eq!(image.labels.get(crate::provider::keys::BUILD), Some(harness.build.as_str()));
    assert!(image.disk_size >= harness.fixture.requirements.volume_size, "{image:?}");
    harness.provider.delete(&vm.id.into()).await?;
    assert!(harness.provider.image(&image.id).await?.is_some(), "the image went with its VM");
    harness.provider.delete(&id).await?;
    assert_eq!(harness.provider.image(&image.id).await?, None);
    harness.provider.delete(&id).await
}

pub(super) async fn vm_is_kept(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm_that_ran().await?;
    let image =
        harness.provider.create_image(&vm.id, &harness.image_spec(), &harness.silent).await?;
    assert_ne!(image.status, ImageStatus::Broken, "{image:?}");
    let kept = harness.provider.vm(&vm.id).await?;
    assert!(kept.is_some(), "`create_image` deleted the VM; the build deletes it afterwards");
    let image = harness.provider.wait_image(&image.id, &harness.silent).await?;
    assert_eq!(image.status, ImageStatus::Available, "after `wait_image`");
    let found = harness.provider.image(&image.id).await?.map(|image| image.status);
    assert_eq!(found, Some(ImageStatus::Available), "`image` after `wait_image`");
    let kept = harness.provider.vm(&vm.id).await?;
    assert!(kept.is_some(), "`wait_image` deleted the VM; the build deletes it afterwards");
    Ok(())
}

pub(super) async fn not_of_running_vm(harness: Harness<'_>) -> Result<()> {
    let vm = harness.started_vm().await?;
    let refused =
        harness.provider.create_image(&vm.id, &harness.image_spec(), &harness.silent).await;
    expect_kind("an image of a running VM", refused, ErrorKind::Busy);
    Ok(())
}

pub(super) async fn one_a_build(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm_that_ran().await?;
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

pub(super) async fn protected_stays(harness: Harness<'_>) -> Result<()> {
    let Some(protect) = &harness.fixture.protect_image else { return Ok(()) };
    let vm = harness.vm_that_ran().await?;
    let image = harness.image_of(&vm.id).await?.id;
    protect.call((image.clone(), true)).await?;
    let refused = harness.provider.delete(&image.clone().into()).await;
    // First, so that a failure leaves no image behind that cannot be deleted.
    let found = harness.provider.image(&image).await?;
    protect.call((image.clone(), false)).await?;
    expect_kind("deleting a protected image", refused, ErrorKind::Protected);
    let Some(found) = found else { panic!("the protected image {image} was deleted") };
    assert!(found.protected, "`Image::protected` of a protected image: {found:?}");
    harness.provider.delete(&image.clone().into()).await?;
    assert_eq!(harness.provider.image(&image).await?, None);
    Ok(())
}

/// Creates a VM from the image of a VM that ran.
async fn boot_spec(harness: &Harness<'_>) -> Result<BootSpec> {
    let vm = harness.vm_that_ran().await?;
    let image = harness.image_of(&vm.id).await?;
    let name = format!("{}-check", harness.name());
    let architecture = harness.fixture.requirements.architecture;
    let own = labels(&harness.build);
    let mut spec = BootSpec::new(name, own, image.id, architecture, image.disk_size);
    spec.lease = Some(harness.lease("holder").await?);
    Ok(spec)
}

pub(super) async fn boots(harness: Harness<'_>) -> Result<()> {
    let spec = boot_spec(&harness).await?;
    let started = harness.provider.create_vm_from_image(&spec, &harness.silent).await?;
    let again = harness.provider.create_vm_from_image(&spec, &harness.silent).await?;
    assert_eq!(started.id, again.id, "the VM of the same build was not adopted");
    let found = exists(harness.provider.vm(&started.id).await?, &started.id);
    assert_eq!(found.state, PowerState::Off, "a created VM is off");
    harness.provider.start_vm(&started.id, &harness.silent).await?;
    harness.provider.delete(&started.id.clone().into()).await?;
    assert_eq!(harness.provider.vm(&started.id).await?, None);
    assert!(
        harness.provider.image(&spec.image).await?.is_some(),
        "the image was deleted with the VM"
    );
    Ok(())
}

pub(super) async fn console_of_booted(harness: Harness<'_>) -> Result<()> {
    let spec = boot_spec(&harness).await?;
    let vm = harness.provider.create_vm_from_image(&spec, &harness.silent).await?;
    harness.provider.start_vm(&vm.id, &harness.silent).await?;
    guest::expect_console(&harness, &vm.id, "a VM that was created from an image").await
}
