use std::path::PathBuf;

use super::Size;

/// The abilities and limits of a provider: everything that the builder knows about a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The limits of user data.
    pub user_data: UserDataLimits,
    /// Ways to bring a build context to the guest other than user data, best first.
    pub context: Vec<ContextDelivery>,
    /// The device in the guest to which it writes its events, such as `/dev/ttyS1`: a serial port that
    /// the provider reads and that is not the console. `None`: there is no such port, and events come
    /// over SSH or not at all.
    pub event_port: Option<PathBuf>,
    /// Whether [`Provider::open_channel`](super::Provider::open_channel) returns a channel.
    pub channel: bool,
    /// The port of a guest's sshd at the [addresses](super::Vm::addresses) of its VM; `None` if
    /// guests have no sshd or no address. For each build, the builder makes keys, has the user data
    /// install and authorize them for root, and connects if `open_channel` returns no channel. The
    /// provider itself needs no code for SSH.
    ///
    /// A build fails in its plan ([`Unsupported`](super::ErrorKind::Unsupported)) if this is set and
    /// cloudd-core was built without the feature `ssh`.
    pub ssh: Option<u16>,
    /// The smallest volume. The build refuses smaller ones before it creates anything; the provider
    /// does not check the size again and may round it up.
    pub min_volume: Size,
    /// The largest volume. The build refuses larger ones.
    pub max_volume: Size,
    /// Whether [`Provider::create_vm_from_image`](super::Provider::create_vm_from_image) works, so
    /// that a boot check can start the image before the build returns it.
    pub boots_images: bool,
    /// Whether [`Provider::console`](super::Provider::console) returns the output of a VM.
    pub console: bool,
    /// Whether a running VM can be reached at its [`Vm::addresses`](super::Vm::addresses), so that a
    /// boot check can connect to its ports.
    pub addresses: bool,
    /// Whether VMs run a guest. `false` for a test driver that only records its VMs; the contract suite
    /// leaves out the checks that need a guest.
    pub runs_guests: bool,
}

impl Capabilities {
    /// A provider with these limits for user data, volumes of any size and no optional ability.
    #[must_use]
    pub fn new(user_data: UserDataLimits) -> Self {
        Self {
            user_data,
            context: Vec::new(),
            event_port: None,
            channel: false,
            ssh: None,
            min_volume: Size::bytes(1),
            max_volume: Size::bytes(u64::MAX),
            boots_images: false,
            console: false,
            addresses: false,
            runs_guests: true,
        }
    }
}

/// The size limit of user data, and which encoding a guest decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserDataLimits {
    /// The largest user data in bytes, measured on what
    /// [`UserDataTemplate::render`](super::UserDataTemplate::render) returns: after gzip and base64, if
    /// the build uses them, and before any encoding of the provider's own API. `usize::MAX`: no limit.
    pub max_bytes: usize,
    /// Whether the guest's cloud-init decodes base64 of gzip on this cloud. The build uses it for user
    /// data that are larger than `max_bytes` otherwise: 24,576 bytes of gzip fit into 32 KiB.
    pub base64_gzip: bool,
}

impl UserDataLimits {
    /// A limit in bytes as sent.
    #[must_use]
    pub fn new(max_bytes: usize, base64_gzip: bool) -> Self {
        Self { max_bytes, base64_gzip }
    }

    /// No limit: the provider accepts user data of any size, for example on a seed disk.
    #[must_use]
    pub fn unlimited() -> Self {
        Self::new(usize::MAX, false)
    }
}

/// A way to deliver a build context of any size to the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContextDelivery {
    /// On read-only media, found in the guest at this by-id path.
    Media {
        /// A path under `/dev/disk/by-id`.
        device: PathBuf,
    },
    /// Through [`GuestChannel::upload`](crate::guest::GuestChannel::upload) of the provider's own
    /// channel, or of the one over SSH.
    Upload,
}
