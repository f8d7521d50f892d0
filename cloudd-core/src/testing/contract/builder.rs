//! Builders: the volume and the VM of a build, created together.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::future::join;
use tokio::sync::mpsc;

use super::harness::{Harness, exists, expect_kind};
use super::internal;
use crate::provider::{
    BuilderVm, ErrorKind, Labels, PowerState, Report, Reporter, ResourceId, Result, Selector, Size,
    UserDataTemplate, keys,
};

pub(super) async fn root_disk_holds_the_volume(harness: Harness<'_>) -> Result<()> {
    let resolved = harness.resolve().await?;
    assert!(resolved.root_size >= harness.fixture.requirements.volume_size, "{resolved:?}");
    assert!(!resolved.base_image.is_empty(), "resolve does not name the base image");
    Ok(())
}

pub(super) async fn volume_life(harness: Harness<'_>) -> Result<()> {
    let BuilderVm { vm, volume } = harness.builder().await?;
    assert!(volume.size >= harness.fixture.requirements.volume_size, "{volume:?}");
    assert!(volume.device.starts_with(Path::new("/dev/disk/by-id")), "{volume:?}");
    let id = ResourceId::from(volume.id);
    assert!(harness.found().await?.contains(&id), "{id} is not found by its label");
    harness.provider.delete(&vm.id.into()).await?;
    harness.provider.delete(&id).await?;
    assert!(!harness.found().await?.contains(&id), "{id} is found after it was deleted");
    harness.provider.delete(&id).await
}

/// A resource is deleted only under the name that its build gave it.
pub(super) async fn names_are_found(harness: Harness<'_>) -> Result<()> {
    let BuilderVm { vm, volume } = harness.builder().await?;
    let lease = ResourceId::from(harness.lease("holder").await?);
    let found = harness.provider.find(&Selector::build(&harness.build)).await?;
    let (name, lease_name) = (harness.name(), harness.lease_spec("holder").name);
    for (id, name) in [(vm.id.into(), &name), (volume.id.into(), &name), (lease, &lease_name)] {
        let resource = found.iter().find(|resource| resource.id == id);
        let Some(resource) = resource else { panic!("{id} is not found by its label") };
        assert!(
            resource.name.starts_with(name),
            "{id} was created as {name:?} and is found as {:?}: it would never be deleted",
            resource.name
        );
    }
    Ok(())
}

pub(super) async fn sizes_are_rounded_up(harness: Harness<'_>) -> Result<()> {
    let mut requirements = harness.fixture.requirements.clone();
    requirements.volume_size = Size::bytes(requirements.volume_size.as_bytes() + 1);
    let mut spec = harness.builder_spec(&harness.build).await?;
    spec.resolved = harness.provider.resolve(&requirements).await?;
    harness.provider.ensure_base_image(&requirements, &spec.resolved, &harness.silent).await?;
    spec.requirements = requirements;
    let wanted = spec.requirements.volume_size;
    assert!(spec.resolved.root_size >= wanted, "{:?} for a volume of {wanted:?}", spec.resolved);
    let volume = harness.provider.create_builder(&spec, &harness.silent).await?.volume;
    assert!(
        volume.size >= wanted,
        "{volume:?} is smaller than the required {} bytes: a provider rounds up",
        wanted.as_bytes()
    );
    Ok(())
}

pub(super) async fn user_data_at_the_limit(harness: Harness<'_>) -> Result<()> {
    // A provider without a limit is tried with more than any build sends.
    let size = harness.provider.capabilities().user_data.max_bytes.min(1 << 20);
    let mut user_data = b"#cloud-config\n{}\n# ".to_vec();
    user_data.resize(size, b'x');
    let mut spec = harness.builder_spec(&harness.build).await?;
    spec.user_data = UserDataTemplate::fixed(user_data);
    if let Err(error) = harness.provider.create_builder(&spec, &harness.silent).await {
        panic!(
            "{size} bytes of user data are refused, and the capabilities allow them (the limit is \
             measured on the bytes of `UserDataTemplate::render`): {error:?}"
        );
    }
    Ok(())
}

pub(super) async fn names_are_unique(harness: Harness<'_>) -> Result<()> {
    let first = harness.builder().await?;
    let again = harness.builder().await?;
    assert_eq!(first.volume.id, again.volume.id, "the volume of the same build was not adopted");
    assert_eq!(first.vm.id, again.vm.id, "the VM of the same build was not adopted");
    // The fingerprint, by which a build is resumed, contains neither base image nor root disk.
    let mut other_root = harness.builder_spec(&harness.build).await?;
    let twice = other_root.resolved.root_size.as_bytes().saturating_mul(2);
    let mut requirements = harness.fixture.requirements.clone();
    requirements.root_size = Some(Size::bytes(twice));
    if let Ok(resolved) = harness.provider.resolve(&requirements).await {
        other_root.resolved = resolved;
        let again = harness.provider.create_builder(&other_root, &harness.silent).await?;
        assert_eq!(first.vm.id, again.vm.id, "the VM with another root disk was not adopted");
    }
    let foreign = harness.builder_spec(&harness.other_build).await?;
    let taken = harness.provider.create_builder(&foreign, &harness.silent).await;
    expect_kind("a taken name", taken, ErrorKind::AlreadyExists);

    // Half of the builder is completed: a process can die between volume and VM.
    harness.provider.delete(&first.vm.id.clone().into()).await?;
    let again = harness.builder().await?;
    assert_eq!(first.volume.id, again.volume.id, "the volume left alone was not adopted");
    let vm = exists(harness.provider.vm(&again.vm.id).await?, &again.vm.id);
    assert_eq!(vm.state, PowerState::Off, "the VM of a completed builder");
    Ok(())
}

pub(super) async fn created_resources_are_reported(harness: Harness<'_>) -> Result<()> {
    let reported = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&reported);
    let reporter = Reporter::new(move |report| {
        if let Report::Created(id) = report {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        }
    });
    let spec = harness.builder_spec(&harness.build).await?;
    let builder = harness.provider.create_builder(&spec, &reporter).await?;
    let expected = [ResourceId::from(builder.volume.id), ResourceId::from(builder.vm.id)];
    let reported = std::mem::take(&mut *reported.lock().unwrap_or_else(PoisonError::into_inner));
    assert!(expected.iter().all(|id| reported.contains(id)), "{reported:?} lacks {expected:?}");
    Ok(())
}

/// Looks for each resource while `create_builder` still works on the builder.
pub(super) async fn half_made_is_found(harness: Harness<'_>) -> Result<()> {
    let spec = harness.builder_spec(&harness.build).await?;
    let (reported, mut reports) = mpsc::unbounded_channel();
    let finished = reported.clone();
    let deleted = Arc::new(Mutex::new(Vec::new()));
    let deletions = Arc::clone(&deleted);
    let reporter = Reporter::new(move |report| match report {
        Report::Created(id) => drop(reported.send(Some(id))),
        Report::Deleted(id) => deletions.lock().unwrap_or_else(PoisonError::into_inner).push(id),
        _ => {}
    });
    let create = async {
        let created = harness.provider.create_builder(&spec, &reporter).await;
        let _ = finished.send(None);
        created
    };
    let look = async {
        while let Some(Some(id)) = reports.recv().await {
            let found = harness.found().await?;
            if deleted.lock().unwrap_or_else(PoisonError::into_inner).contains(&id) {
                continue; // of a fallback to another location
            }
            assert!(found.contains(&id), "{id:?} was reported as created, and found is {found:?}");
            if let ResourceId::Vm(vm) = &id {
                exists(harness.provider.vm(vm).await?, vm);
            }
        }
        Ok(())
    };
    let (created, looked) = join(create, look).await;
    created?;
    looked
}

pub(super) async fn labels_are_merged(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    let mut change = Labels::new();
    change.insert(keys::PHASE, "started").map_err(internal)?;
    harness.provider.set_labels(&vm.id.clone().into(), &change).await?;
    let vm = exists(harness.provider.vm(&vm.id).await?, &vm.id);
    assert_eq!(vm.labels.get(keys::PHASE), Some("started"));
    assert_eq!(vm.labels.get(keys::BUILD), Some(harness.build.as_str()), "another label is gone");
    Ok(())
}

pub(super) async fn builds_are_apart(harness: Harness<'_>) -> Result<()> {
    harness.vm().await?;
    let other = Harness { build: harness.other_build.clone(), ..harness.clone() };
    other.vm().await?;
    let (ours, others) = (harness.found().await?, other.found().await?);
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(others.iter().all(|id| !ours.contains(id)), "{ours:?} {others:?}");
    let all = harness.provider.find(&Selector::all()).await?;
    let all: Vec<_> = all.into_iter().map(|resource| resource.id).collect();
    assert!(ours.iter().chain(&others).all(|id| all.contains(id)), "{all:?}");
    Ok(())
}

pub(super) async fn attached_volume_stays(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    let volumes = harness.found().await?;
    let volume = volumes.iter().find(|id| matches!(id, ResourceId::Volume(_)));
    let Some(volume) = volume else { panic!("the volume is not found: {volumes:?}") };
    let refused = harness.provider.delete(volume).await;
    expect_kind("deleting an attached volume", refused, ErrorKind::Busy);
    assert!(harness.found().await?.contains(volume), "the attached volume was deleted");
    harness.provider.delete(&vm.id.into()).await?;
    harness.provider.delete(volume).await
}

pub(super) async fn absence(harness: Harness<'_>) -> Result<()> {
    // An id of the right form that does not exist any more: the suite knows no other.
    let vm = harness.vm().await?;
    harness.provider.delete(&vm.id.clone().into()).await?;
    assert_eq!(harness.provider.vm(&vm.id).await?, None);
    harness.provider.delete(&vm.id.into()).await?;
    assert_eq!(harness.found().await?.len(), 1, "only the volume is left");
    Ok(())
}

pub(super) async fn vm_life(harness: Harness<'_>) -> Result<()> {
    let created = harness.vm().await?;
    assert_eq!(created.labels.get(keys::BUILD), Some(harness.build.as_str()));
    let vm = exists(harness.provider.vm(&created.id).await?, &created.id);
    assert_eq!(vm.state, PowerState::Off, "a created VM is off");
    assert_eq!(vm.labels.get(keys::NAME), Some("contract-suite"));
    let id = ResourceId::from(vm.id.clone());
    assert!(harness.found().await?.contains(&id));
    harness.provider.delete(&id).await?;
    assert_eq!(harness.provider.vm(&vm.id).await?, None, "the VM is there after it was deleted");
    let left = harness.found().await?;
    assert!(
        left.iter().all(|id| matches!(id, ResourceId::Volume(_))),
        "deleting the VM left what was created with it: {left:?}"
    );
    harness.provider.delete(&id).await
}
