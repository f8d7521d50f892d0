use std::future::Future;
use std::num::NonZeroUsize;

use super::control::Sink;
use super::{BootCheck, BuildControl, BuildError, Deadlines, run};
use crate::cloud_init::User;
use crate::guest::Stage2Entry;
use crate::install::InstallContainer;
use crate::provider::{Architecture, BuildId, Image, Provider, Size};

/// What becomes of the builder VM when a build fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// VM and volume are deleted.
    #[default]
    Delete,
    /// VM and volume stay, to be looked at; the error lists them. They cost money until they are
    /// deleted, and carry an expiry after which a sweep takes them.
    Keep,
}

/// What becomes of images that exist already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReusePolicy {
    /// An available image with the same fingerprint is returned, and nothing is created.
    #[default]
    SameInputs,
    /// The newest available image of this name and architecture is returned, whatever its
    /// fingerprint.
    SameName,
    /// A new image is always built; existing images are kept.
    Never,
    /// A new image is always built. Once it is available, unprotected images with the same
    /// fingerprint are deleted.
    Replace,
}

/// Builds an image: *what* is installed is an install container, *where* is a provider.
///
/// ```no_run
/// # async fn example(provider: &dyn cloudd_core::provider::Provider) -> Result<(), Box<dyn std::error::Error>> {
/// use cloudd_core::image::ImageBuilder;
/// use cloudd_core::install::InstallContainer;
///
/// let image = ImageBuilder::new("leap-15.6", InstallContainer::directory("./leap"))
///     .build(provider)
///     .await?;
/// println!("{}", image.id);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build` is awaited"]
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
    pub(super) existing: ReusePolicy,
    pub(super) keep_newest: Option<NonZeroUsize>,
    pub(super) boot_check: Option<BootCheck>,
    pub(super) sweep_first: bool,
    pub(super) deadlines: Deadlines,
}

impl ImageBuilder {
    /// An image of this name, which becomes a label: 1 to 63 characters, letters and digits at
    /// both ends, also `-`, `_` and `.` inside.
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
            existing: ReusePolicy::default(),
            keep_newest: None,
            boot_check: None,
            sweep_first: false,
            deadlines: Deadlines::default(),
        }
    }

    /// The architecture of builder VM and image; default [`Architecture::X86_64`].
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

    /// The size of the builder's root disk, and so of the image; default: the smallest that the
    /// provider has for the volume.
    pub fn root_size(mut self, size: Size) -> Self {
        self.root_size = Some(size);
        self
    }

    /// The way into stage 2; default [`Stage2Entry::Exitrd`].
    pub fn entry(mut self, entry: Stage2Entry) -> Self {
        self.entry = entry;
        self
    }

    /// A sentence for people, kept with the image.
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// A label of the image, beside cloudd's own.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// A user on the builder VM, with its password or SSH key, to look into a stuck build. It is
    /// not on the image: nothing of the builder is.
    pub fn debug_user(mut self, user: User) -> Self {
        self.debug_user = Some(user);
        self
    }

    /// What becomes of the builder VM when the build fails; default [`OnFailure::Delete`].
    pub fn on_failure(mut self, on_failure: OnFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// What becomes of images that exist already; default [`ReusePolicy::SameInputs`].
    pub fn reuse(mut self, existing: ReusePolicy) -> Self {
        self.existing = existing;
        self
    }

    /// Keeps so many images of this name and architecture, the new one among them: older ones are
    /// deleted when a new one is there, but for protected ones. Default: all are kept.
    pub fn keep_newest(mut self, images: NonZeroUsize) -> Self {
        self.keep_newest = Some(images);
        self
    }

    /// Starts a VM from the image before it is handed out, and waits for a sign of life. Default: it
    /// is handed out as it is. An image that exists already is reused only if it has passed one.
    pub fn boot_check(mut self, check: BootCheck) -> Self {
        self.boot_check = Some(check);
        self
    }

    /// Begins with a [sweep](crate::sweep) of what dead builds have left, of whatever image. Default:
    /// only what they left of this image is gone on with or removed.
    pub fn sweep_first(mut self) -> Self {
        self.sweep_first = true;
        self
    }

    /// How long each wait may take.
    pub fn deadlines(mut self, deadlines: Deadlines) -> Self {
        self.deadlines = deadlines;
        self
    }

    /// Builds the image and returns it when servers can be started from it; or returns the one that
    /// there is already, as [`ImageBuilder::reuse`] says.
    ///
    /// Of several processes that ask for the same image at the same time one makes it, and the
    /// others wait for it. A build whose process died goes on where it is.
    ///
    /// Nothing but the image is left then. Dropping the future leaves VM, volume and lease behind,
    /// since nothing can be deleted while dropping; the next run goes on with them, and they carry
    /// an expiry after which a [sweep](crate::sweep) takes them. To end a build early and cleanly,
    /// use [`ImageBuilder::build_with_control`].
    ///
    /// # Errors
    /// [`BuildError`]: where and why it failed, with the guest's last words and what is left.
    pub async fn build(&self, provider: &dyn Provider) -> Result<Image, BuildError> {
        let sink = Sink::alone(BuildId::random(), &self.name);
        run::build(self, provider, sink).await
    }

    /// Like [`build`](Self::build), with the events of the build and a way to cancel it. The
    /// future must be polled for anything to happen, and fails like that of
    /// [`build`](Self::build).
    pub fn build_with_control<'a>(
        &'a self,
        provider: &'a dyn Provider,
    ) -> (impl Future<Output = Result<Image, BuildError>> + Send + 'a, BuildControl) {
        let (sink, control) = Sink::accompanied(BuildId::random(), &self.name);
        (run::build(self, provider, sink), control)
    }
}
