//! Images and what is started from them.

use super::{Bench, exists, labels};
use crate::provider::{BootSpec, ImageStatus, PowerState, Result, Selector};

pub(super) async fn one_a_build(bench: Bench<'_>) -> Result<()> {
    let vm = bench.vm_that_ran().await?;
    let spec = bench.image_spec();
    let first = bench.provider.create_image(&vm.id, &spec, &bench.silent).await?;
    let again = bench.provider.create_image(&vm.id, &spec, &bench.silent).await?;
    assert_eq!(first.id, again.id, "a second image of one build");
    bench.provider.wait_image(&first.id, &bench.silent).await?;
    let images = bench.provider.images(&Selector::build(&bench.build)).await?;
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0].status, ImageStatus::Available);
    Ok(())
}

pub(super) async fn boots(bench: Bench<'_>) -> Result<()> {
    let vm = bench.vm_that_ran().await?;
    let image = bench.provider.create_image(&vm.id, &bench.image_spec(), &bench.silent).await?;
    let image = bench.provider.wait_image(&image.id, &bench.silent).await?;
    let name = format!("{}-check", bench.name());
    let architecture = bench.fixture.requirements.architecture;
    let own = labels(&bench.build);
    let mut spec = BootSpec::new(name, own, image.id.clone(), architecture, image.disk_size);
    spec.lease = Some(bench.lease("holder").await?);
    let started = bench.provider.create_vm_from_image(&spec, &bench.silent).await?;
    let again = bench.provider.create_vm_from_image(&spec, &bench.silent).await?;
    assert_eq!(started.id, again.id, "the VM of the same build was not adopted");
    let found = exists(bench.provider.vm(&started.id).await?, &started.id);
    assert_eq!(found.state, PowerState::Off, "a created VM is off");
    bench.provider.start_vm(&started.id, &bench.silent).await?;
    bench.provider.delete(&started.id.clone().into()).await?;
    assert_eq!(bench.provider.vm(&started.id).await?, None);
    assert!(bench.provider.image(&image.id).await?.is_some(), "the image went with the VM");
    Ok(())
}
