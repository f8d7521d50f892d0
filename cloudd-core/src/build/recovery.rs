//! Determines the state of a build whose process died, and deletes what cannot be used.

use super::error::BuildErrorKind;
use super::events::{BuildEventKind, Phase};
use super::reuse;
use super::state::{Build, State};
use crate::ownership::is_of_build;
use crate::provider::{Image, ImageStatus, PowerState, Resource, ResourceId, Selector, Vm, keys};

/// How the lease of a build was acquired.
pub(super) enum Origin {
    /// It is the first lease, so there is no build to resume.
    First,
    /// An expired lease was taken over, so its build is resumed.
    TakenOver {
        /// The phase that the expired lease names: the last one that may have begun.
        phase: String,
        /// An image that makes the build unnecessary. What the build left is deleted at the end.
        image: Option<Image>,
    },
}

/// The state at which the build enters the line.
pub(super) async fn first_state(
    build: &mut Build<'_>,
    origin: Origin,
) -> Result<State, BuildErrorKind> {
    build.access = build.plan.access(build.cx, &build.id)?;
    let image = match &origin {
        Origin::TakenOver { image, .. } => {
            build.events.send(BuildEventKind::Resumed { build: build.id.clone() });
            image.clone()
        }
        // It may have been completed just before the lease was released.
        Origin::First => reuse::find_image(build.cx, build.plan).await?,
    };
    if let Some(image) = image {
        build.events.send(BuildEventKind::Reused { image: image.id.clone() });
        return Ok(State::Reused(image));
    }
    match origin {
        Origin::TakenOver { phase, .. } => recover(build, &phase).await,
        Origin::First => {
            let unchecked = reuse::find_unchecked(build.cx, build.plan).await?;
            Ok(unchecked.map_or(State::Planned, State::Imaged))
        }
    }
}

/// Reads the state of the build from the cloud. `phase` is that of the expired lease.
///
/// | resources | state |
/// |---|---|
/// | an available image of this build | `Imaged` |
/// | an image in creation, and no VM | `Imaged` |
/// | no VM, phase `provision` | `Planned`: the creation is completed |
/// | a VM that runs | `Started` |
/// | a VM that is off, phase `image` | `PoweredOff` |
/// | a VM that is off and was started | `Started`: its last events, where they can be read |
/// | a VM that is off and was not started | `Planned`: its creation is completed |
/// | a VM that is off, and it is not known whether it was started | deleted, `Planned` |
/// | a VM that has to be reached over SSH with keys that are lost | deleted, `Planned` |
/// | a VM that the provider has stopped | deleted, `Planned` |
/// | anything else | deleted, `Planned` |
async fn recover(build: &mut Build<'_>, phase: &str) -> Result<State, BuildErrorKind> {
    let (builder, checks) = vms(build).await?;
    for vm in checks {
        build.delete(&vm.id.into()).await?;
    }
    let images = build.read(build.cx.provider.images(&Selector::build(&build.id))).await?;
    let with_status = |status| images.iter().find(|image| image.status == status).cloned();
    if let Some(image) = with_status(ImageStatus::Available) {
        return Ok(State::Imaged(image));
    }
    let Some(vm) = builder else {
        if let Some(image) = with_status(ImageStatus::Creating) {
            return Ok(State::Imaged(image));
        }
        if phase == Phase::Provision.label() {
            // A volume that exists is returned by its creation. It is not deleted: a call of the
            // former holder that was held back may still attach it to the VM.
            return Ok(State::Planned);
        }
        return restart(build, "its VM is gone").await;
    };
    // Without a secret, the keys of the VM died with its process.
    let keys_lost = build.access.is_some() && build.cx.provider.build_secret(&build.id).is_none();
    match (&vm.state, vm.started) {
        (PowerState::Running | PowerState::Changing, _) if keys_lost && build.plan.uploads() => {
            restart(build, "the SSH keys of its VM are lost").await
        }
        (PowerState::Running | PowerState::Changing, _) => Ok(State::Started(vm)),
        (PowerState::Error(reason), _) => {
            restart(build, &format!("the provider has stopped its VM: {reason}")).await
        }
        (PowerState::Off, _) if phase == Phase::Image.label() => Ok(State::PoweredOff(vm)),
        (PowerState::Off, Some(true)) => Ok(State::Started(vm)),
        (PowerState::Off, Some(false)) if keys_lost => {
            restart(build, "the SSH keys of its VM are lost").await
        }
        // Creating it again completes what an interrupted creation may have left out.
        (PowerState::Off, Some(false)) => Ok(State::Planned),
        (PowerState::Off, None) if phase == Phase::Provision.label() && !keys_lost => {
            Ok(State::Planned)
        }
        (PowerState::Off, None) => {
            restart(build, "its VM is off, and it is not known whether it was started").await
        }
    }
}

/// The builder VM of the build, and the VMs of its boot checks.
async fn vms(build: &Build<'_>) -> Result<(Option<Vm>, Vec<Vm>), BuildErrorKind> {
    let (mut builder, mut checks) = (None, Vec::new());
    for found in resources(build).await? {
        let ResourceId::Vm(id) = &found.id else { continue };
        match build.read(build.cx.provider.vm(id)).await? {
            Some(vm) if found.labels.get(keys::PHASE) == Some(Phase::BootCheck.label()) => {
                checks.push(vm);
            }
            Some(vm) => builder = Some(vm),
            None => {}
        }
    }
    Ok((builder, checks))
}

/// The build's own resources except leases, in the order in which they are deleted.
async fn resources(build: &Build<'_>) -> Result<Vec<Resource>, BuildErrorKind> {
    let mut found = build.read(build.cx.provider.find(&Selector::build(&build.id))).await?;
    found.retain(|resource| {
        !matches!(resource.id, ResourceId::Lease(_)) && is_of_build(resource, &build.id)
    });
    found.sort_by_key(|resource| resource.id.delete_order());
    Ok(found)
}

/// Deletes all resources of the build, so that it starts again under the same lease.
pub(super) async fn restart(build: &mut Build<'_>, reason: &str) -> Result<State, BuildErrorKind> {
    let found = resources(build).await?;
    if !found.is_empty() {
        build.events.note(format!("the build cannot be resumed, and starts again: {reason}"));
    }
    for resource in found {
        build.delete(&resource.id).await?;
    }
    Ok(State::Planned)
}
