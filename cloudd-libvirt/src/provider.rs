use std::sync::Arc;

use async_trait::async_trait;
use cloudd_core::guest::GuestChannel;
use cloudd_core::provider::{
    BootSpec, BuildRequirements, BuilderSpec, BuilderVm, Capabilities, Error, Image, ImageId,
    ImageSpec, Labels, LeaseId, LeaseSpec, PowerState, Provider, Reporter, ResolvedBuilder,
    Resource, ResourceId, Result, Selector, Vm, VmId,
};
use cloudd_core::retry::{self, Backoff};

use crate::base_image;
use crate::channel::EventLog;
use crate::error::invalid;
use crate::libvirt::Libvirt;
use crate::server::FromImage;
use crate::vm::{check_name, existing};

#[async_trait]
impl Provider for Libvirt {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        if requirements.architecture != self.architecture {
            let (wanted, own) = (requirements.architecture, self.architecture);
            let message = format!("the build requires {wanted}, this provider is set to {own}");
            return Err(invalid("check libvirt", message));
        }
        let (config, architecture) = (Arc::clone(&self.host.config), self.architecture);
        self.host
            .call(move |session| {
                session.machine_kind(config.accel, architecture)?;
                session.check_network(&config.network)
            })
            .await?;
        base_image::resolve(&self.host, &self.hashes, requirements).await
    }

    async fn ensure_base_image(
        &self,
        _: &BuildRequirements,
        resolved: &ResolvedBuilder,
        reporter: &Reporter,
    ) -> Result<()> {
        base_image::ensure(&self.host, resolved, reporter).await
    }

    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        check_name("create lease", &spec.name)?;
        let (spec, config) = (spec.clone(), Arc::clone(&self.host.config));
        let architecture = self.architecture;
        self.host.call(move |session| session.create_lease(&config, architecture, &spec)).await
    }

    async fn create_builder(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm> {
        check_name("create builder VM", &spec.name)?;
        let base = base_image::identity(&spec.resolved)?.clone();
        let (name, labels) = (spec.name.clone(), spec.labels.clone());
        let size = spec.requirements.volume_size;
        let volume = self
            .host
            .call(move |session| session.create_install_volume(&name, &labels, size))
            .await?;
        reporter.created(volume.id.clone());
        let user_data = spec.user_data.render(&volume.device)?;
        let (spec, config) = (spec.clone(), Arc::clone(&self.host.config));
        let vm = self
            .host
            .call(move |session| {
                if let Some(existing) = session.find_existing(&spec.name, &spec.labels)? {
                    return Ok(existing);
                }
                let root = session.root_disk(&base, spec.resolved.root_size)?;
                session.create_builder_vm(&config, &spec, &root, &user_data)
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
        // A poll of libvirt is cheap, and at the end of a build seconds matter.
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

    /// The output of all runs of the VM on `ttyS0` (on Arm `ttyAMA0`), as far as virtlogd keeps it.
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
