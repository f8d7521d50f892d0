//! `ntp`.

use serde::Serialize;

use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;

impl CloudConfig {
    /// Configures an NTP client, and installs one if the image has none.
    pub fn ntp(mut self, ntp: Ntp) -> Self {
        self.ntp = Some(ntp);
        self
    }
}

/// An NTP client. Without a server or pool it uses four of the distribution's pool.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[must_use]
pub struct Ntp {
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ntp_client: Option<NtpClient>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    servers: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pools: Vec<String>,
}

/// A program that speaks NTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NtpClient {
    /// Whichever the distribution prefers.
    Auto,
    /// chronyd.
    Chrony,
    /// ntpd.
    Ntp,
    /// systemd-timesyncd.
    SystemdTimesyncd,
}

impl Ntp {
    /// The distribution's choice of client and servers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Neither configures nor installs a client.
    pub fn disabled() -> Self {
        Self { enabled: Some(false), ..Self::default() }
    }

    /// Which program.
    pub fn client(mut self, client: NtpClient) -> Self {
        self.ntp_client = Some(client);
        self
    }

    /// A server, by name or address.
    pub fn server(mut self, server: impl Into<String>) -> Self {
        self.servers.push(server.into());
        self
    }

    /// A pool, by name.
    pub fn pool(mut self, pool: impl Into<String>) -> Self {
        self.pools.push(pool.into());
        self
    }
}

impl Section for Option<Ntp> {
    fn check(&self) -> Result<()> {
        let Some(ntp) = self else {
            return Ok(());
        };
        check::no_duplicates("ntp.servers", ntp.servers.iter().map(String::as_str))?;
        check::no_duplicates("ntp.pools", ntp.pools.iter().map(String::as_str))?;
        ntp.servers.iter().try_for_each(|name| check::host_or_address("ntp.servers", name))?;
        ntp.pools.iter().try_for_each(|name| check::host_or_address("ntp.pools", name))
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("ntp", self);
        Ok(())
    }
}
