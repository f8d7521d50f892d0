use async_trait::async_trait;
use tokio::sync::watch;

use super::state::VmRecord;
use super::{Memory, guest};
use crate::guest::{GuestChannel, Obstacle};
use crate::install::ContextArchive;
use crate::provider::{
    Capabilities, Error, ErrorKind, Image, ImageId, ImageSpec, ImageStatus, Labels, Offer,
    PowerState, Provider, Reporter, Requirements, Resource, ResourceId, Result, Selector, Vm, VmId,
    VmSpec, Volume, VolumeId, VolumeSpec, keys,
};
use crate::wait;

#[async_trait]
impl Provider for Memory {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn check(&self, requirements: &Requirements) -> Result<Offer> {
        let root = requirements.root_size.unwrap_or(self.root_size);
        Ok(Offer::new(format!("memory {}", requirements.architecture), root))
    }

    async fn create_volume(&self, spec: &VolumeSpec, _: &Reporter) -> Result<Volume> {
        self.change(|state| {
            if let Some(existing) = state.volumes.values().find(|volume| volume.name == spec.name) {
                return adopt(
                    "create volume",
                    &spec.name,
                    existing,
                    &existing.labels,
                    &spec.labels,
                );
            }
            let id = VolumeId::new(state.next_id());
            let device = format!("/dev/disk/by-id/memory-{id}").into();
            let mut volume = Volume::new(id.clone(), &spec.name, spec.size, device);
            volume.labels = spec.labels.clone();
            state.volumes.insert(id, volume.clone());
            Ok(volume)
        })
    }

    async fn create_vm(&self, spec: &VmSpec, _: &Reporter) -> Result<Vm> {
        self.change(|state| {
            if let Some(existing) = state.vms.values().find(|vm| vm.vm.name == spec.name) {
                let vm = &existing.vm;
                return adopt("create VM", &spec.name, vm, &vm.labels, &spec.labels);
            }
            if !state.volumes.contains_key(&spec.volume.id) {
                return Err(Error::new(ErrorKind::NotFound, "attach volume").on(&spec.volume.id));
            }
            let id = VmId::new(state.next_id());
            let mut vm = Vm::new(id.clone(), &spec.name);
            vm.labels = spec.labels.clone();
            let record = VmRecord { vm: vm.clone(), spec: spec.clone(), said: Vec::new() };
            state.vms.insert(id, record);
            state.vms_ever_created += 1;
            Ok(vm)
        })
    }

    async fn start_vm(&self, vm: &VmId, _: &Reporter) -> Result<()> {
        let started = self.change(|state| {
            let Some(record) = state.vms.get_mut(vm) else {
                return Err(Error::new(ErrorKind::NotFound, "start VM").on(vm));
            };
            let was_off = record.vm.state == PowerState::Off;
            record.vm.state = PowerState::Running;
            Ok(was_off)
        })?;
        if started {
            tokio::spawn(guest::play(self.clone(), vm.clone()));
        }
        Ok(())
    }

    async fn stop_vm(&self, vm: &VmId) -> Result<()> {
        self.change(|state| {
            let Some(record) = state.vms.get_mut(vm) else {
                return Err(Error::new(ErrorKind::NotFound, "stop VM").on(vm));
            };
            record.vm.state = PowerState::Off;
            Ok(())
        })
    }

    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        Ok(self.state().vms.get(vm).map(|record| record.vm.clone()))
    }

    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        let mut changed = self.changed.subscribe();
        loop {
            match self.state().vms.get(vm).map(|record| record.vm.state.clone()) {
                None => return Err(wait::vanished(vm)),
                Some(PowerState::Off) => return Ok(()),
                Some(PowerState::Stuck(reason)) => return Err(wait::stuck(vm, &reason)),
                Some(PowerState::Running | PowerState::Changing) => {}
            }
            tick(&mut changed).await;
        }
    }

    async fn open_channel(&self, vm: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
        if !self.capabilities.channel {
            return Ok(None);
        }
        let changed = self.changed.subscribe();
        Ok(Some(Box::new(Channel { memory: self.clone(), vm: vm.clone(), read: 0, changed })))
    }

    async fn create_image(&self, vm: &VmId, spec: &ImageSpec, _: &Reporter) -> Result<Image> {
        self.change(|state| {
            let Some(record) = state.vms.get(vm) else {
                return Err(Error::new(ErrorKind::NotFound, "make image of VM").on(vm));
            };
            if record.vm.state != PowerState::Off {
                return Err(Error::new(ErrorKind::Busy, "make image of VM")
                    .on(vm)
                    .message("it is not off"));
            }
            let size = record.spec.offer.root_size;
            let id = ImageId::new(state.next_id());
            let mut image = Image::new(id.clone(), ImageStatus::Available, size);
            image.labels = spec.labels.clone();
            state.images.insert(id, image.clone());
            Ok(image)
        })
    }

    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        Ok(self.state().images.get(image).cloned())
    }

    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        self.change(|state| {
            let existing = match resource {
                ResourceId::Vm(id) => state.vms.get_mut(id).map(|record| &mut record.vm.labels),
                ResourceId::Volume(id) => {
                    state.volumes.get_mut(id).map(|volume| &mut volume.labels)
                }
                ResourceId::Image(id) => state.images.get_mut(id).map(|image| &mut image.labels),
                ResourceId::Other(..) => None,
            };
            match existing {
                Some(existing) => {
                    *existing = std::mem::take(existing).merged(labels);
                    Ok(())
                }
                None => Err(Error::new(ErrorKind::NotFound, "label").on(resource)),
            }
        })
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let state = self.state();
        let vms =
            state.vms.values().map(|vm| Resource::new(vm.vm.id.clone(), vm.vm.labels.clone()));
        let volumes = state.volumes.values().map(|v| Resource::new(v.id.clone(), v.labels.clone()));
        let images = state.images.values().map(|i| Resource::new(i.id.clone(), i.labels.clone()));
        let all = vms.chain(volumes).chain(images);
        Ok(all.filter(|resource| selector.matches(&resource.labels)).collect())
    }

    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        self.change(|state| {
            match resource {
                ResourceId::Vm(id) => drop(state.vms.remove(id)),
                ResourceId::Volume(id) => {
                    if let Some(vm) = state.vms.values().find(|vm| vm.spec.volume.id == *id) {
                        return Err(Error::new(ErrorKind::Busy, "delete volume")
                            .on(id)
                            .message(format_args!("it is attached to VM {}", vm.vm.id)));
                    }
                    state.volumes.remove(id);
                }
                ResourceId::Image(id) => drop(state.images.remove(id)),
                ResourceId::Other(..) => {}
            }
            Ok(())
        })
    }
}

/// What a creation whose name is taken gives: the existing resource when it is of the same build,
/// since then an earlier answer was lost.
fn adopt<T: Clone>(
    operation: &str,
    name: &str,
    existing: &T,
    has: &Labels,
    wanted: &Labels,
) -> Result<T> {
    if has.value(keys::BUILD).is_some() && has.value(keys::BUILD) == wanted.value(keys::BUILD) {
        return Ok(existing.clone());
    }
    Err(Error::new(ErrorKind::AlreadyExists, operation)
        .on(name)
        .message("the name is taken by something that is not of this build"))
}

/// What the guest of a VM says.
struct Channel {
    memory: Memory,
    vm: VmId,
    read: usize,
    changed: watch::Receiver<u64>,
}

#[async_trait]
impl GuestChannel for Channel {
    async fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        loop {
            self.memory.reached().await;
            let (new, off) = match self.memory.state().vms.get(&self.vm) {
                None => return Ok(None),
                Some(vm) => (vm.said[self.read..].to_vec(), vm.vm.state == PowerState::Off),
            };
            if !new.is_empty() {
                self.read += new.len();
                return Ok(Some(new));
            }
            if off {
                return Ok(None);
            }
            tick(&mut self.changed).await;
        }
    }

    fn obstacle(&self) -> Option<Obstacle> {
        self.memory.obstacle.clone()
    }

    async fn upload(&mut self, _: &ContextArchive, _: &Reporter) -> Result<()> {
        self.memory.reached().await;
        Ok(())
    }
}

/// Waits for a change. The sender lives in the [`Memory`] that the caller holds.
async fn tick(changed: &mut watch::Receiver<u64>) {
    if changed.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
