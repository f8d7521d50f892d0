//! Ids: integers from 1 to 2^53-1, with one type for each kind of resource.

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
    /// The id of a network.
    NetworkId,
    /// The id of a placement group.
    PlacementGroupId,
    /// The id of a server.
    ServerId,
    /// The id of an SSH key.
    SshKeyId,
    /// The id of a volume.
    VolumeId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_id_is_read_exactly() {
        let id: ServerId = serde_json::from_str("9007199254740991").unwrap();
        assert_eq!(id.to_string(), "9007199254740991");
        assert_eq!("9007199254740991".parse::<ServerId>().unwrap(), id);
    }
}
