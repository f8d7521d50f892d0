//! Ids: integers from 1 to 2^53-1, one type for each kind of resource.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<u64> for $name {
            fn from(id: u64) -> Self {
                Self(id)
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    )+};
}

ids! {
    /// The id of an action.
    ActionId,
    /// The id of a firewall.
    FirewallId,
    /// The id of an image.
    ImageId,
    /// The id of a location.
    LocationId,
    /// The id of a network.
    NetworkId,
    /// The id of a placement group.
    PlacementGroupId,
    /// The id of a server.
    ServerId,
    /// The id of a server type.
    ServerTypeId,
    /// The id of an SSH key.
    SshKeyId,
    /// The id of a volume.
    VolumeId,
}

/// A reference in a create body: an id goes over the wire as an integer, a name as a string.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum IdOrName<I> {
    /// By id.
    Id(I),
    /// By name.
    Name(String),
}

impl<I> IdOrName<I> {
    /// By name.
    pub fn name(name: impl Into<String>) -> Self {
        Self::Name(name.into())
    }
}

impl<I> From<I> for IdOrName<I> {
    fn from(id: I) -> Self {
        Self::Id(id)
    }
}

impl<I: fmt::Display> fmt::Display for IdOrName<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_an_integer_and_a_name_a_string() {
        let id: IdOrName<ImageId> = ImageId(7).into();
        let name = IdOrName::<ImageId>::name("fedora-42");
        assert_eq!(serde_json::to_string(&id).unwrap(), "7");
        assert_eq!(serde_json::to_string(&name).unwrap(), r#""fedora-42""#);
    }

    #[test]
    fn the_largest_id_survives() {
        let id: ServerId = serde_json::from_str("9007199254740991").unwrap();
        assert_eq!(id.to_string(), "9007199254740991");
        assert_eq!("9007199254740991".parse::<ServerId>().unwrap(), id);
    }
}
