use std::fmt::{Debug, Display};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::{
    BootSpec, BuildId, BuildRequirements, BuildSecret, Capabilities, Cost, Error, ErrorKind, Image,
    ImageId, ImageSpec, ImageStatus, Labels, LeaseId, LeaseSpec, PowerState, Reporter,
    ResolvedBuilder, Resource, ResourceId, ResourceKind, Result, Selector, Size, Vm, VmId, VmSpec,
    Volume, VolumeSpec,
};
use crate::guest::GuestChannel;
use crate::retry;

/// A cloud on which images can be built.
///
/// # Contract
/// Beside what each method says:
///
/// * **Found before it is waited for.** A `create_*` call returns as soon as the resource exists
///   and can be found by its labels, with all labels of its spec; what the cloud still does
///   afterwards is waited for by the next call that needs it.
/// * **Names are unique.** Creating a VM or a volume whose name exists gives
///   [`ErrorKind::AlreadyExists`](super::ErrorKind::AlreadyExists) and changes nothing, unless the
///   existing one carries the same build label: then an earlier answer was lost, or the process that
///   made it died, and the existing one is returned. For leases it is the owner label that must be
///   the same, and of several processes that create one of the same name exactly one succeeds.
/// * **Idempotent deletion.** Deleting what does not exist is success. Deleting a running VM stops
///   it. When `delete` returns, [`find`](Self::find) does not return the resource any more.
/// * **Only ours.** `find` returns nothing that lacks the label `cloudd/build`.
///
/// # Cancellation
/// The builder never drops the future of a `create_*` call, of `set_labels` or of `delete` before it
/// is done or its deadline has passed; all others may be dropped at any await point.
///
/// # Errors
/// Every error names operation, resource and cause and holds no secret. A resource that is gone is
/// `Ok(None)` where the return type has an `Option`, else
/// [`ErrorKind::NotFound`](super::ErrorKind::NotFound).
#[async_trait]
pub trait Provider: Debug + Display + Send + Sync + 'static {
    /// What this provider can do.
    fn capabilities(&self) -> &Capabilities;

    /// Says what would be used for a build, reading only: connection, credentials, base image,
    /// sizes. Every way in which the input cannot work is found here.
    ///
    /// # Errors
    /// As the trait says; [`ErrorKind::InvalidInput`](super::ErrorKind::InvalidInput) names the
    /// offending value.
    async fn check(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder>;

    /// Brings in place what builds share, such as the base image in a cache. Costs no money and is
    /// not part of any build.
    ///
    /// # Errors
    /// As the trait says.
    async fn prepare(
        &self,
        requirements: &BuildRequirements,
        offer: &ResolvedBuilder,
        reporter: &Reporter,
    ) -> Result<()> {
        let _ = (requirements, offer, reporter);
        Ok(())
    }

    /// What a build costs that runs for so long and whose image takes so much; `None` where the
    /// provider has no prices.
    ///
    /// # Errors
    /// As the trait says.
    async fn cost(
        &self,
        requirements: &BuildRequirements,
        offer: &ResolvedBuilder,
        run_time: Duration,
        image: Size,
    ) -> Result<Option<Cost>> {
        let _ = (requirements, offer, run_time, image);
        Ok(None)
    }

    /// A secret of a build that every process with the same credentials computes alike. `None`
    /// where there is nothing to compute it from: then nobody can speak over SSH with the guest of
    /// a process that died.
    fn secret(&self, build: &BuildId) -> Option<BuildSecret> {
        let _ = build;
        None
    }

    /// Creates a lease: what says that somebody is making a certain image. It costs nothing, and
    /// holds nothing but its labels.
    ///
    /// # Errors
    /// As the trait says; [`ErrorKind::AlreadyExists`](super::ErrorKind::AlreadyExists) when there
    /// is one of this name and another owner.
    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId>;

    /// Creates a volume that reads as zeros or is at least writable from end to end.
    ///
    /// # Errors
    /// As the trait says.
    async fn create_volume(&self, spec: &VolumeSpec, reporter: &Reporter) -> Result<Volume>;

    /// Creates a VM that is off, with its volume and media attached before its first start.
    ///
    /// # Errors
    /// As the trait says; [`ErrorKind::NoRoom`](super::ErrorKind::NoRoom) when the VM cannot be
    /// where its volume is, and the next volume of the same build would be created elsewhere. The
    /// builder then deletes the volume and creates both again, until the provider knows of no other
    /// place and says [`ErrorKind::Unavailable`](super::ErrorKind::Unavailable).
    async fn create_vm(&self, spec: &VmSpec, reporter: &Reporter) -> Result<Vm>;

    /// Starts a VM and returns when it runs. A VM that runs already is success.
    ///
    /// # Errors
    /// As the trait says.
    async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()>;

    /// Cuts the power of a VM and returns when it is off.
    ///
    /// # Errors
    /// As the trait says.
    async fn stop_vm(&self, vm: &VmId) -> Result<()>;

    /// A VM as it is now.
    ///
    /// # Errors
    /// As the trait says.
    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>>;

    /// Whether a VM was ever started; `None` where the provider does not know. Asked when a build
    /// goes on whose process died, since "off" means nothing before the first start.
    ///
    /// # Errors
    /// As the trait says.
    async fn was_started(&self, vm: &VmId) -> Result<Option<bool>> {
        let _ = vm;
        Ok(None)
    }

    /// Waits until a VM that was started is off, without a deadline of its own. Ends at once, with
    /// [`ErrorKind::Gone`](super::ErrorKind::Gone), when the VM disappears, and with the
    /// provider's reason when it is [stuck](PowerState::Error).
    ///
    /// # Errors
    /// As the trait says.
    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        retry::poll_until("wait for power-off of", vm, retry::Backoff::STEADY, || async {
            match self.vm(vm).await?.map(|vm| vm.state) {
                Some(PowerState::Off) => Ok(Some(())),
                Some(PowerState::Running | PowerState::Changing) => Ok(None),
                Some(PowerState::Error(reason)) => Err(Error::vm_failed(vm, &reason)),
                None => Err(Error::gone(vm)),
            }
        })
        .await
    }

    /// Opens the channel on which the guest speaks, from its first byte.
    /// `Ok(None)` when this provider has none ([`Capabilities::channel`]). The channel over SSH is
    /// not opened here: the builder does that where [`Capabilities`] name an SSH port, with keys
    /// of its own.
    ///
    /// # Errors
    /// As the trait says.
    async fn open_channel(&self, vm: &VmId) -> Result<Option<Box<dyn GuestChannel>>>;

    /// Makes an image of the root disk of a VM that is off; the VM stays. Where an image of the same
    /// build is there already, or half made by a process that died, that one is returned, finished
    /// or still being made, and there is no second one.
    ///
    /// # Errors
    /// As the trait says; [`ErrorKind::Busy`](super::ErrorKind::Busy) when the VM is not off.
    async fn create_image(&self, vm: &VmId, spec: &ImageSpec, reporter: &Reporter)
    -> Result<Image>;

    /// An image as it is now.
    ///
    /// # Errors
    /// As the trait says.
    async fn image(&self, image: &ImageId) -> Result<Option<Image>>;

    /// All selected images, in no order; those that are half made, too.
    ///
    /// # Errors
    /// As the trait says.
    async fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
        let mut images = Vec::new();
        for found in self.find(&selector.clone().of_kind(ResourceKind::Image)).await? {
            if let ResourceId::Image(id) = &found.id {
                // One that was deleted meanwhile is none.
                images.extend(self.image(id).await?);
            }
        }
        Ok(images)
    }

    /// Waits until an image is available, without a deadline of its own.
    ///
    /// # Errors
    /// As the trait says; [`ErrorKind::Gone`](super::ErrorKind::Gone) when the image
    /// disappears, [`ErrorKind::Failed`](super::ErrorKind::Failed) when it is broken.
    async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
        let _ = reporter;
        retry::poll_until("wait for image", image, retry::Backoff::STEADY, || async {
            match self.image(image).await? {
                Some(found) if found.status == ImageStatus::Available => Ok(Some(found)),
                Some(found) if found.status == ImageStatus::Broken => {
                    Err(Error::image_broken(image))
                }
                Some(_) => Ok(None),
                None => Err(Error::gone(image)),
            }
        })
        .await
    }

    /// Creates a VM from an image, off. Its root disk is a copy: the image stays as it is.
    ///
    /// # Errors
    /// As the trait says; [`ErrorKind::Unsupported`](super::ErrorKind::Unsupported) where
    /// [`Capabilities::boots_images`] says so.
    async fn create_vm_from_image(&self, spec: &BootSpec, reporter: &Reporter) -> Result<Vm> {
        let _ = reporter;
        Err(Error::new(ErrorKind::Unsupported, "create VM from image")
            .with_resource(&spec.image)
            .with_message("this provider does not do it"))
    }

    /// All that a VM has printed on its console so far; empty where there is none
    /// ([`Capabilities::console`]).
    ///
    /// # Errors
    /// As the trait says.
    async fn console(&self, vm: &VmId) -> Result<Vec<u8>> {
        let _ = vm;
        Ok(Vec::new())
    }

    /// Lays labels over those that a resource has; other labels stay.
    ///
    /// # Errors
    /// As the trait says; [`ErrorKind::NotFound`](super::ErrorKind::NotFound) when the resource is
    /// gone, which tells the owner of a lease that it is not the owner any more.
    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()>;

    /// Everything of cloudd's that the selector matches, of every kind this provider creates,
    /// half-made things too.
    ///
    /// # Errors
    /// As the trait says.
    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>>;

    /// Deletes a resource.
    ///
    /// # Errors
    /// As the trait says.
    async fn delete(&self, resource: &ResourceId) -> Result<()>;
}

/// Passes every call on, default methods too: a wrapper must not fall back to polling.
macro_rules! forward {
    ($($wrapper:ty),*) => {$(
        #[async_trait]
        impl<P: Provider + ?Sized> Provider for $wrapper {
            fn capabilities(&self) -> &Capabilities {
                (**self).capabilities()
            }
            async fn check(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
                (**self).check(requirements).await
            }
            async fn prepare(
                &self,
                requirements: &BuildRequirements,
                offer: &ResolvedBuilder,
                reporter: &Reporter,
            ) -> Result<()> {
                (**self).prepare(requirements, offer, reporter).await
            }
            async fn cost(
                &self,
                requirements: &BuildRequirements,
                offer: &ResolvedBuilder,
                run_time: Duration,
                image: Size,
            ) -> Result<Option<Cost>> {
                (**self).cost(requirements, offer, run_time, image).await
            }
            fn secret(&self, build: &BuildId) -> Option<BuildSecret> {
                (**self).secret(build)
            }
            async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
                (**self).create_lease(spec).await
            }
            async fn create_volume(&self, spec: &VolumeSpec, reporter: &Reporter) -> Result<Volume> {
                (**self).create_volume(spec, reporter).await
            }
            async fn create_vm(&self, spec: &VmSpec, reporter: &Reporter) -> Result<Vm> {
                (**self).create_vm(spec, reporter).await
            }
            async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()> {
                (**self).start_vm(vm, reporter).await
            }
            async fn stop_vm(&self, vm: &VmId) -> Result<()> {
                (**self).stop_vm(vm).await
            }
            async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
                (**self).vm(vm).await
            }
            async fn was_started(&self, vm: &VmId) -> Result<Option<bool>> {
                (**self).was_started(vm).await
            }
            async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
                (**self).wait_vm_off(vm).await
            }
            async fn open_channel(&self, vm: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
                (**self).open_channel(vm).await
            }
            async fn create_image(
                &self,
                vm: &VmId,
                spec: &ImageSpec,
                reporter: &Reporter,
            ) -> Result<Image> {
                (**self).create_image(vm, spec, reporter).await
            }
            async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
                (**self).image(image).await
            }
            async fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
                (**self).images(selector).await
            }
            async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
                (**self).wait_image(image, reporter).await
            }
            async fn create_vm_from_image(
                &self,
                spec: &BootSpec,
                reporter: &Reporter,
            ) -> Result<Vm> {
                (**self).create_vm_from_image(spec, reporter).await
            }
            async fn console(&self, vm: &VmId) -> Result<Vec<u8>> {
                (**self).console(vm).await
            }
            async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
                (**self).set_labels(resource, labels).await
            }
            async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
                (**self).find(selector).await
            }
            async fn delete(&self, resource: &ResourceId) -> Result<()> {
                (**self).delete(resource).await
            }
        }
    )*};
}

forward!(Arc<P>, Box<P>);
