//! Locations.

use serde::Deserialize;

use super::lenient::or_default;
use super::{IdOrName, LocationId};

/// A location, by id or by name (`fsn1`).
pub type LocationRef = IdOrName<LocationId>;

/// Where servers and volumes stand.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Location {
    /// The id.
    pub id: LocationId,
    /// The name, such as `fsn1`.
    pub name: String,
    /// For people.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// The country's code.
    #[serde(default, deserialize_with = "or_default")]
    pub country: String,
    /// The city.
    #[serde(default, deserialize_with = "or_default")]
    pub city: String,
    /// The network zone, such as `eu-central`.
    #[serde(default, deserialize_with = "or_default")]
    pub network_zone: String,
}
