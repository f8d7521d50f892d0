//! Servers and their public addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::lenient::{or_default, or_none};
use super::open_enum::open_enum;
use super::{Labels, ServerId, Timestamp, VolumeId};

/// A server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Server {
    /// The id.
    pub id: ServerId,
    /// The name, unique in the project.
    pub name: String,
    /// The power state, or the change that is being made to it.
    pub status: ServerStatus,
    /// When it was created.
    #[serde(default, deserialize_with = "or_none")]
    pub created: Option<Timestamp>,
    /// The public addresses.
    #[serde(default, deserialize_with = "or_default")]
    pub public_net: PublicNet,
    /// The location.
    #[serde(default, deserialize_with = "or_none")]
    pub location: Option<Location>,
    /// The labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    /// The attached volumes.
    #[serde(default, deserialize_with = "or_default")]
    pub volumes: Vec<VolumeId>,
}

open_enum! {
    /// The status of a server.
    pub enum ServerStatus {
        Running = "running",
        Initializing = "initializing",
        Starting = "starting",
        Stopping = "stopping",
        Off = "off",
        Deleting = "deleting",
        Migrating = "migrating",
        Rebuilding = "rebuilding",
        /// The API reports this value when it does not know the status.
        Unknown = "unknown",
    }
}

/// A location of servers and volumes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Location {
    /// The name, such as `fsn1`.
    pub name: String,
}

/// The public addresses of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PublicNet {
    #[serde(default, deserialize_with = "or_none")]
    ipv4: Option<PublicIpv4>,
    #[serde(default, deserialize_with = "or_none")]
    ipv6: Option<PublicIpv6>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PublicIpv4 {
    ip: Ipv4Addr,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct PublicIpv6 {
    /// The network, a /64 prefix such as `2001:db8::/64`.
    ip: String,
}

impl PublicNet {
    /// The IPv4 address, unless the server was created without one.
    #[must_use]
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        self.ipv4.as_ref().map(|ipv4| ipv4.ip)
    }

    /// The IPv6 address that cloud-init configures in the guest: the first one of the server's
    /// network, `…::1`. `None` if the server was created without IPv6.
    #[must_use]
    pub fn ipv6(&self) -> Option<Ipv6Addr> {
        let prefix = self.ipv6.as_ref()?.ip.split('/').next()?;
        let network: Ipv6Addr = prefix.parse().ok()?;
        Some(Ipv6Addr::from(u128::from(network) | 1))
    }

    /// All addresses, IPv4 first.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let ipv4 = self.ipv4().map(IpAddr::from);
        ipv4.into_iter().chain(self.ipv6().map(IpAddr::from))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public_net(text: &str) -> PublicNet {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn the_guest_has_the_first_address_of_its_ipv6_network() {
        let ipv6 = |ip: &str| public_net(&format!(r#"{{"ipv6":{{"ip":"{ip}"}}}}"#)).ipv6();
        assert_eq!(ipv6("2001:db8:17::/64"), Some("2001:db8:17::1".parse().unwrap()));
        assert_eq!(ipv6("2001:db8::1"), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(ipv6("none"), None);
    }

    #[test]
    fn a_server_may_have_no_address() {
        for text in ["{}", r#"{"ipv4":null,"ipv6":null}"#, r#"{"ipv4":{"ip":"pending"}}"#] {
            assert_eq!(public_net(text), PublicNet::default());
        }
    }
}
