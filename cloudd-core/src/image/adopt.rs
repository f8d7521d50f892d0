//! Where a build stands whose process died.

use super::claim::phase;
use super::error::Cause;
use super::plan::Planned;
use super::run::Run;
use crate::provider::{
    Image, ImageStatus, Labels, PowerState, Resource, ResourceId, Selector, Vm, keys,
};

/// How far a build is.
pub(super) enum Standing {
    /// There is nothing, or a volume and a VM that was never started: both are found by name.
    Nothing,
    /// The VM was started: it runs, or it is off because it is done, or because it failed.
    Started(Vm),
    /// The root disk was written and verified, and the VM is off.
    Done(Vm),
    /// The image is being made, or is available.
    Image(Image),
}

/// The label of a VM that was started from the image.
pub(super) const CHECK: &str = "check";

/// Reads from the cloud how far the build of a dead process is, and removes what cannot be gone on
/// with. `claimed` are the labels of its claim.
///
/// | what there is | goes on with |
/// |---|---|
/// | an available image of this build | the image |
/// | one being made, and no VM | waiting for it |
/// | a VM that runs | following it |
/// | a VM that is off, labelled `image` | making the image |
/// | a VM that is off and was started | its last words, where they can be read |
/// | a VM that is off and was not started | starting it |
/// | a VM that is off, and nobody knows | building anew: "off" before the first start is no success |
/// | a VM whose keys nobody has, and that needs to be spoken with | building anew |
/// | a VM that the provider has stopped | building anew |
pub(super) async fn standing(
    run: &Run<'_>,
    planned: &Planned,
    claimed: &Labels,
) -> Result<Standing, Cause> {
    // A build with a boot check may have left the VM that it tried the image with.
    let (builder, checks) = vms(run).await?;
    for vm in checks {
        run.delete_found(&vm.id.into()).await?;
    }
    let selector = Selector::build(&run.build());
    let images = run.provider.images(&selector);
    let images = run.wait("answer of the provider", run.builder.deadlines.call, images).await?;
    let image = images.iter().find(|image| image.status == ImageStatus::Available);
    if let Some(image) = image {
        return Ok(Standing::Image(image.clone()));
    }
    let Some(vm) = builder else {
        let being_made = images.iter().find(|image| image.status == ImageStatus::Creating);
        return match being_made {
            Some(image) => Ok(Standing::Image(image.clone())),
            None => {
                remove(run, "its VM is gone").await?;
                Ok(Standing::Nothing)
            }
        };
    };
    let needs_keys = planned.speaks_ssh() && run.provider.build_secret(&run.build()).is_none();
    let reached = claimed.get(keys::PHASE).unwrap_or_default();
    match &vm.state {
        PowerState::Running | PowerState::Changing if needs_keys && planned.uploads() => {
            remove(run, "nobody has the keys of its VM any more").await?;
        }
        PowerState::Running | PowerState::Changing => return Ok(Standing::Started(vm)),
        PowerState::Error(reason) => {
            remove(run, &format!("its VM is stopped: {reason}")).await?;
        }
        PowerState::Off if reached == phase::IMAGE => return Ok(Standing::Done(vm)),
        PowerState::Off => match vm.started {
            Some(true) => return Ok(Standing::Started(vm)),
            Some(false) if needs_keys => {
                remove(run, "nobody has the keys of its VM any more").await?;
            }
            Some(false) => {}
            None if reached == phase::PROVISION && !needs_keys => {}
            None => {
                remove(run, "its VM is off, and nobody knows whether it ever ran").await?;
            }
        },
    }
    Ok(Standing::Nothing)
}

/// The builder VM of the build, and the VMs that were started from its image.
async fn vms(run: &Run<'_>) -> Result<(Option<Vm>, Vec<Vm>), Cause> {
    let (mut builder, mut checks) = (None, Vec::new());
    for found in found(run).await? {
        let ResourceId::Vm(id) = &found.id else { continue };
        let vm = run.provider.vm(id);
        let vm = run.wait("answer of the provider", run.builder.deadlines.call, vm).await?;
        match vm {
            Some(vm) if found.labels.get(keys::PHASE) == Some(CHECK) => checks.push(vm),
            Some(vm) => builder = Some(vm),
            None => {}
        }
    }
    Ok((builder, checks))
}

async fn found(run: &Run<'_>) -> Result<Vec<Resource>, Cause> {
    let selector = Selector::build(&run.build());
    let find = run.provider.find(&selector);
    run.wait("answer of the provider", run.builder.deadlines.call, find).await
}

/// Deletes what is left of the build, so that it can begin anew under the same claim.
async fn remove(run: &Run<'_>, why: &str) -> Result<(), Cause> {
    let mut left = found(run).await?;
    left.retain(|resource| !matches!(resource.id, ResourceId::Lease(_)));
    if left.is_empty() {
        return Ok(());
    }
    run.sink.note(format!("what a dead process left cannot be gone on with: {why}; building anew"));
    left.sort_by_key(|resource| resource.id.delete_order());
    for resource in left {
        run.delete_found(&resource.id).await?;
    }
    Ok(())
}

/// Deletes what the build has made, which nobody goes on with. An image that is available stays: it
/// may have been handed out.
pub(super) async fn abandon(run: &Run<'_>) -> Result<(), Cause> {
    let selector = Selector::build(&run.build());
    let images = run.provider.images(&selector);
    let images = run.wait("answer of the provider", run.builder.deadlines.call, images).await?;
    let stays = |id: &ResourceId| {
        let is = |image: &&Image| ResourceId::from(image.id.clone()) == *id;
        matches!(id, ResourceId::Lease(_))
            || images.iter().find(is).is_some_and(|it| it.status == ImageStatus::Available)
    };
    let mut left = found(run).await?;
    left.retain(|resource| !stays(&resource.id));
    left.sort_by_key(|resource| resource.id.delete_order());
    // Remembered first: the teardown tells of what could not be deleted.
    run.remember(left.iter().map(|resource| resource.id.clone()));
    for resource in left {
        run.delete_found(&resource.id).await?;
    }
    Ok(())
}
