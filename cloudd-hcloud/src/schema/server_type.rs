//! Server types: what can be ordered, where, and for how much.

use serde::Deserialize;

use super::lenient::{or_default, or_none};
use super::open_enum::open_enum;
use super::{LocationId, LocationPrice, ServerTypeId, Timestamp};

/// A kind of server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct ServerType {
    /// The id.
    pub id: ServerTypeId,
    /// The name, such as `cx23`.
    pub name: String,
    /// For people.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// Virtual CPUs.
    #[serde(default, deserialize_with = "or_default")]
    pub cores: f64,
    /// Memory, in GB.
    #[serde(default, deserialize_with = "or_default")]
    pub memory: f64,
    /// Root disk, in GB. A snapshot needs a disk at least as large as the one it was taken of.
    #[serde(default, deserialize_with = "or_default")]
    pub disk: f64,
    /// What the CPU is.
    #[serde(default)]
    pub architecture: Option<Architecture>,
    /// Whether the CPU is shared with others.
    #[serde(default)]
    pub cpu_type: Option<CpuType>,
    /// Prices, per location.
    #[serde(default, deserialize_with = "or_default")]
    pub prices: Vec<LocationPrice>,
    /// Where it can be had. Says more than the deprecated fields at the top of the object, which
    /// are not read.
    #[serde(default, deserialize_with = "or_default")]
    pub locations: Vec<TypeLocation>,
}

impl ServerType {
    /// Whether the type can be ordered in a location at that time.
    ///
    /// Advice only: a create can still be refused with `resource_unavailable` or `placement_error`.
    #[must_use]
    pub fn is_orderable(&self, location: &str, now: Timestamp) -> bool {
        self.locations.iter().any(|entry| entry.name == location && entry.is_orderable(now))
    }

    /// The price in a location.
    #[must_use]
    pub fn price(&self, location: &str) -> Option<&LocationPrice> {
        self.prices.iter().find(|price| price.location == location)
    }
}

/// A server type in a location.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct TypeLocation {
    /// The location's id.
    pub id: LocationId,
    /// The location's name.
    pub name: String,
    /// Set when the type is about to leave this location.
    #[serde(default, deserialize_with = "or_default")]
    pub deprecation: Option<Deprecation>,
    /// Recommended here.
    #[serde(default, deserialize_with = "or_default")]
    pub recommended: bool,
    /// `false` when sold out for now. Taken as there when the API does not say: it is advice, and a
    /// create tells.
    #[serde(default = "yes")]
    pub available: bool,
}

impl TypeLocation {
    fn is_orderable(&self, now: Timestamp) -> bool {
        let gone = self.deprecation.is_some_and(|deprecation| deprecation.is_over(now));
        self.available && !gone
    }
}

/// When something ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Deprecation {
    /// When that was announced.
    #[serde(default, deserialize_with = "or_none")]
    pub announced: Option<Timestamp>,
    /// From when on it cannot be ordered.
    #[serde(default, deserialize_with = "or_none")]
    pub unavailable_after: Option<Timestamp>,
}

impl Deprecation {
    /// Whether the end has come. An end without a time has come.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.unavailable_after.is_none_or(|end| end <= now)
    }
}

open_enum! {
    /// What the CPU of a server type is, and what an image runs on.
    pub enum Architecture {
        X86 = "x86",
        Arm = "arm",
    }
}

open_enum! {
    /// Whether the CPU is shared with others.
    pub enum CpuType {
        Shared = "shared",
        Dedicated = "dedicated",
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_type(location: &str) -> ServerType {
        serde_json::from_str(&format!(r#"{{"id":1,"name":"cx23","locations":[{location}]}}"#))
            .unwrap()
    }

    #[test]
    fn a_type_is_orderable_where_it_is_listed_available_and_not_over() {
        let now = Timestamp::parse("2026-11-20T09:00:00Z").unwrap();
        for (location, orderable) in [
            (r#"{"id":1,"name":"fsn1","deprecation":null,"available":true}"#, true),
            (r#"{"id":1,"name":"fsn1"}"#, true),
            (r#"{"id":1,"name":"fsn1","available":false}"#, false),
            (r#"{"id":2,"name":"nbg1","available":true}"#, false),
            (
                r#"{"id":1,"name":"fsn1","available":true,"deprecation":{"unavailable_after":"2026-12-01T00:00:00Z"}}"#,
                true,
            ),
            (
                r#"{"id":1,"name":"fsn1","available":true,"deprecation":{"unavailable_after":"2026-11-01T00:00:00Z"}}"#,
                false,
            ),
            (r#"{"id":1,"name":"fsn1","available":true,"deprecation":{}}"#, false),
        ] {
            assert_eq!(server_type(location).is_orderable("fsn1", now), orderable, "{location}");
        }
    }
}
