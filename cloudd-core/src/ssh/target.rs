use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::SshKeys;

/// Where the builder VM is, and how it is known.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) keys: SshKeys,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) port: u16,
    pub(super) user: String,
    /// After how long without any sign of life a connection is given up.
    pub(super) silence: Duration,
}

impl Target {
    pub(super) fn sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().map(|ip| SocketAddr::new(*ip, self.port))
    }

    /// All addresses, as errors name the VM.
    pub(super) fn name(&self) -> String {
        let sockets: Vec<_> = self.sockets().map(|socket| socket.to_string()).collect();
        sockets.join(" or ")
    }
}
