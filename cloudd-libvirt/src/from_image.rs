//! VMs that begin with an image: to try what was built.

use std::sync::Arc;

use cloudd_core::provider::{BuildId, ImageId, Labels, Provider, Result, Size, Vm, VmId, keys};

use crate::error::invalid;
use crate::provider::{Libvirt, check_name, existing};
use crate::vm::NewVm;

const START: &str = "start VM from image";

/// A VM to be started from an image.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
#[must_use]
pub struct VmOptions {
    name: Option<String>,
    labels: Labels,
    memory: Option<Size>,
    disk_size: Option<Size>,
    user_data: Option<Vec<u8>>,
}

impl VmOptions {
    /// A name of its own, the provider's memory, a disk of the image's size, no user data.
    pub fn new() -> Self {
        Self::default()
    }

    /// Its name: 1 to 63 of `a-z`, `0-9` and `-`, and not taken.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Its labels. One that says of which build it is is added when missing: without it the VM
    /// would not be found again.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// Its memory.
    pub fn memory(mut self, memory: Size) -> Self {
        self.memory = Some(memory);
        self
    }

    /// The size of its disk, no smaller than the image's.
    pub fn disk_size(mut self, size: Size) -> Self {
        self.disk_size = Some(size);
        self
    }

    /// User data for cloud-init in the image, on a seed as builder VMs have one.
    pub fn user_data(mut self, user_data: impl Into<Vec<u8>>) -> Self {
        self.user_data = Some(user_data.into());
        self
    }
}

impl Libvirt {
    /// Starts a VM from an image. Its disk is an overlay, so the image stays as it is, and cannot
    /// be deleted as long as the VM exists. [`Provider::delete`] removes the VM with all it has.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput) for a name that cannot be
    /// one or a disk that is too small, [`NotFound`](cloudd_core::provider::ErrorKind::NotFound)
    /// for an image that is not there, and those of libvirt. A VM that could not be started is
    /// deleted again.
    pub async fn start_vm_from(&self, image: &ImageId, options: VmOptions) -> Result<Vm> {
        let id = BuildId::random();
        let name = options.name.unwrap_or_else(|| format!("cloudd-vm-{id}"));
        check_name(START, &name)?;
        if options.memory.is_some_and(|memory| memory < Size::mib(16)) {
            return Err(invalid(START, "expected 16 MiB of memory at least").on(&name));
        }
        let mut labels = Labels::from_provider([(keys::BUILD.to_owned(), id.to_string())]);
        labels = labels.merged(&options.labels);
        let (image, config) = (image.to_string(), Arc::clone(&self.host.config));
        let (architecture, vm) = (self.architecture, VmId::new(&name));
        let (memory, disk_size, user_data) = (options.memory, options.disk_size, options.user_data);
        let made = self
            .host
            .call(move |session| {
                if let Some(made) = session.made_before(&name, &labels)? {
                    return Ok(made);
                }
                let root = session.root_disk_of_image(&image, disk_size)?;
                let new = NewVm {
                    name: &name,
                    labels: &labels,
                    architecture,
                    root: &root,
                    memory: memory.unwrap_or(config.memory),
                    cpus: config.cpus,
                    volume: None,
                    user_data: user_data.as_deref(),
                    context: None,
                };
                let made = session.create_vm(&config, new).and_then(|()| session.start_vm(&name));
                if let Err(error) = made {
                    let ours = session.domain(&name)?.is_some_and(|(_, it)| it.labels == labels);
                    if ours && let Err(left) = session.delete_vm(&name) {
                        tracing::warn!(%left, vm = name, "a VM that did not start is left behind");
                    }
                    return Err(error);
                }
                existing(session.vm(&name)?, START, &name)
            })
            .await?;
        // One that was made before may not have been started.
        self.start_vm(&vm, &cloudd_core::provider::Reporter::silent()).await?;
        Ok(made)
    }
}
