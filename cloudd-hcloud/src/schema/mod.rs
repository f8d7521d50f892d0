//! The objects and request bodies of the Hetzner Cloud API that this crate uses, as plain data.
//!
//! Reading is lenient because the API changes several times a year: only an object's `id`, `name`
//! and `status` are required, enums keep values that this version does not know, and a field that
//! is missing or `null` has its default. Checked against the API's description of July 2026 and the
//! changes published up to October 2026.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

mod action;
mod api_error;
mod create_server;
mod id;
mod image;
mod label;
mod lenient;
mod open_enum;
mod pricing;
mod server;
mod server_type;
mod ssh_key;
mod validate;
mod volume;

pub use self::action::{Action, ActionError, ActionStatus, Command};
pub use self::api_error::{ApiCode, FieldError};
pub use self::create_server::Addresses;
pub use self::id::{
    ActionId, FirewallId, ImageId, NetworkId, PlacementGroupId, ServerId, SshKeyId, VolumeId,
};
pub use self::image::{Image, ImageStatus, ImageType, Protection};
pub use self::label::{Labels, Selector};
pub use self::pricing::{FlatPrice, LocationPrice, NamedPrices, Price, Pricing};
pub use self::server::{Location, PublicNet, Server, ServerStatus};
pub use self::server_type::{Architecture, Deprecation};
pub use jiff::Timestamp;

pub(crate) use self::api_error::ErrorBody;
pub(crate) use self::create_server::CreateServer;
pub(crate) use self::image::CreateImage;
pub(crate) use self::label::{Label, check_labels};
pub(crate) use self::server_type::ServerType;
pub(crate) use self::ssh_key::{CreateSshKey, SshKey};
pub(crate) use self::validate::USER_DATA_BYTES;
pub(crate) use self::volume::{CreateVolume, Volume};
