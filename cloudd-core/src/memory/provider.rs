use async_trait::async_trait;
use tokio::sync::watch;

use super::state::{CreatedBuilder, VmRecord};
use super::{Memory, guest};
use crate::guest::{GuestChannel, Reachability};
use crate::install::ContextArchive;
use crate::provider::{
    BootSpec, BuildId, BuildRequirements, BuildSecret, BuilderSpec, BuilderVm, Capabilities, Error,
    ErrorKind, Image, ImageId, ImageSpec, ImageStatus, Labels, LeaseId, LeaseSpec, PowerState,
    Provider, Reporter, ResolvedBuilder, Resource, ResourceId, Result, Selector, Vm, VmId, Volume,
    VolumeId, keys,
};

#[async_trait]
impl Provider for Memory {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        let root = requirements.root_size.unwrap_or(self.root_size);
        Ok(ResolvedBuilder::new(format!("memory {}", requirements.architecture), root))
    }

    fn build_secret(&self, build: &BuildId) -> Option<BuildSecret> {
        // There are no credentials; every process with this cloud has full access.
        let mut secret = [0; 32];
        let id = build.as_str().as_bytes();
        secret[..id.len()].copy_from_slice(id);
        Some(BuildSecret::new(secret))
    }

    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        self.change(|state| {
            if let Some((id, existing)) = state.leases.iter().find(|(_, it)| it.name == spec.name) {
                let (has, wanted) = (&existing.labels, &spec.labels);
                return adopt("create lease", &spec.name, id, has, wanted, keys::HOLDER);
            }
            let id = LeaseId::new(state.next_id());
            state.leases.insert(id.clone(), spec.clone());
            Ok(id)
        })
    }

    async fn create_builder(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm> {
        const CREATE: &str = "create builder VM";
        let volume = self.change(|state| {
            if let Some(existing) = state.volumes.values().find(|volume| volume.name == spec.name) {
                let (has, wanted) = (&existing.labels, &spec.labels);
                return adopt(CREATE, &spec.name, existing, has, wanted, keys::BUILD);
            }
            let id = VolumeId::new(state.next_id());
            let device = format!("/dev/disk/by-id/memory-{id}").into();
            let size = spec.requirements.volume_size;
            let mut volume = Volume::new(id.clone(), &spec.name, size, device);
            volume.labels = spec.labels.clone();
            state.volumes.insert(id, volume.clone());
            Ok(volume)
        })?;
        reporter.created(volume.id.clone());
        // On a real cloud these are two requests, and a process can die between them.
        tokio::task::yield_now().await;
        let user_data = spec.user_data.render(&volume.device)?;
        let vm = self.change(|state| {
            if let Some(existing) = state.vms.values().find(|vm| vm.vm.name == spec.name) {
                let vm = &existing.vm;
                let (has, wanted) = (&vm.labels, &spec.labels);
                return adopt(CREATE, &spec.name, vm, has, wanted, keys::BUILD);
            }
            let builder =
                CreatedBuilder { spec: spec.clone(), volume: volume.id.clone(), user_data };
            Ok(state.add_vm(&spec.name, &spec.labels, Some(builder)))
        })?;
        reporter.created(vm.id.clone());
        Ok(BuilderVm::new(vm, volume))
    }

    async fn start_vm(&self, vm: &VmId, _: &Reporter) -> Result<()> {
        let started = self.change(|state| {
            let Some(record) = state.vms.get_mut(vm) else {
                return Err(Error::new(ErrorKind::NotFound, "start VM").with_resource(vm));
            };
            let was_off = record.vm.state == PowerState::Off;
            record.vm.state = PowerState::Running;
            record.vm.started = Some(true);
            Ok(was_off && record.builder.is_some())
        })?;
        if started {
            tokio::spawn(guest::play(self.clone(), vm.clone()));
        }
        Ok(())
    }

    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        Ok(self.state().vms.get(vm).map(|record| record.vm.clone()))
    }

    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        let mut changed = self.changed.subscribe();
        loop {
            match self.state().vms.get(vm).map(|record| record.vm.state.clone()) {
                None => return Err(Error::gone(vm)),
                Some(PowerState::Off) => return Ok(()),
                Some(PowerState::Error(reason)) => return Err(Error::vm_failed(vm, &reason)),
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
                return Err(Error::new(ErrorKind::NotFound, "make image of VM").with_resource(vm));
            };
            if record.vm.state != PowerState::Off {
                return Err(Error::new(ErrorKind::Busy, "make image of VM")
                    .with_resource(vm)
                    .with_message("it is not off"));
            }
            let Some(size) = record.builder.as_ref().map(|it| it.spec.resolved.root_size) else {
                return Err(
                    Error::new(ErrorKind::Unsupported, "make image of VM").with_resource(vm)
                );
            };
            let build = spec.labels.get(keys::BUILD);
            let of_build = |image: &&Image| image.labels.get(keys::BUILD) == build;
            if let Some(made) = state.images.values().find(of_build).filter(|_| build.is_some()) {
                return Ok(made.clone());
            }
            let id = ImageId::new(state.next_id());
            let status = if self.image_time.is_zero() {
                ImageStatus::Available
            } else {
                tokio::spawn(finish(self.clone(), id.clone()));
                ImageStatus::Creating
            };
            let mut image = Image::new(id.clone(), status, size);
            image.created = state.now();
            image.labels = spec.labels.clone();
            state.images_ever_made += 1;
            state.images.insert(id, image.clone());
            Ok(image)
        })
    }

    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        Ok(self.state().images.get(image).cloned())
    }

    async fn create_vm_from_image(&self, spec: &BootSpec, _: &Reporter) -> Result<Vm> {
        const CREATE: &str = "create VM from image";
        self.change(|state| {
            if let Some(existing) = state.vms.values().find(|vm| vm.vm.name == spec.name) {
                let (has, wanted) = (&existing.vm.labels, &spec.labels);
                return adopt(CREATE, &spec.name, &existing.vm, has, wanted, keys::BUILD);
            }
            match state.images.get(&spec.image).map(|image| image.status) {
                Some(ImageStatus::Available) => Ok(state.add_vm(&spec.name, &spec.labels, None)),
                Some(_) => Err(Error::new(ErrorKind::Busy, CREATE)
                    .with_resource(&spec.image)
                    .with_message("the image is not available yet")),
                None => Err(Error::new(ErrorKind::NotFound, CREATE).with_resource(&spec.image)),
            }
        })
    }

    async fn console(&self, vm: &VmId) -> Result<Vec<u8>> {
        let state = self.state();
        let started = state.vms.get(vm).filter(|record| record.vm.started == Some(true));
        Ok(match started {
            None => Vec::new(),
            Some(record) if record.builder.is_some() => self.builder_prints.clone().into_bytes(),
            Some(_) => self.prints.clone().into_bytes(),
        })
    }

    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        self.change(|state| match state.labels_of(resource) {
            Some(existing) => {
                *existing = std::mem::take(existing).merged(labels);
                Ok(())
            }
            None => Err(Error::new(ErrorKind::NotFound, "label").with_resource(resource)),
        })
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let mut found = self.state().resources();
        found.retain(|resource| selector.selects(resource));
        Ok(found)
    }

    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        self.change(|state| {
            match resource {
                ResourceId::Vm(id) => drop(state.vms.remove(id)),
                ResourceId::Volume(id) => {
                    let holds =
                        |vm: &&VmRecord| vm.builder.as_ref().is_some_and(|it| it.volume == *id);
                    if let Some(vm) = state.vms.values().find(holds) {
                        return Err(Error::new(ErrorKind::Busy, "delete volume")
                            .with_resource(id)
                            .with_message(format_args!("it is attached to VM {}", vm.vm.id)));
                    }
                    state.volumes.remove(id);
                }
                ResourceId::Image(id) => {
                    if state.images.get(id).is_some_and(|image| image.protected) {
                        return Err(Error::new(ErrorKind::Protected, "delete image")
                            .with_resource(id)
                            .with_message("it is protected against deletion"));
                    }
                    state.images.remove(id);
                }
                ResourceId::Lease(id) => drop(state.leases.remove(id)),
            }
            Ok(())
        })
    }
}

/// Returns the existing resource of a name that is to be created if it has the wanted value of the
/// label `key`: then an earlier answer was lost.
fn adopt<T: Clone>(
    operation: &str,
    name: &str,
    existing: &T,
    has: &Labels,
    wanted: &Labels,
    key: &str,
) -> Result<T> {
    if has.get(key).is_some() && has.get(key) == wanted.get(key) {
        return Ok(existing.clone());
    }
    Err(Error::new(ErrorKind::AlreadyExists, operation)
        .with_resource(name)
        .with_message(format_args!("the name is taken by a resource with another {key}")))
}

/// Makes an image available after [`Memory::image_time`].
async fn finish(memory: Memory, image: ImageId) {
    tokio::time::sleep(memory.image_time).await;
    memory.change(|state| {
        if let Some(image) = state.images.get_mut(&image) {
            image.status = ImageStatus::Available;
        }
    });
}

/// The events of a VM's guest.
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
                Some(VmRecord { vm, said, .. }) => {
                    // Before its first start, the VM is off and nothing has ended.
                    let off = vm.state == PowerState::Off && vm.started != Some(false);
                    (said[self.read..].to_vec(), off)
                }
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

    fn reachability(&self) -> Option<Reachability> {
        self.memory.reachability.clone()
    }

    async fn upload(&mut self, _: &ContextArchive, _: &Reporter) -> Result<()> {
        self.memory.reached().await;
        Ok(())
    }
}

/// Waits for a change of the state. The sender lives in the [`Memory`] that the caller holds.
async fn tick(changed: &mut watch::Receiver<u64>) {
    if changed.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}
