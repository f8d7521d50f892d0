//! The choices a user has about VMs, as types.

use std::time::Duration;

use cloudd_core::provider::{Architecture, Size};

use crate::base::BaseImage;

/// How VMs are connected.
///
/// The [addresses](cloudd_core::provider::Vm::addresses) of a VM are those that libvirt's own networks
/// lease. With the others nobody knows them here, and a boot check can wait for its sign of life on
/// the console only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Network {
    /// QEMU's own user-mode network: the VM reaches out and nobody reaches it. Needs nothing on
    /// the host.
    #[default]
    User,
    /// libvirt's network `default`.
    Default,
    /// A network of libvirt's by its name.
    Named(String),
    /// A bridge of the host by its name.
    Bridge(String),
}

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Accel {
    /// KVM when the host's processor says that it virtualizes (x86: the features `vmx` or `svm`)
    /// and libvirt offers it, else emulation. The existence of `/dev/kvm` decides nothing: there
    /// are hosts that have it and on which a Linux guest hangs.
    #[default]
    Auto,
    /// KVM, whatever the host says of itself.
    Kvm,
    /// Emulation by QEMU: slow, and works everywhere.
    Tcg,
}

/// Which processor the guest sees.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cpu {
    /// The host's. Needs KVM; the default with it.
    HostPassthrough,
    /// All that the hypervisor can offer. Under emulation on x86 this includes what images for
    /// x86-64-v3 need, at the price of some speed.
    Maximum,
    /// A model by libvirt's name for it. The default for emulated x86 is `Nehalem`, which has all
    /// of x86-64-v2 and boots a Debian faster than larger ones do.
    Model(String),
}

/// How QEMU writes disks to the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DiskCache {
    /// Through the host's page cache; what a guest flushed is on the host's disk.
    #[default]
    Writeback,
    /// Past the host's page cache (`O_DIRECT`).
    None,
    /// Through the host's page cache, ignoring the guest's flushes. An image made while the host
    /// loses power is then broken without anybody knowing: for tests only.
    Unsafe,
}

impl DiskCache {
    pub(crate) fn as_libvirt(self) -> &'static str {
        match self {
            Self::Writeback => "writeback",
            Self::None => "none",
            Self::Unsafe => "unsafe",
        }
    }
}

/// All settings of a provider.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) uri: String,
    pub(crate) pool: String,
    pub(crate) base: Option<BaseImage>,
    pub(crate) architecture: Option<Architecture>,
    pub(crate) accel: Accel,
    pub(crate) cpu: Option<Cpu>,
    pub(crate) cpus: u32,
    pub(crate) memory: Size,
    pub(crate) cache: DiskCache,
    pub(crate) network: Network,
    pub(crate) network_config: Option<String>,
    pub(crate) upload_patience: Duration,
}
