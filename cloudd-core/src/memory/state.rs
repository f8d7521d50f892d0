use std::collections::BTreeMap;

use crate::provider::{
    BuilderSpec, Image, ImageId, Labels, LeaseId, LeaseSpec, Resource, ResourceId, Vm, VmId,
    Volume, VolumeId,
};

/// The existing resources.
#[derive(Default)]
pub(super) struct State {
    pub(super) vms: BTreeMap<VmId, VmRecord>,
    pub(super) volumes: BTreeMap<VolumeId, Volume>,
    pub(super) images: BTreeMap<ImageId, Image>,
    pub(super) leases: BTreeMap<LeaseId, LeaseSpec>,
    pub(super) vms_ever_created: usize,
    pub(super) images_ever_made: usize,
    next_id: u64,
    seconds: u64,
}

/// A VM, and the events that its guest has sent.
pub(super) struct VmRecord {
    pub(super) vm: Vm,
    /// `None` if it was created from an image.
    pub(super) builder: Option<CreatedBuilder>,
    pub(super) said: Vec<u8>,
}

/// The spec of a builder VM.
pub(super) struct CreatedBuilder {
    pub(super) spec: BuilderSpec,
    pub(super) volume: VolumeId,
    pub(super) user_data: Vec<u8>,
}

impl State {
    pub(super) fn next_id(&mut self) -> String {
        self.next_id += 1;
        self.next_id.to_string()
    }

    /// A new VM, off.
    pub(super) fn add_vm(
        &mut self,
        name: &str,
        labels: &Labels,
        builder: Option<CreatedBuilder>,
    ) -> Vm {
        let id = VmId::new(self.next_id());
        let mut vm = Vm::new(id.clone(), name);
        vm.labels = labels.clone();
        vm.started = Some(false);
        let record = VmRecord { vm: vm.clone(), builder, said: Vec::new() };
        self.vms.insert(id, record);
        self.vms_ever_created += 1;
        vm
    }

    /// A clock that advances by one second with each call, so that ages differ and tests do not
    /// depend on real time.
    pub(super) fn now(&mut self) -> u64 {
        self.seconds += 1;
        self.seconds
    }

    pub(super) fn resources(&self) -> Vec<Resource> {
        let new =
            |id: ResourceId, name: &str, labels: &Labels| Resource::new(id, name, labels.clone());
        let vms =
            self.vms.values().map(|it| new(it.vm.id.clone().into(), &it.vm.name, &it.vm.labels));
        let volumes =
            self.volumes.values().map(|it| new(it.id.clone().into(), &it.name, &it.labels));
        let images = self.images.values().map(|it| new(it.id.clone().into(), "", &it.labels));
        let leases =
            self.leases.iter().map(|(id, it)| new(id.clone().into(), &it.name, &it.labels));
        vms.chain(volumes).chain(images).chain(leases).collect()
    }

    /// The labels of a resource, if it exists.
    pub(super) fn labels_of(&mut self, resource: &ResourceId) -> Option<&mut Labels> {
        match resource {
            ResourceId::Vm(id) => self.vms.get_mut(id).map(|it| &mut it.vm.labels),
            ResourceId::Volume(id) => self.volumes.get_mut(id).map(|it| &mut it.labels),
            ResourceId::Image(id) => self.images.get_mut(id).map(|it| &mut it.labels),
            ResourceId::Lease(id) => self.leases.get_mut(id).map(|it| &mut it.labels),
        }
    }
}
