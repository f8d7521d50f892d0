use std::fmt;
use std::time::Duration;

use super::{Architecture, ImageId, Labels, LeaseId, Size, Volume};
use crate::install::ContextArchive;

/// What a build needs of a provider; asked before anything is created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildRequirements {
    /// The architecture of builder VM and image.
    pub architecture: Architecture,
    /// The size of the volume that the container writes.
    pub volume_size: Size,
    /// The size of the root disk, and so of the image; `None`: the smallest that fits the volume.
    pub root_size: Option<Size>,
}

impl BuildRequirements {
    /// A volume of this size and the smallest root disk that fits it.
    #[must_use]
    pub fn new(architecture: Architecture, volume_size: Size) -> Self {
        Self { architecture, volume_size, root_size: None }
    }
}

/// What a provider would use for a build.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResolvedBuilder {
    /// What the builder base image is, so exactly that two different ones differ here.
    pub base: String,
    /// The size that the root disk will have: at least the volume's.
    pub root_size: Size,
    /// How long a build takes there, roughly, whose install container takes no time; `None`: not
    /// known.
    pub build_time: Option<Duration>,
}

impl ResolvedBuilder {
    /// An offer.
    #[must_use]
    pub fn new(base: impl Into<String>, root_size: Size) -> Self {
        Self { base: base.into(), root_size, build_time: None }
    }
}

/// A lease to be created: something that holds nothing but its labels, and of which there can be
/// only one with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseSpec {
    /// Its name: `[a-z0-9-]`, at most 63 characters.
    pub name: String,
    /// Its labels, among them [`keys::HOLDER`](super::keys::HOLDER).
    pub labels: Labels,
}

impl LeaseSpec {
    /// A lease.
    #[must_use]
    pub fn new(name: impl Into<String>, labels: Labels) -> Self {
        Self { name: name.into(), labels }
    }
}

/// A volume to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeSpec {
    /// Its name, unique because it holds the build id: `[a-z0-9-]`, at most 63 characters.
    pub name: String,
    /// Its size; a provider that sells larger steps rounds up.
    pub size: Size,
    /// Its labels.
    pub labels: Labels,
}

impl VolumeSpec {
    /// A volume.
    #[must_use]
    pub fn new(name: impl Into<String>, size: Size, labels: Labels) -> Self {
        Self { name: name.into(), size, labels }
    }
}

/// Read-only media attached to a VM: the bytes of the archive from the start of a block device.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Media {
    /// What the device holds; the guest knows the exact length.
    pub archive: ContextArchive,
}

impl Media {
    /// Media with an archive on it.
    #[must_use]
    pub fn new(archive: ContextArchive) -> Self {
        Self { archive }
    }
}

/// A VM to be created, off, with its volume attached.
#[derive(Clone)]
#[non_exhaustive]
pub struct VmSpec {
    /// Its name, unique because it holds the build id: a valid host name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// What was asked for.
    pub requirements: BuildRequirements,
    /// What the provider offered for it.
    pub offer: ResolvedBuilder,
    /// The volume to attach.
    pub volume: Volume,
    /// User data for cloud-init, already in an encoding that the provider takes.
    pub user_data: Vec<u8>,
    /// The build context, when the provider delivers it on media.
    pub media: Option<Media>,
    /// The lease of its build. Only for clouds whose leases are something that a VM needs:
    /// nothing has to be done with it.
    pub lease: Option<LeaseId>,
}

impl VmSpec {
    /// A VM without media.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        labels: Labels,
        requirements: BuildRequirements,
        offer: ResolvedBuilder,
        volume: Volume,
        user_data: Vec<u8>,
    ) -> Self {
        Self {
            name: name.into(),
            labels,
            requirements,
            offer,
            volume,
            user_data,
            media: None,
            lease: None,
        }
    }
}

// By hand: user data can hold keys and password hashes.
impl fmt::Debug for VmSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmSpec")
            .field("name", &self.name)
            .field("labels", &self.labels)
            .field("requirements", &self.requirements)
            .field("offer", &self.offer)
            .field("volume", &self.volume)
            .field("user_data", &format_args!("<{} bytes>", self.user_data.len()))
            .field("media", &self.media)
            .field("lease", &self.lease)
            .finish()
    }
}

/// An image to be made from the root disk of a VM that is off.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageSpec {
    /// The name given to the builder: a label value, neither empty nor unique.
    pub name: String,
    /// A sentence for people.
    pub description: String,
    /// Its labels.
    pub labels: Labels,
    /// Its architecture.
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

/// A VM to be created from an image, off, to see whether it boots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BootSpec {
    /// Its name, unique because it holds the build id: a valid host name.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// The image, which is available.
    pub image: ImageId,
    /// The architecture of the image.
    pub architecture: Architecture,
    /// The size of its disk: that of the image.
    pub disk_size: Size,
    /// The lease of its build, as in [`VmSpec::lease`].
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
