use std::path::PathBuf;

use super::Size;

/// What a provider can do and where its limits are: all that the builder knows about a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// What user data may look like.
    pub user_data: UserDataLimits,
    /// Ways to bring a build context to the guest beside user data, best first.
    pub context: Vec<ContextDelivery>,
    /// The serial port on which the guest sends its events, such as `/dev/ttyS1`; `None` when it
    /// has no port of its own (events then come by another channel, or not at all).
    pub event_port: Option<PathBuf>,
    /// Whether [`Provider::open_channel`](super::Provider::open_channel) gives a channel.
    pub channel: bool,
    /// The port of a guest's sshd at the [addresses](super::Vm::addresses) of its VM; `None` when
    /// guests have no sshd or no address. For each build, the builder makes keys, lets the user data
    /// install and authorize them for root, and connects where `open_channel` returns no channel: the
    /// provider itself needs no code for SSH.
    ///
    /// A build fails in its plan ([`Unsupported`](super::ErrorKind::Unsupported)) when this is set and
    /// cloudd-core was built without the feature `ssh`.
    pub ssh: Option<u16>,
    /// The smallest volume.
    pub min_volume: Size,
    /// The largest volume.
    pub max_volume: Size,
    /// Whether [`Provider::create_vm_from_image`](super::Provider::create_vm_from_image) works, so
    /// that an image can be tried before it is handed out.
    pub boots_images: bool,
    /// Whether [`Provider::console`](super::Provider::console) shows what a VM prints.
    pub console: bool,
    /// Whether [`Vm::addresses`](super::Vm::addresses) has addresses at which a VM is reached once it
    /// runs, so that a boot check can try its ports.
    pub addresses: bool,
    /// Whether VMs execute what their user data say. A test driver that only keeps books has
    /// `false` here, and the contract suite leaves out what needs a guest.
    pub runs_guests: bool,
}

impl Capabilities {
    /// A provider that takes plain user data of this many bytes and nothing else.
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

/// What user data may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserDataLimits {
    /// The most bytes as sent.
    pub max_bytes: usize,
    /// Whether the guest's cloud-init decodes base64 of gzip on this cloud: 24,576 bytes of gzip
    /// then fit into 32 KiB.
    pub base64_gzip: bool,
}

impl UserDataLimits {
    /// Limits.
    #[must_use]
    pub fn new(max_bytes: usize, base64_gzip: bool) -> Self {
        Self { max_bytes, base64_gzip }
    }
}

/// A way to bring a build context of any size to the guest.
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
