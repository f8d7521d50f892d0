use std::fmt::{Debug, Display};
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Capabilities, Image, ImageId, ImageSpec, ImageStatus, Labels, Offer, PowerState, Reporter,
    Requirements, Resource, ResourceId, Result, Selector, Vm, VmId, VmSpec, Volume, VolumeSpec,
};
use crate::guest::GuestChannel;
use crate::wait;

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
///   existing one carries the same build label: then an earlier answer was lost, and the existing
///   one is returned.
/// * **Idempotent deletion.** Deleting what does not exist is success. Deleting a running VM stops
///   it. When `delete` returns, [`find`](Self::find) does not return the resource any more.
/// * **Only ours.** `find` returns nothing that lacks the label `cloudd/build`.
///
/// # Cancellation
/// The builder never drops the future of `create_vm`, `create_volume`, `create_image`,
/// `set_labels` or `delete` before it is done; all others may be dropped at any await point.
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
    async fn check(&self, requirements: &Requirements) -> Result<Offer>;

    /// Brings in place what builds share, such as the base image in a cache. Costs no money and is
    /// not part of any build.
    ///
    /// # Errors
    /// As the trait says.
    async fn prepare(
        &self,
        requirements: &Requirements,
        offer: &Offer,
        reporter: &Reporter,
    ) -> Result<()> {
        let _ = (requirements, offer, reporter);
        Ok(())
    }

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

    /// Waits until a VM that was started is off, without a deadline of its own. Ends at once, with
    /// [`ErrorKind::Vanished`](super::ErrorKind::Vanished), when the VM disappears, and with the
    /// provider's reason when it is [stuck](PowerState::Stuck).
    ///
    /// # Errors
    /// As the trait says.
    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        wait::until("wait for power-off of", vm, wait::Pace::STEADY, || async {
            match self.vm(vm).await?.map(|vm| vm.state) {
                Some(PowerState::Off) => Ok(Some(())),
                Some(PowerState::Running | PowerState::Changing) => Ok(None),
                Some(PowerState::Stuck(reason)) => Err(wait::stuck(vm, &reason)),
                None => Err(wait::vanished(vm)),
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

    /// Makes an image of the root disk of a VM that is off; the VM stays.
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

    /// Waits until an image is available, without a deadline of its own.
    ///
    /// # Errors
    /// As the trait says; [`ErrorKind::Vanished`](super::ErrorKind::Vanished) when the image
    /// disappears, [`ErrorKind::Failed`](super::ErrorKind::Failed) when it is broken.
    async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
        let _ = reporter;
        wait::until("wait for image", image, wait::Pace::STEADY, || async {
            match self.image(image).await? {
                Some(found) if found.status == ImageStatus::Available => Ok(Some(found)),
                Some(found) if found.status == ImageStatus::Broken => Err(wait::broken(image)),
                Some(_) => Ok(None),
                None => Err(wait::vanished(image)),
            }
        })
        .await
    }

    /// Lays labels over those that a resource has; other labels stay.
    ///
    /// # Errors
    /// As the trait says.
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
            async fn check(&self, requirements: &Requirements) -> Result<Offer> {
                (**self).check(requirements).await
            }
            async fn prepare(
                &self,
                requirements: &Requirements,
                offer: &Offer,
                reporter: &Reporter,
            ) -> Result<()> {
                (**self).prepare(requirements, offer, reporter).await
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
            async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
                (**self).wait_image(image, reporter).await
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
