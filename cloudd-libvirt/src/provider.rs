use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudd_core::guest::GuestChannel;
use cloudd_core::provider::{
    Architecture, BootSpec, BuildRequirements, BuilderSpec, BuilderVm, Capabilities, Error,
    ErrorKind, Image, ImageId, ImageSpec, Labels, LeaseId, LeaseSpec, PowerState, Provider,
    Reporter, ResolvedBuilder, Resource, ResourceId, Result, Selector, Vm, VmId,
};
use cloudd_core::retry::{self, Backoff};

use crate::base::{self, FileHashes};
use crate::builder::LibvirtBuilder;
use crate::channel::EventLog;
use crate::error::invalid;
use crate::from_image::FromImage;
use crate::host::Host;
use crate::settings::Network;
use crate::vm::NewVm;

const CREATE: &str = "create builder VM";

/// A libvirt with a storage pool, local or remote, as a cloud to build images on.
///
/// Everything lies in the pool under names that say what it is: `NAME.volume.qcow2`,
/// `VM.root.qcow2`, `IMAGE.qcow2`, with the labels in JSON files beside them and, for VMs, in the
/// `<metadata>` of the domain. What says that somebody makes an image is a domain, too, with nothing
/// in it, called `cloudd-FINGERPRINT-NUMBER.POOL`.
#[derive(Debug, Clone)]
pub struct Libvirt {
    pub(crate) host: Arc<Host>,
    pub(crate) hashes: FileHashes,
    pub(crate) architecture: Architecture,
    pub(crate) capabilities: Capabilities,
}

impl Libvirt {
    /// A libvirt by its connection URI, such as `qemu:///system` or
    /// `qemu+ssh://root@host/system?keyfile=/home/me/.ssh/id`.
    ///
    /// Over ssh the `ssh` program is run, without a terminal: key and host key must need no
    /// question.
    pub fn builder(uri: impl Into<String>) -> LibvirtBuilder {
        LibvirtBuilder::new(uri.into())
    }

    /// Deletes base images that cloudd brought into the pool longer ago than this and that no disk
    /// begins with. Gives their names.
    ///
    /// A build makes its disk seconds after it has looked for its base image: an age of an hour
    /// disturbs none.
    ///
    /// # Errors
    /// Those of libvirt.
    pub async fn prune_base_images(&self, older_than: Duration) -> Result<Vec<String>> {
        self.host.call(move |session| session.prune_base_images(older_than)).await
    }
}

impl fmt::Display for Libvirt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "libvirt {} pool {}", self.host.config.uri, self.host.config.pool)
    }
}

#[async_trait]
impl Provider for Libvirt {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        const CHECK: &str = "check libvirt";
        let config = &self.host.config;
        if requirements.architecture != self.architecture {
            return Err(invalid(
                CHECK,
                format_args!(
                    "{} was asked for, and this provider is set up for {}",
                    requirements.architecture, self.architecture
                ),
            ));
        }
        let (accel, network) = (config.accel, config.network.clone());
        let architecture = self.architecture;
        self.host
            .call(move |session| {
                session.machine_kind(accel, architecture)?;
                match &network {
                    Network::Default => session.check_network("default"),
                    Network::Named(name) => session.check_network(name),
                    Network::User | Network::Bridge(_) => Ok(()),
                }
            })
            .await?;
        let Some(base) = &config.base else {
            return Err(invalid(CHECK, "no base image is given")
                .with_hint("Libvirt::builder(…).base_image(BaseImage::path(…))"));
        };
        let resolved = base::resolve(&self.host, &self.hashes, base).await?;
        let smallest = requirements.volume_size.max(resolved.size);
        let root = requirements.root_size.unwrap_or(smallest);
        if root < resolved.size {
            return Err(invalid(
                CHECK,
                format_args!(
                    "a root disk of {root} is smaller than the base image of {}",
                    resolved.size
                ),
            )
            .with_resource(base));
        }
        if root < requirements.volume_size {
            return Err(invalid(
                CHECK,
                format_args!(
                    "a root disk of {root} is smaller than the volume of {}",
                    requirements.volume_size
                ),
            ));
        }
        let base_image = resolved.identity.to_string();
        Ok(ResolvedBuilder::new(base_image, root).with_details(resolved.identity))
    }

    async fn ensure_base_image(
        &self,
        _: &BuildRequirements,
        resolved: &ResolvedBuilder,
        reporter: &Reporter,
    ) -> Result<()> {
        match &self.host.config.base {
            Some(base) => {
                base::prepare(&self.host, base, base::identity(resolved)?, reporter).await
            }
            None => Ok(()),
        }
    }

    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        check_name("create lease", &spec.name)?;
        let (spec, config) = (spec.clone(), Arc::clone(&self.host.config));
        let architecture = self.architecture;
        self.host.call(move |session| session.create_lease(&config, architecture, &spec)).await
    }

    async fn create_builder(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm> {
        check_name(CREATE, &spec.name)?;
        let (disk, size) = (spec.clone(), spec.requirements.volume_size);
        let volume = self
            .host
            .call(move |session| session.create_disk(&disk.name, &disk.labels, size))
            .await?;
        reporter.created(volume.id.clone());
        let user_data = spec.user_data.render(&volume.device)?;
        let identity = base::identity(&spec.resolved)?.clone();
        let (spec, config) = (spec.clone(), Arc::clone(&self.host.config));
        let vm = self
            .host
            .call(move |session| {
                if let Some(made) = session.made_before(&spec.name, &spec.labels)? {
                    return Ok(made);
                }
                let root = session.root_disk(&identity, spec.resolved.root_size)?;
                let new = NewVm {
                    name: &spec.name,
                    labels: &spec.labels,
                    architecture: spec.requirements.architecture,
                    root: &root,
                    memory: config.memory,
                    cpus: config.cpus,
                    volume: Some(&spec.name),
                    user_data: Some(&user_data),
                    context: spec.media.as_ref().map(|media| &media.archive),
                };
                session.create_vm(&config, new)?;
                existing(session.vm(&spec.name)?, CREATE, &spec.name)
            })
            .await?;
        reporter.created(vm.id.clone());
        Ok(BuilderVm::new(vm, volume))
    }

    async fn start_vm(&self, vm: &VmId, _: &Reporter) -> Result<()> {
        let vm = vm.to_string();
        self.host.call(move |session| session.start_vm(&vm)).await
    }

    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        let vm = vm.to_string();
        self.host.call(move |session| session.vm(&vm)).await
    }

    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        // Asking libvirt is cheap, and seconds matter at the end of a build.
        retry::poll_until("wait for power-off of", vm, Backoff::QUICK, || async {
            match self.vm(vm).await?.map(|vm| vm.state) {
                Some(PowerState::Off) => Ok(Some(())),
                Some(PowerState::Error(reason)) => Err(Error::vm_failed(vm, &reason)),
                Some(_) => Ok(None),
                None => Err(Error::gone(vm)),
            }
        })
        .await
    }

    async fn open_channel(&self, vm: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
        if !self.capabilities.channel {
            return Ok(None);
        }
        let name = vm.to_string();
        existing(self.vm(vm).await?, "open channel to VM", &name)?;
        Ok(Some(Box::new(EventLog::new(Arc::clone(&self.host), name))))
    }

    async fn create_image(
        &self,
        vm: &VmId,
        spec: &ImageSpec,
        reporter: &Reporter,
    ) -> Result<Image> {
        let (vm, spec, reporter) = (vm.to_string(), spec.clone(), reporter.clone());
        self.host.call(move |session| session.create_image(&vm, &spec, &reporter)).await
    }

    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        let image = image.to_string();
        self.host.call(move |session| session.image(&image)).await
    }

    async fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
        let selector = selector.clone();
        self.host.call(move |session| session.images(&selector)).await
    }

    async fn create_vm_from_image(&self, spec: &BootSpec, _: &Reporter) -> Result<Vm> {
        let (new, config) = (FromImage::of(spec)?, Arc::clone(&self.host.config));
        self.host.call(move |session| session.create_from_image(&config, &new)).await
    }

    /// Of all runs of the VM, as far as virtlogd keeps it: what it printed on `ttyS0`, on Arm
    /// `ttyAMA0`.
    async fn console(&self, vm: &VmId) -> Result<Vec<u8>> {
        let vm = vm.to_string();
        self.host.call(move |session| session.console(&vm)).await
    }

    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        let (resource, labels) = (resource.clone(), labels.clone());
        self.host.call(move |session| session.set_labels(&resource, &labels)).await
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let selector = selector.clone();
        self.host.call(move |session| session.resources(&selector)).await
    }

    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        let resource = resource.clone();
        self.host.call(move |session| session.delete(&resource)).await
    }
}

pub(crate) fn existing(vm: Option<Vm>, operation: &str, name: &str) -> Result<Vm> {
    vm.ok_or_else(|| Error::new(ErrorKind::NotFound, operation).with_resource(name))
}

/// Names become names of files and of hosts.
pub(crate) fn check_name(operation: &str, name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.len() <= 63 && name.bytes().all(fits) {
        return Ok(());
    }
    Err(invalid(operation, format_args!("{name:?} is not a name: expected 1 to 63 of a-z, 0-9, -")))
}
