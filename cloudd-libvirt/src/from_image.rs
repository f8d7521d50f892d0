//! VMs that begin with an image: to try what was built.

use std::sync::Arc;

use cloudd_core::provider::{
    Architecture, BootSpec, BuildId, ImageId, Labels, Result, Size, Vm, keys,
};

use crate::error::invalid;
use crate::provider::{Libvirt, check_name, existing};
use crate::session::Session;
use crate::settings::Config;
use crate::vm::NewVm;

pub(crate) const CREATE: &str = "create VM from image";

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

/// A VM to be created from an image.
#[derive(Debug)]
pub(crate) struct FromImage {
    name: String,
    labels: Labels,
    image: ImageId,
    architecture: Architecture,
    /// `None`: the provider's.
    memory: Option<Size>,
    /// `None`: the image's.
    disk_size: Option<Size>,
    user_data: Option<Vec<u8>>,
}

impl FromImage {
    pub(crate) fn of(spec: &BootSpec) -> Result<Self> {
        check_name(CREATE, &spec.name)?;
        Ok(Self {
            name: spec.name.clone(),
            labels: spec.labels.clone(),
            image: spec.image.clone(),
            architecture: spec.architecture,
            memory: None,
            disk_size: Some(spec.disk_size),
            user_data: None,
        })
    }

    fn with(image: &ImageId, options: VmOptions, architecture: Architecture) -> Result<Self> {
        let id = BuildId::random();
        let name = options.name.unwrap_or_else(|| format!("cloudd-vm-{id}"));
        check_name(CREATE, &name)?;
        let VmOptions { memory, disk_size, user_data, .. } = options;
        if memory.is_some_and(|memory| memory < Size::mib(16)) {
            return Err(invalid(CREATE, "expected 16 MiB of memory at least").with_resource(&name));
        }
        let labels = Labels::from_iter([(keys::BUILD.to_owned(), id.to_string())]);
        let labels = labels.merged(&options.labels);
        let image = image.clone();
        Ok(Self { name, labels, image, architecture, memory, disk_size, user_data })
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
    ///
    /// [`Provider::delete`]: cloudd_core::provider::Provider::delete
    pub async fn start_vm_from(&self, image: &ImageId, options: VmOptions) -> Result<Vm> {
        let new = FromImage::with(image, options, self.architecture)?;
        let config = Arc::clone(&self.host.config);
        self.host
            .call(move |session| {
                let was_there = session.made_before(&new.name, &new.labels)?.is_some();
                let started = session.create_from_image(&config, &new).and_then(|_| {
                    session.start_vm(&new.name)?;
                    existing(session.vm(&new.name)?, CREATE, &new.name)
                });
                if started.is_err() && !was_there {
                    session.undo(&new);
                }
                started
            })
            .await
    }
}

impl Session {
    /// Off; the one that is there where it was made before.
    pub(crate) fn create_from_image(&self, config: &Config, new: &FromImage) -> Result<Vm> {
        if let Some(made) = self.made_before(&new.name, &new.labels)? {
            return Ok(made);
        }
        let root = self.root_disk_of_image(new.image.as_str(), new.disk_size)?;
        self.create_vm(
            config,
            NewVm {
                name: &new.name,
                labels: &new.labels,
                architecture: new.architecture,
                root: &root,
                memory: new.memory.unwrap_or(config.memory),
                cpus: config.cpus,
                volume: None,
                user_data: new.user_data.as_deref(),
                context: None,
            },
        )?;
        existing(self.vm(&new.name)?, CREATE, &new.name)
    }

    fn undo(&self, new: &FromImage) {
        let ours =
            self.domain(&new.name).map(|it| it.is_some_and(|(_, it)| it.labels == new.labels));
        if let Err(left) =
            ours.and_then(|ours| if ours { self.delete_vm(&new.name) } else { Ok(()) })
        {
            tracing::warn!(%left, vm = new.name, "a VM that did not start is left behind");
        }
    }
}
