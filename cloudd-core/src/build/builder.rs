use std::num::NonZeroUsize;

use super::deadlines::Deadlines;
use super::policy::{BootCheck, OnFailure, ReusePolicy};
use crate::cloud_init::User;
use crate::guest::Stage2Entry;
use crate::install::InstallContainer;
use crate::provider::{Architecture, Size};

/// Builds an image: *what* is installed is an install container, *where* is a provider.
///
/// ```no_run
/// # async fn example(provider: cloudd_core::memory::Memory) -> Result<(), Box<dyn std::error::Error>> {
/// use cloudd_core::{ImageBuilder, InstallContainer};
///
/// let built = ImageBuilder::new("leap-15.6", InstallContainer::directory("./leap"))
///     .build(&provider)
///     .await?;
/// println!("{}", built.image.id);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is awaited or `start` is called"]
pub struct ImageBuilder {
    pub(super) name: String,
    pub(super) container: InstallContainer,
    pub(super) architecture: Architecture,
    pub(super) volume_size: Size,
    pub(super) root_size: Option<Size>,
    pub(super) entry: Stage2Entry,
    pub(super) description: Option<String>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) debug_user: Option<User>,
    pub(super) on_failure: OnFailure,
    pub(super) reuse: ReusePolicy,
    pub(super) keep_newest: Option<NonZeroUsize>,
    pub(super) boot_check: Option<BootCheck>,
    pub(super) trusts_power_off: bool,
    pub(super) deadlines: Deadlines,
    #[cfg(feature = "testing")]
    pub(super) lease_checks: crate::testing::LeaseChecks,
}

impl ImageBuilder {
    /// An image of this name. The name becomes a label: 1 to 63 characters, letters and digits at both
    /// ends, also `-`, `_` and `.` inside.
    pub fn new(name: impl Into<String>, container: impl Into<InstallContainer>) -> Self {
        Self {
            name: name.into(),
            container: container.into(),
            architecture: Architecture::X86_64,
            volume_size: Size::gib(10),
            root_size: None,
            entry: Stage2Entry::default(),
            description: None,
            labels: Vec::new(),
            debug_user: None,
            on_failure: OnFailure::default(),
            reuse: ReusePolicy::default(),
            keep_newest: None,
            boot_check: None,
            trusts_power_off: false,
            deadlines: Deadlines::default(),
            #[cfg(feature = "testing")]
            lease_checks: crate::testing::LeaseChecks::default(),
        }
    }

    /// The architecture of the builder VM and of the image; default [`Architecture::X86_64`].
    pub fn architecture(mut self, architecture: Architecture) -> Self {
        self.architecture = architecture;
        self
    }

    /// The size of the volume that the container writes; default 10 GiB, the smallest of Hetzner
    /// Cloud.
    pub fn volume_size(mut self, size: Size) -> Self {
        self.volume_size = size;
        self
    }

    /// The size of the builder's root disk, and therefore of the image. Default: the smallest that the
    /// provider has and that is at least as large as the volume.
    ///
    /// The content of the image does not depend on it: an existing image with another root disk is
    /// reused. A note reports one that is larger than this.
    pub fn root_size(mut self, size: Size) -> Self {
        self.root_size = Some(size);
        self
    }

    /// How the guest enters stage 2; default [`Stage2Entry::Exitrd`].
    pub fn entry(mut self, entry: Stage2Entry) -> Self {
        self.entry = entry;
        self
    }

    /// A description for people, stored with the image.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// A label of the image, in addition to those of cloudd.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// Accepts power-off of the builder VM as proof of stage 2 if no event of its guest can be received: on
    /// a provider without a channel, or if there is no route to the VM. Default: such a build fails.
    ///
    /// An install container that powers the VM off itself then yields an image of the *builder's* disk,
    /// with its private host key; see [Security](crate::guide::security#proof-of-stage-2).
    pub fn trust_power_off(mut self) -> Self {
        self.trusts_power_off = true;
        self
    }

    /// A user on the builder VM, with a password or an SSH key, for the inspection of a build that is
    /// stuck. The image does not contain it, nor anything else of the builder.
    pub fn debug_user(mut self, user: User) -> Self {
        self.debug_user = Some(user);
        self
    }

    /// What happens to the builder VM if the build fails; default [`OnFailure::Delete`].
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// How existing images are treated; default [`ReusePolicy::SameInputs`].
    pub fn reuse(mut self, reuse: ReusePolicy) -> Self {
        self.reuse = reuse;
        self
    }

    /// Keeps this many images of this name and architecture, including the new one. Older unprotected
    /// images are deleted when the new one is available. Default: all are kept.
    pub fn keep_newest(mut self, images: NonZeroUsize) -> Self {
        self.keep_newest = Some(images);
        self
    }

    /// Starts a VM from the image and runs a readiness probe on it before the image is returned.
    /// Default: the image is not checked. An existing image is reused only if it has passed a check.
    pub fn boot_check(mut self, check: BootCheck) -> Self {
        self.boot_check = Some(check);
        self
    }

    /// The deadlines of the build.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Leaves out checks of the lease protocol, to show that a test finds their absence.
    #[cfg(feature = "testing")]
    pub fn lease_checks(mut self, checks: crate::testing::LeaseChecks) -> Self {
        self.lease_checks = checks;
        self
    }
}
