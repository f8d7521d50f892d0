//! What the API sends and takes: objects, ids, enums, request bodies and the rules for names and
//! labels.
//!
//! Pure data, no I/O. The types are lenient on purpose: the API changes several times a year, so
//! only an object's id, name and status must be there, every enum keeps a value it does not know,
//! and a field that is missing or `null` is empty. Checked against the API's description of July
//! 2026 and the changes published up to October 2026.

mod action;
mod failure;
mod id;
mod image;
mod label;
mod lenient;
mod location;
mod network;
mod open_enum;
mod page;
mod pricing;
mod rules;
mod server;
mod server_type;
mod server_wish;
mod ssh_key;
mod timestamp;
mod volume;

pub use self::action::{Action, ActionError, ActionStatus, Command, Resource};
pub use self::failure::{ApiCode, FieldError};
pub use self::id::{
    ActionId, FirewallId, IdOrName, ImageId, LocationId, NetworkId, PlacementGroupId, ServerId,
    ServerTypeId, SshKeyId, VolumeId,
};
pub use self::image::{CreateImage, CreatedFrom, Image, ImageStatus, ImageType, UpdateImage};
pub use self::label::{Label, Labels, Selector};
pub use self::location::{Location, LocationRef};
pub use self::network::{Ipv4, Ipv6, PublicNet};
pub use self::pricing::{FlatPrice, LocationPrice, NamedPrices, Price, Pricing};
pub use self::rules::USER_DATA_BYTES;
pub use self::server::{Server, ServerStatus, UpdateServer};
pub use self::server_type::{Architecture, CpuType, Deprecation, ServerType, TypeLocation};
pub use self::server_wish::{Addresses, CreateServer};
pub use self::ssh_key::{CreateSshKey, SshKey, UpdateSshKey};
pub use self::timestamp::Timestamp;
pub use self::volume::{CreateVolume, UpdateVolume, Volume, VolumePlace, VolumeStatus};

pub(crate) use self::failure::ErrorBody;
pub(crate) use self::page::Meta;

/// Deletion protection of a server, volume or image.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[non_exhaustive]
pub struct Protection {
    /// A DELETE is refused with `protected` while this is set.
    #[serde(default)]
    pub delete: bool,
}
