//! The machine's name: `hostname`, `fqdn`, `preserve_hostname`, `manage_etc_hosts`.

use serde::{Serialize, Serializer};

use super::check;
use super::config::{CloudConfig, Section};
use super::error::{Error, Result};
use super::render::Document;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Host {
    hostname: Option<String>,
    fqdn: Option<String>,
    prefer_fqdn: bool,
    preserve: bool,
    etc_hosts: Option<EtcHosts>,
}

impl CloudConfig {
    /// The host name, one label. Names with dots are for [`fqdn`](Self::fqdn).
    pub fn hostname(mut self, name: impl Into<String>) -> Self {
        self.host.hostname = Some(name.into());
        self
    }

    /// The fully qualified name. The host name is its first label unless said otherwise.
    pub fn fqdn(mut self, name: impl Into<String>) -> Self {
        self.host.fqdn = Some(name.into());
        self
    }

    /// Makes the fully qualified name the kernel's host name, on distributions that would take the
    /// short one.
    pub fn prefer_fqdn_over_hostname(mut self) -> Self {
        self.host.prefer_fqdn = true;
        self
    }

    /// Leaves the host name alone, the one from the cloud's metadata included.
    pub fn preserve_hostname(mut self) -> Self {
        self.host.preserve = true;
        self
    }

    /// Who writes `/etc/hosts`.
    pub fn manage_etc_hosts(mut self, mode: EtcHosts) -> Self {
        self.host.etc_hosts = Some(mode);
        self
    }
}

/// Who writes `/etc/hosts`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EtcHosts {
    /// cloud-init writes it at every boot from the distribution's template.
    Template,
    /// cloud-init keeps one line for 127.0.1.1 with the host name.
    Localhost,
    /// Nobody.
    Untouched,
}

impl Serialize for EtcHosts {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Template => serializer.serialize_bool(true),
            Self::Localhost => serializer.serialize_str("localhost"),
            Self::Untouched => serializer.serialize_bool(false),
        }
    }
}

impl Section for Host {
    fn check(&self) -> Result<()> {
        if let Some(name) = &self.hostname {
            check::host_label("hostname", name)?;
        }
        if let Some(name) = &self.fqdn {
            check::dns_name("fqdn", name)?;
        }
        if self.prefer_fqdn && self.preserve {
            return Err(Error::Ignored {
                ignored: "prefer_fqdn_over_hostname",
                because: "preserve_hostname",
            });
        }
        Ok(())
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("hostname", &self.hostname);
        document.entry_if("fqdn", &self.fqdn);
        document.entry_if("prefer_fqdn_over_hostname", &self.prefer_fqdn.then_some(true));
        document.entry_if("preserve_hostname", &self.preserve.then_some(true));
        document.entry_if("manage_etc_hosts", &self.etc_hosts);
        Ok(())
    }
}
