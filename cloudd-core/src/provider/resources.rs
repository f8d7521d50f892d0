use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{ImageId, InvalidName, Labels, ResourceId, Size, VmId, VolumeId};

/// A processor architecture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Architecture {
    /// 64-bit x86, `amd64` in Debian's words.
    X86_64,
    /// 64-bit Arm, `arm64` in Debian's words.
    Aarch64,
}

impl Architecture {
    /// The name that `uname -m` prints.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Architecture {
    type Err = InvalidName;

    /// Parses the names of `uname -m` and of Debian.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        match text {
            "x86_64" | "amd64" => Ok(Self::X86_64),
            "aarch64" | "arm64" => Ok(Self::Aarch64),
            _ => Err(InvalidName::new("architecture", text, "x86_64 or aarch64")),
        }
    }
}

/// The power state of a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PowerState {
    /// Off: never started, powered off by the guest, or its power was cut.
    Off,
    /// Between two states.
    Changing,
    /// Running.
    Running,
    /// Stopped by a fault of the host, with the provider's reason; the guest cannot continue. A VM whose
    /// hypervisor was killed is in this state if the provider can tell it from `Off`. Where the
    /// provider cannot, `Off` is correct: the build then sees that the last event is missing.
    Error(String),
}

/// A VM.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Vm {
    /// Its id.
    pub id: VmId,
    /// Its name.
    pub name: String,
    /// Its power state.
    pub state: PowerState,
    /// The addresses at which it can be reached from outside. Complete once it runs, possibly earlier.
    pub addresses: Vec<IpAddr>,
    /// Whether the VM was ever started; `None` if the provider does not know. A VM that is off and
    /// was never started has not failed.
    pub started: Option<bool>,
    /// Its labels.
    pub labels: Labels,
}

impl Vm {
    /// A VM that is off, without labels and addresses, of which it is not known whether it was ever
    /// started.
    #[must_use]
    pub fn new(id: VmId, name: impl Into<String>) -> Self {
        Self {
            id,
            name: name.into(),
            state: PowerState::Off,
            addresses: Vec::new(),
            started: None,
            labels: Labels::new(),
        }
    }
}

/// The builder VM of a build and its volume: what
/// [`Provider::create_builder`](super::Provider::create_builder) returns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuilderVm {
    /// The VM.
    pub vm: Vm,
    /// The volume, attached to the VM.
    pub volume: Volume,
}

impl BuilderVm {
    /// A builder VM and its volume.
    #[must_use]
    pub fn new(vm: Vm, volume: Volume) -> Self {
        Self { vm, volume }
    }
}

/// A volume: the extra disk that the install container writes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Its name.
    pub name: String,
    /// Its size.
    pub size: Size,
    /// How the guest finds it: a path under `/dev/disk/by-id`, never a kernel name.
    pub device: PathBuf,
    /// Its labels.
    pub labels: Labels,
}

impl Volume {
    /// A volume without labels.
    #[must_use]
    pub fn new(id: VolumeId, name: impl Into<String>, size: Size, device: PathBuf) -> Self {
        Self { id, name: name.into(), size, device, labels: Labels::new() }
    }
}

/// The state of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ImageStatus {
    /// In creation; cannot be used yet.
    Creating,
    /// Complete; servers can be started from it.
    Available,
    /// Incomplete; its creation has failed.
    Broken,
}

/// An image: the result of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// Its id, from which servers are started.
    pub id: ImageId,
    /// Its state.
    pub status: ImageStatus,
    /// The minimum disk size of a server that is started from it.
    pub disk_size: Size,
    /// When it was created: UNIX time in seconds by the provider's clock; 0 if unknown.
    pub created: u64,
    /// Whether the provider refuses to delete it until the protection is lifted.
    pub protected: bool,
    /// Its labels.
    pub labels: Labels,
}

impl Image {
    /// An image without labels and protection, and of unknown age.
    #[must_use]
    pub fn new(id: ImageId, status: ImageStatus, disk_size: Size) -> Self {
        Self { id, status, disk_size, created: 0, protected: false, labels: Labels::new() }
    }
}

/// A resource that [`Provider::find`](super::Provider::find) returned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resource {
    /// Its id.
    pub id: ResourceId,
    /// The name that it has now. Empty for an image of a cloud whose images have no names. A VM,
    /// volume or lease under another name than the one it was created with is never deleted.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
}

impl Resource {
    /// Creates a found resource.
    #[must_use]
    pub fn new(id: impl Into<ResourceId>, name: impl Into<String>, labels: Labels) -> Self {
        Self { id: id.into(), name: name.into(), labels }
    }
}
