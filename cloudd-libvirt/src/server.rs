//! VMs that start from an image.

use std::fmt;
use std::sync::Arc;

use cloudd_core::provider::{
    Architecture, BootSpec, BuildId, Error, ErrorKind, ImageId, Labels, Result, Size, Vm, keys,
};

use crate::connection::Session;
use crate::error::invalid;
use crate::labels::MetadataKind;
use crate::libvirt::Libvirt;
use crate::settings::Config;
use crate::vm::{NewVm, RootDisk, check_name, existing};
use crate::xml::volume::Format;

const CREATE: &str = "create VM from image";

/// The options of [`Libvirt::start_vm_from`].
#[derive(Clone, Default)]
#[non_exhaustive]
#[must_use]
pub struct VmOptions {
    name: Option<String>,
    labels: Labels,
    memory: Option<Size>,
    disk_size: Option<Size>,
    user_data: Option<Vec<u8>>,
}

impl fmt::Debug for VmOptions {
    /// Without the user data, which can contain passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, labels, memory, disk_size, user_data } = self;
        f.debug_struct("VmOptions")
            .field("name", name)
            .field("labels", labels)
            .field("memory", memory)
            .field("disk_size", disk_size)
            .field("user_data", &user_data.as_ref().map(|_| "…"))
            .finish()
    }
}

impl VmOptions {
    /// A generated name, the provider's memory, a disk of the image's size, no user data.
    pub fn new() -> Self {
        Self::default()
    }

    /// The name: 1 to 63 characters of `a-z`, `0-9` and `-`, unique on the host.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The labels. Keys must not begin with `cloudd/`. A label by which the VM is found is added.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// The memory, at least 16 MiB.
    pub fn memory(mut self, memory: Size) -> Self {
        self.memory = Some(memory);
        self
    }

    /// The size of the disk, at least that of the image.
    pub fn disk_size(mut self, size: Size) -> Self {
        self.disk_size = Some(size);
        self
    }

    /// User data for cloud-init in the image, delivered on a `NoCloud` disk.
    pub fn user_data(mut self, user_data: impl Into<Vec<u8>>) -> Self {
        self.user_data = Some(user_data.into());
        self
    }
}

/// A VM to be created from an image. Memory and disk size default to those of the provider and of
/// the image.
pub(crate) struct FromImage {
    name: String,
    labels: Labels,
    image: ImageId,
    architecture: Architecture,
    memory: Option<Size>,
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
        let VmOptions { name, labels, memory, disk_size, user_data } = options;
        let name = name.unwrap_or_else(|| format!("cloudd-vm-{id}"));
        check_name(CREATE, &name)?;
        if memory.is_some_and(|memory| memory < Size::mib(16)) {
            return Err(invalid(CREATE, "expected at least 16 MiB of memory").with_resource(&name));
        }
        labels.ensure_unreserved().map_err(|error| {
            invalid(CREATE, "a label of the VM is reserved")
                .with_resource(&name)
                .with_hint("copy only the labels of the image that do not begin with cloudd/")
                .with_source(error)
        })?;
        let labels = Labels::from_iter([(keys::BUILD, id.to_string())]).merged(&labels);
        let image = image.clone();
        Ok(Self { name, labels, image, architecture, memory, disk_size, user_data })
    }
}

impl Libvirt {
    /// Creates a VM from an image and starts it. Its disk is an overlay of the image: the image is
    /// not changed and cannot be deleted as long as the VM exists. [`Provider::delete`] deletes the
    /// VM and its disks. A VM that cannot be started is deleted again.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput) for an invalid name or a disk
    /// that is smaller than the image, [`NotFound`](cloudd_core::provider::ErrorKind::NotFound) if the
    /// image does not exist, and errors of libvirt.
    ///
    /// [`Provider::delete`]: cloudd_core::provider::Provider::delete
    pub async fn start_vm_from(&self, image: &ImageId, options: VmOptions) -> Result<Vm> {
        let new = FromImage::with(image, options, self.architecture)?;
        let config = Arc::clone(&self.host.config);
        self.host
            .call(move |session| {
                let existed = session.find_existing(&new.name, &new.labels)?.is_some();
                let started = session.create_from_image(&config, &new).and_then(|_| {
                    session.start_vm(&new.name)?;
                    existing(session.vm(&new.name)?, CREATE, &new.name)
                });
                if started.is_err() && !existed {
                    session.delete_failed(&new);
                }
                started
            })
            .await
    }
}

impl Session {
    /// Creates a VM from an image, off, or returns the existing one of the same build.
    pub(crate) fn create_from_image(&self, config: &Config, new: &FromImage) -> Result<Vm> {
        if let Some(existing) = self.find_existing(&new.name, &new.labels)? {
            return Ok(existing);
        }
        let root = self.root_disk_of_image(new.image.as_str(), new.disk_size)?;
        let memory = new.memory.unwrap_or(config.memory);
        self.create_vm(
            config,
            NewVm {
                name: &new.name,
                labels: &new.labels,
                architecture: new.architecture,
                root: &root,
                memory,
                volume: None,
                user_data: new.user_data.as_deref(),
                context: None,
            },
        )?;
        existing(self.vm(&new.name)?, CREATE, &new.name)
    }

    fn root_disk_of_image(&self, name: &str, size: Option<Size>) -> Result<RootDisk> {
        let fail =
            |kind, message| Err(Error::new(kind, CREATE).with_resource(name).with_message(message));
        let Some(image) = self.metadata(MetadataKind::Image, name)? else {
            return fail(ErrorKind::NotFound, "the image does not exist".to_owned());
        };
        if !image.is_ready() {
            return fail(ErrorKind::Failed, "the image is incomplete".to_owned());
        }
        let size = size.unwrap_or(image.size);
        if size < image.size {
            let message = format!("a disk of {size} is smaller than the image of {}", image.size);
            return fail(ErrorKind::InvalidInput, message);
        }
        let metadata = Some((MetadataKind::Image, image.name));
        Ok(RootDisk { backing: image.data, format: Format::Qcow2, size, metadata })
    }

    fn delete_failed(&self, new: &FromImage) {
        let deleted = self.domain(&new.name).and_then(|found| match found {
            Some((_, metadata)) if metadata.labels == new.labels => self.delete_vm(&new.name),
            _ => Ok(()),
        });
        if let Err(left) = deleted {
            tracing::warn!(%left, vm = new.name, "VM that could not be started is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_are_not_in_the_debug_output() {
        let shown = format!("{:?}", VmOptions::new().user_data(*b"password: s3cret"));
        assert!(!shown.contains("s3cret") && !shown.contains("115"), "{shown}");
    }
}
