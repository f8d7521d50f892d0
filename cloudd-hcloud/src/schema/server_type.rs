//! Server types: what can be ordered in which location and at what price.

use serde::Deserialize;

use super::lenient::{or_default, or_none};
use super::open_enum::open_enum;
use super::{LocationPrice, Timestamp};

/// A server type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct ServerType {
    pub(crate) id: u64,
    /// The name, such as `cx23`.
    pub(crate) name: String,
    /// The memory in GB.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) memory: f64,
    /// The root disk in GB. A snapshot needs a disk at least as large as the one it was taken of.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) disk: f64,
    #[serde(default)]
    pub(crate) architecture: Option<Architecture>,
    /// The price in each location.
    #[serde(default, deserialize_with = "or_default")]
    prices: Vec<LocationPrice>,
    /// The locations that have the type. These entries supersede the deprecated fields `deprecated`
    /// and `deprecation` of the object, which are not read.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) locations: Vec<TypeLocation>,
}

impl ServerType {
    /// Whether the type can be ordered in a location at that time.
    ///
    /// This is advisory: a create can still fail with `resource_unavailable` or `placement_error`.
    pub(crate) fn is_orderable(&self, location: &str, now: Timestamp) -> bool {
        self.locations.iter().any(|entry| {
            let gone = entry.deprecation.is_some_and(|deprecation| deprecation.is_over(now));
            entry.name == location && entry.available && !gone
        })
    }

    /// The price in a location.
    pub(crate) fn price(&self, location: &str) -> Option<&LocationPrice> {
        self.prices.iter().find(|price| price.location == location)
    }
}

/// A server type in one location.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct TypeLocation {
    /// The location's name.
    pub(crate) name: String,
    /// Set when Hetzner has announced to withdraw the type from this location.
    #[serde(default, deserialize_with = "or_default")]
    deprecation: Option<Deprecation>,
    /// `false` while the type is sold out. A missing field counts as `true`, since the create
    /// request reports the truth.
    #[serde(default = "yes")]
    available: bool,
}

/// The announced end of an image or of a server type in a location.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Deprecation {
    /// The time from which it can no longer be ordered.
    #[serde(default, deserialize_with = "or_none")]
    pub unavailable_after: Option<Timestamp>,
}

impl Deprecation {
    /// Whether the end is reached at that time. An end without a time counts as reached.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.unavailable_after.is_none_or(|end| end <= now)
    }
}

open_enum! {
    /// The CPU architecture of a server type or an image.
    pub enum Architecture {
        X86 = "x86",
        Arm = "arm",
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
        let now = "2026-11-20T09:00:00Z".parse().unwrap();
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
