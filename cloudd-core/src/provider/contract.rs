use std::fmt::{Debug, Display};
use std::time::Duration;

use async_trait::async_trait;

use super::{
    BootSpec, BuildId, BuildRequirements, BuildSecret, BuilderSpec, BuilderVm, Capabilities, Cost,
    Error, ErrorKind, Image, ImageId, ImageSpec, ImageStatus, Labels, LeaseId, LeaseSpec,
    PowerState, Reporter, ResolvedBuilder, Resource, ResourceId, ResourceKind, Result, Selector,
    Size, Vm, VmId,
};
use crate::guest::GuestChannel;
use crate::retry::{self, Backoff};

/// A cloud on which images can be built.
///
/// # Contract
/// In addition to what each method says:
///
/// * **Labelled at creation.** A `create_*` call returns as soon as the resource exists with all
///   labels of its spec and [`find`](Self::find) returns it. Work that the cloud goes on with
///   afterwards is waited for by the next call that depends on it.
/// * **Unique names.** Creating a VM or a volume under an existing name fails with
///   [`ErrorKind::AlreadyExists`] and changes nothing, unless the existing resource carries the
///   same build label ([`keys::BUILD`](super::keys::BUILD)). Then an earlier answer was lost or the
///   process that created it died, and the existing resource is returned. For leases the holder
///   label ([`keys::HOLDER`](super::keys::HOLDER)) is compared instead; of several processes that
///   create a lease under one name exactly one succeeds.
/// * **Idempotent deletion.** Deleting a resource that does not exist succeeds. Deleting a running
///   VM stops it first. When `delete` returns, `find` does not return the resource any more.
/// * **Managed resources only.** `find` and [`images`](Self::images) never return a resource
///   without the label `cloudd/build`.
/// * **Limits are checked by the build.** Before the build creates anything, it compares the size of
///   the volume and of the user data with the [`Capabilities`]. A provider may round the size of a
///   volume up, never down. The limit of user data is measured on the bytes that
///   [`UserDataTemplate::render`](super::UserDataTemplate::render) returns.
///
/// The contract suite (`cloudd_core::testing::run_all`, feature `testing`) has a check for each rule
/// that can be observed from outside.
///
/// # Cancellation
/// The build never drops the future of a `create_*` call, of `set_labels` or of `delete` before it
/// has completed or its deadline has passed. All other futures may be dropped at any await point.
///
/// # Errors
/// Every error names the operation, the resource and the reason, and contains no secret. A resource
/// that does not exist is `Ok(None)` where the return type is an `Option`, otherwise
/// [`ErrorKind::NotFound`].
#[async_trait]
pub trait Provider: Debug + Display + Send + Sync + 'static {
    /// Returns the limits and capabilities of this provider.
    fn capabilities(&self) -> &Capabilities;

    /// Chooses the base image, VM type and sizes of a build without changing anything, and checks
    /// the connection and the credentials. Requirements that cannot be met are an error here, before
    /// anything is created.
    ///
    /// # Errors
    /// See the trait. [`ErrorKind::InvalidInput`] names the offending value.
    async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder>;

    /// Makes the base image available, for example by downloading it into a cache that all builds
    /// share. Must not create anything that costs money.
    ///
    /// # Errors
    /// See the trait.
    async fn ensure_base_image(
        &self,
        requirements: &BuildRequirements,
        resolved: &ResolvedBuilder,
        reporter: &Reporter,
    ) -> Result<()> {
        let _ = (requirements, resolved, reporter);
        Ok(())
    }

    /// Estimates what a build costs that runs for `run_time` and produces an image of `image`
    /// stored bytes. `None` if the provider has no prices.
    ///
    /// # Errors
    /// See the trait.
    async fn estimate_cost(
        &self,
        requirements: &BuildRequirements,
        resolved: &ResolvedBuilder,
        run_time: Duration,
        image: Size,
    ) -> Result<Option<Cost>> {
        let _ = (requirements, resolved, run_time, image);
        Ok(None)
    }

    /// Derives the secret of a build. Every process with the same credentials derives the same
    /// secret, so that it can log in to the builder VM of a build that it resumes. `None` if there
    /// are no credentials to derive it from; such a VM cannot be reached over SSH after its process
    /// died.
    fn build_secret(&self, build: &BuildId) -> Option<BuildSecret> {
        let _ = build;
        None
    }

    /// Creates a lease: a resource without cost that holds only its name and its labels. Creation
    /// under a unique name is the atomic step of the distributed lock.
    ///
    /// A lease that is deleted and created again under the same name has another id: a holder that lost
    /// its lease must not renew or delete the lease of its successor.
    ///
    /// # Errors
    /// See the trait. [`ErrorKind::AlreadyExists`] if a lease of this name has another holder.
    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId>;

    /// Creates the volume and the builder VM of a build, both under the same name and with the same
    /// labels. The VM is off; volume and media are attached before its first start.
    ///
    /// The volume has at least the required size; its initial contents are unspecified. As soon as
    /// a resource exists (created or adopted), [`Reporter::created`] is called with its id. Where the
    /// cloud has no capacity for the VM at the volume's location, the provider deletes the volume
    /// ([`Reporter::deleted`]), creates both at another location and reports the fallback as a note.
    ///
    /// A repeated call with the same name and build label adopts the existing VM and volume, whatever
    /// else its spec says, and creates what is missing of the two. A VM whose creation was interrupted
    /// is completed.
    ///
    /// # Errors
    /// See the trait. [`ErrorKind::Unavailable`] if no location has capacity. After an error the
    /// volume, or both, may exist; they are found by their labels.
    async fn create_builder(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm>;

    /// Starts a VM and returns when it runs. Starting a running VM succeeds. A VM that went off, by its
    /// guest or by a power cut, is started again from its root disk.
    ///
    /// # Errors
    /// See the trait.
    async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()>;

    /// Returns the current state of a VM. A VM whose creation was interrupted is returned, too: it is
    /// off.
    ///
    /// A VM whose hypervisor was killed is [`PowerState::Error`] if the provider can tell it from a VM
    /// that its guest powered off, otherwise [`PowerState::Off`].
    ///
    /// # Errors
    /// See the trait.
    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>>;

    /// Waits until a VM that was started is off. Has no deadline. A VM that disappears
    /// ([`ErrorKind::Gone`]) or that the provider stopped ([`PowerState::Error`]) ends the wait at
    /// once.
    ///
    /// # Errors
    /// See the trait.
    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        retry::poll_until("wait for power-off of", vm, Backoff::STEADY, || async {
            match self.vm(vm).await?.map(|vm| vm.state) {
                Some(PowerState::Off) => Ok(Some(())),
                Some(PowerState::Running | PowerState::Changing) => Ok(None),
                Some(PowerState::Error(reason)) => Err(Error::vm_failed(vm, &reason)),
                None => Err(Error::gone(vm)),
            }
        })
        .await
    }

    /// Opens the provider's own channel to the guest, from the first byte that the guest sent.
    /// `Ok(None)` if the provider has no such channel ([`Capabilities::channel`]); the build then uses
    /// SSH if the capabilities name a port.
    ///
    /// The channel may be opened at any time. Before the first start of the VM,
    /// [`receive`](GuestChannel::receive) waits. After power-off it returns what the guest has sent and
    /// then `None`, also on a channel that is opened only then.
    ///
    /// # Errors
    /// See the trait.
    async fn open_channel(&self, vm: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
        let _ = vm;
        Ok(None)
    }

    /// Creates an image of the root disk of a VM that is off. Returns the existing image, complete
    /// or not, if this build has one already; there is never a second one.
    ///
    /// The call may return an image that is still [`ImageStatus::Creating`], and leave the copying to
    /// [`wait_image`](Self::wait_image) or to the cloud. Neither call deletes the VM: the build deletes
    /// it after the image is available.
    ///
    /// # Errors
    /// See the trait. [`ErrorKind::Busy`] if the VM is not off.
    async fn create_image(&self, vm: &VmId, spec: &ImageSpec, reporter: &Reporter)
    -> Result<Image>;

    /// Returns the current state of an image.
    ///
    /// # Errors
    /// See the trait.
    async fn image(&self, image: &ImageId) -> Result<Option<Image>>;

    /// Returns all images that the selector matches, incomplete ones included, in no order.
    ///
    /// # Errors
    /// See the trait.
    async fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
        let mut images = Vec::new();
        for found in self.find(&selector.clone().of_kind(ResourceKind::Image)).await? {
            if let ResourceId::Image(id) = &found.id {
                // An image that was deleted after the listing is left out.
                images.extend(self.image(id).await?);
            }
        }
        Ok(images)
    }

    /// Waits until an image is available, and does what is left to be done for it. Has no deadline.
    ///
    /// # Errors
    /// See the trait. [`ErrorKind::Gone`] if the image disappears, [`ErrorKind::Failed`] if it is
    /// broken.
    async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
        let _ = reporter;
        retry::poll_until("wait for image", image, Backoff::STEADY, || async {
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

    /// Creates a VM from an image, off. Its root disk is a copy; the image is not changed.
    ///
    /// # Errors
    /// See the trait. [`ErrorKind::Unsupported`] if [`Capabilities::boots_images`] is false.
    async fn create_vm_from_image(&self, spec: &BootSpec, reporter: &Reporter) -> Result<Vm> {
        let _ = reporter;
        Err(Error::new(ErrorKind::Unsupported, "create VM from image")
            .with_resource(&spec.image)
            .with_message("this provider cannot start a VM from an image"))
    }

    /// Returns everything that a VM has printed on its console so far. Empty before its first start, and
    /// if the provider has no console ([`Capabilities::console`]).
    ///
    /// # Errors
    /// See the trait.
    async fn console(&self, vm: &VmId) -> Result<Vec<u8>> {
        let _ = vm;
        Ok(Vec::new())
    }

    /// Merges `labels` into the labels of a resource. Existing keys are overwritten, other keys are
    /// kept.
    ///
    /// # Errors
    /// See the trait. [`ErrorKind::NotFound`] if the resource does not exist; this is how the
    /// holder of a lease learns that it lost the lease.
    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()>;

    /// Returns every managed resource that the selector matches, of every kind that this provider
    /// creates. Resources whose creation was interrupted are included: whatever a half-made VM consists
    /// of in the cloud, it is found as a VM, and deleting it deletes all of it.
    ///
    /// # Errors
    /// See the trait.
    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>>;

    /// Deletes a resource. A VM is stopped first and deleted with its root disk and media, and its
    /// volume is kept. An image is kept when the VM that it was made of is deleted.
    ///
    /// # Errors
    /// See the trait; an error means that the resource still exists. [`ErrorKind::Busy`] for a volume
    /// that is attached to a VM, whether the VM runs or not. [`ErrorKind::Protected`] for an image that
    /// a person has protected against deletion.
    async fn delete(&self, resource: &ResourceId) -> Result<()>;
}
