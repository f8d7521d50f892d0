use std::any::Any;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::{Architecture, ImageId, Labels, LeaseId, Result, Size};
use crate::install::ContextArchive;

/// What a build needs from a provider. Passed to
/// [`Provider::resolve`](super::Provider::resolve) before anything is created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildRequirements {
    /// The architecture of the builder VM and of the image.
    pub architecture: Architecture,
    /// The size of the volume that the install container writes.
    pub volume_size: Size,
    /// The size of the root disk, and therefore of the image. `None`: the smallest that the provider
    /// has and that is at least as large as the volume.
    pub root_size: Option<Size>,
}

impl BuildRequirements {
    /// Requires a volume of this size and the smallest root disk that is at least as large.
    #[must_use]
    pub fn new(architecture: Architecture, volume_size: Size) -> Self {
        Self { architecture, volume_size, root_size: None }
    }
}

/// What a provider chose for a build.
#[derive(Clone)]
#[non_exhaustive]
pub struct ResolvedBuilder {
    /// Identifies the base image: two different base images have different texts. Shown to
    /// people.
    pub base_image: String,
    /// The size that the root disk will have, at least the size of the volume.
    pub root_size: Size,
    /// The approximate duration of a build whose install container takes no time, if known.
    pub build_time: Option<Duration>,
    details: Arc<dyn Any + Send + Sync>,
}

impl ResolvedBuilder {
    /// A choice without provider-specific details.
    #[must_use]
    pub fn new(base_image: impl Into<String>, root_size: Size) -> Self {
        let details = Arc::new(());
        Self { base_image: base_image.into(), root_size, build_time: None, details }
    }

    /// Attaches the provider's own typed value, which it reads back in
    /// [`create_builder`](super::Provider::create_builder) with [`details`](Self::details).
    #[must_use]
    pub fn with_details<T: Any + Send + Sync>(mut self, details: T) -> Self {
        self.details = Arc::new(details);
        self
    }

    /// The value passed to [`with_details`](Self::with_details), if it is a `T`.
    #[must_use]
    pub fn details<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.details.downcast_ref()
    }
}

impl fmt::Debug for ResolvedBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResolvedBuilder")
            .field("base_image", &self.base_image)
            .field("root_size", &self.root_size)
            .field("build_time", &self.build_time)
            .finish_non_exhaustive()
    }
}

/// A lease to be created: a name of which there can be only one, and labels.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseSpec {
    /// The name: `[a-z0-9-]`, at most 63 characters.
    pub name: String,
    /// The labels, among them [`keys::HOLDER`](super::keys::HOLDER).
    pub labels: Labels,
}

impl LeaseSpec {
    /// A lease of this name.
    #[must_use]
    pub fn new(name: impl Into<String>, labels: Labels) -> Self {
        Self { name: name.into(), labels }
    }
}

/// Read-only media attached to a VM: a block device that begins with the bytes of the archive.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Media {
    /// The contents. The guest knows the exact length; the rest of the device is ignored.
    pub archive: ContextArchive,
}

impl Media {
    /// Media that hold an archive.
    #[must_use]
    pub fn new(archive: ContextArchive) -> Self {
        Self { archive }
    }
}

/// The user data of the builder VM, which contain the path of the volume's device. The path is
/// known only when the volume exists.
#[derive(Clone)]
pub struct UserDataTemplate(Arc<Render>);

type Render = dyn Fn(&Path) -> Result<Vec<u8>> + Send + Sync;

impl UserDataTemplate {
    /// User data that `render` makes from the path of the volume's device.
    #[must_use]
    pub fn new(render: impl Fn(&Path) -> Result<Vec<u8>> + Send + Sync + 'static) -> Self {
        Self(Arc::new(render))
    }

    /// User data that do not depend on the device.
    #[must_use]
    pub fn fixed(user_data: impl Into<Vec<u8>>) -> Self {
        let user_data = user_data.into();
        Self::new(move |_| Ok(user_data.clone()))
    }

    /// The user data for a volume with this device, in an encoding that the provider takes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`](super::ErrorKind::InvalidInput) if the user data would be larger
    /// than the provider allows.
    pub fn render(&self, device: &Path) -> Result<Vec<u8>> {
        (self.0)(device)
    }
}

// User data can contain keys and password hashes.
impl fmt::Debug for UserDataTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UserDataTemplate(…)")
    }
}

/// The volume and the builder VM of a build, to be created by
/// [`Provider::create_builder`](super::Provider::create_builder).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BuilderSpec {
    /// The name of both, unique because it contains the build id: a valid host name, `[a-z0-9-]`, at
    /// most 63 characters.
    pub name: String,
    /// The labels of both.
    pub labels: Labels,
    /// What the build requires. A provider that sells volumes in larger steps rounds the size up.
    pub requirements: BuildRequirements,
    /// What the provider chose for these requirements.
    pub resolved: ResolvedBuilder,
    /// The user data of the VM.
    pub user_data: UserDataTemplate,
    /// The build context, if the provider delivers it on media.
    pub media: Option<Media>,
    /// The lease of the build, for clouds on which a VM needs the resource that stands for the lease.
    /// Other providers ignore it.
    pub lease: Option<LeaseId>,
}

impl BuilderSpec {
    /// A builder without media.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        labels: Labels,
        requirements: BuildRequirements,
        resolved: ResolvedBuilder,
        user_data: UserDataTemplate,
    ) -> Self {
        let name = name.into();
        Self { name, labels, requirements, resolved, user_data, media: None, lease: None }
    }
}

/// An image to be made from the root disk of a VM that is off.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageSpec {
    /// The name of the image: a non-empty label value, not unique.
    pub name: String,
    /// A description for people.
    pub description: String,
    /// The labels.
    pub labels: Labels,
    /// The architecture.
    pub architecture: Architecture,
}

impl ImageSpec {
    /// An image.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        description: impl Into<String>,
        labels: Labels,
        architecture: Architecture,
    ) -> Self {
        Self { name: name.into(), description: description.into(), labels, architecture }
    }
}

/// A VM to be created from an image, off, for a boot check.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootSpec {
    /// The name, unique because it contains the build id: a valid host name.
    pub name: String,
    /// The labels.
    pub labels: Labels,
    /// The image, which is available.
    pub image: ImageId,
    /// The architecture of the image.
    pub architecture: Architecture,
    /// The size of the VM's disk: that of the image.
    pub disk_size: Size,
    /// The lease of the build, as in [`BuilderSpec::lease`].
    pub lease: Option<LeaseId>,
}

impl BootSpec {
    /// A VM from an image.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        labels: Labels,
        image: ImageId,
        architecture: Architecture,
        disk_size: Size,
    ) -> Self {
        Self { name: name.into(), labels, image, architecture, disk_size, lease: None }
    }
}
