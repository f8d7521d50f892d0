//! Public addresses.

use std::net::Ipv4Addr;

use super::{Server, World};

impl World {
    /// A public IPv4 address of the simulation: on loopback, so that connecting to a server
    /// without a machine is refused at once, and a server that is a VM can listen there.
    pub(super) fn new_ipv4(&mut self) -> Ipv4Addr {
        self.addresses_given += 1;
        let [_, a, b, c] = self.addresses_given.to_be_bytes();
        Ipv4Addr::new(127, 64 + a % 64, b, c)
    }

    /// A /64 prefix out of the range for documentation.
    pub(super) fn new_ipv6(&mut self) -> String {
        self.addresses_given += 1;
        let given = self.addresses_given;
        format!("2001:db8:{:x}:{:x}::/64", given >> 16, given & 0xffff)
    }

    /// A server's public IPv4 address.
    pub(crate) fn address_of(&self, server: &Server) -> Option<Ipv4Addr> {
        let mut all = self.primary_ips.values();
        let ip = all.find(|ip| ip.server == Some(server.id) && ip.kind == "ipv4")?;
        ip.ip.parse().ok()
    }
}
