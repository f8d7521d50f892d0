//! The public addresses of a server.

use std::net::{Ipv4Addr, Ipv6Addr};

use serde::Deserialize;

use super::lenient::{or_default, or_none};

/// The public addresses of a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct PublicNet {
    /// Absent when the server was made without IPv4.
    #[serde(default, deserialize_with = "or_none")]
    pub ipv4: Option<Ipv4>,
    /// Absent when the server was made without IPv6.
    #[serde(default, deserialize_with = "or_none")]
    pub ipv6: Option<Ipv6>,
}

/// A public IPv4 address.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Ipv4 {
    /// The address.
    pub ip: Ipv4Addr,
    /// Cut off by the provider.
    #[serde(default, deserialize_with = "or_default")]
    pub blocked: bool,
}

/// A public IPv6 network: a server owns a /64.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Ipv6 {
    /// The prefix, such as `2001:db8::/64`.
    pub ip: String,
    /// Cut off by the provider.
    #[serde(default, deserialize_with = "or_default")]
    pub blocked: bool,
}

impl Ipv6 {
    /// The address that cloud-init configures in the guest: the first of the prefix, `…::1`. `None`
    /// if the prefix is none.
    #[must_use]
    pub fn host(&self) -> Option<Ipv6Addr> {
        let network: Ipv6Addr = self.ip.split('/').next()?.parse().ok()?;
        Some(Ipv6Addr::from(u128::from(network) | 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guest_has_the_first_address_of_its_prefix() {
        let ipv6 = |ip: &str| Ipv6 { ip: ip.to_owned(), blocked: false };
        assert_eq!(ipv6("2001:db8:17::/64").host(), Some("2001:db8:17::1".parse().unwrap()));
        assert_eq!(ipv6("2001:db8::1").host(), Some("2001:db8::1".parse().unwrap()));
        assert_eq!(ipv6("none").host(), None);
    }

    #[test]
    fn a_server_may_have_no_address() {
        for text in ["{}", r#"{"ipv4":null,"ipv6":null}"#, r#"{"ipv4":{"ip":"pending"}}"#] {
            assert_eq!(serde_json::from_str::<PublicNet>(text).unwrap(), PublicNet::default());
        }
    }
}
