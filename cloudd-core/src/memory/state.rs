use std::collections::BTreeMap;

use crate::provider::{Image, ImageId, ResourceId, Vm, VmId, VmSpec, Volume, VolumeId};

/// What exists.
#[derive(Default)]
pub(super) struct State {
    pub(super) vms: BTreeMap<VmId, VmRecord>,
    pub(super) volumes: BTreeMap<VolumeId, Volume>,
    pub(super) images: BTreeMap<ImageId, Image>,
    pub(super) vms_ever_created: usize,
    next_id: u64,
}

/// A VM, what it was made of, and what its guest has said.
pub(super) struct VmRecord {
    pub(super) vm: Vm,
    pub(super) spec: VmSpec,
    pub(super) said: Vec<u8>,
}

impl State {
    pub(super) fn next_id(&mut self) -> String {
        self.next_id += 1;
        self.next_id.to_string()
    }

    pub(super) fn resources(&self) -> Vec<ResourceId> {
        let vms = self.vms.keys().cloned().map(ResourceId::Vm);
        let volumes = self.volumes.keys().cloned().map(ResourceId::Volume);
        let images = self.images.keys().cloned().map(ResourceId::Image);
        vms.chain(volumes).chain(images).collect()
    }
}
