use std::path::PathBuf;

use super::Size;

/// The capabilities and limits of a provider. The builder knows nothing else about a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The size limit and the encodings of user data.
    pub user_data: UserDataLimits,
    /// Ways to deliver a build context to the guest other than in user data, in order of preference.
    pub context: Vec<ContextDelivery>,
    /// The serial port on which the guest sends its events, such as `/dev/ttyS1`. `None` if there is
    /// no such port; events then use another channel, or are not available.
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
    /// The smallest volume.
    pub min_volume: Size,
    /// The largest volume.
    pub max_volume: Size,
    /// Whether [`Provider::create_vm_from_image`](super::Provider::create_vm_from_image) works;
    /// boot checks need it.
    pub boots_images: bool,
    /// Whether [`Provider::console`](super::Provider::console) returns the output of a VM.
    pub console: bool,
    /// Whether [`Vm::addresses`](super::Vm::addresses) has addresses at which a running VM can be
    /// reached; boot checks over the network need it.
    pub addresses: bool,
    /// Whether VMs execute their user data. `false` for a test driver without guests; the contract
    /// suite then omits the checks that need a guest.
    pub runs_guests: bool,
}

impl Capabilities {
    /// A provider with plain user data of at most this many bytes and no other capability.
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

/// The size limit and the encodings of user data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserDataLimits {
    /// The maximum number of bytes, as sent.
    pub max_bytes: usize,
    /// Whether the guest's cloud-init decodes base64 of gzip on this cloud: 24,576 bytes of gzip
    /// then fit into 32 KiB.
    pub base64_gzip: bool,
}

impl UserDataLimits {
    /// Creates limits.
    #[must_use]
    pub fn new(max_bytes: usize, base64_gzip: bool) -> Self {
        Self { max_bytes, base64_gzip }
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
