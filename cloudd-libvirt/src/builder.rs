use std::fmt;
use std::time::Duration;

use cloudd_core::provider::{
    Architecture, Capabilities, ContextDelivery, Result, Size, UserDataLimits,
};

use crate::base::{BaseImage, FileHashes};
use crate::error::invalid;
use crate::host::Host;
use crate::provider::Libvirt;
use crate::session::{Driver, Session};
use crate::settings::{Accel, Config, Cpu, DiskCache, Network};
use crate::xml::domain::Serial;

/// Builds a [`Libvirt`].
#[derive(Debug, Clone)]
#[must_use]
pub struct LibvirtBuilder(Config);

const SET_UP: &str = "set up libvirt provider";

impl LibvirtBuilder {
    pub(crate) fn new(uri: String) -> Self {
        Self(Config {
            uri,
            pool: "default".to_owned(),
            base: None,
            architecture: None,
            accel: Accel::default(),
            cpu: None,
            cpus: 2,
            memory: Size::gib(2),
            cache: DiskCache::default(),
            network: Network::default(),
            network_config: None,
            upload_patience: Duration::from_secs(45),
        })
    }

    /// The storage pool in which everything lies; default `default`. A pool of files (directory,
    /// file system or NFS); it is started when it is not active.
    pub fn pool(mut self, name: impl Into<String>) -> Self {
        self.0.pool = name.into();
        self
    }

    /// What builder VMs begin with. Without one nothing can be built, though images can be found,
    /// deleted and started.
    pub fn base_image(mut self, base: BaseImage) -> Self {
        self.0.base = Some(base);
        self
    }

    /// How VMs are connected; default [`Network::User`].
    pub fn network(mut self, network: Network) -> Self {
        self.0.network = network;
        self
    }

    /// A network configuration for cloud-init in builder VMs (version 1 or 2, as YAML or JSON),
    /// in place of what it chooses by itself.
    pub fn network_config(mut self, config: impl Into<String>) -> Self {
        self.0.network_config = Some(config.into());
        self
    }

    /// The architecture of VMs; default the host's. Another one is emulated.
    pub fn architecture(mut self, architecture: Architecture) -> Self {
        self.0.architecture = Some(architecture);
        self
    }

    /// KVM or emulation; default [`Accel::Auto`].
    pub fn accel(mut self, accel: Accel) -> Self {
        self.0.accel = accel;
        self
    }

    /// Which processor guests see; default see [`Cpu`].
    pub fn cpu(mut self, cpu: Cpu) -> Self {
        self.0.cpu = Some(cpu);
        self
    }

    /// How many processors a VM has; default 2.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.0.cpus = cpus;
        self
    }

    /// How much memory a VM has; default 2 GiB.
    pub fn memory(mut self, memory: Size) -> Self {
        self.0.memory = memory;
        self
    }

    /// How QEMU writes disks; default [`DiskCache::Writeback`].
    pub fn disk_cache(mut self, cache: DiskCache) -> Self {
        self.0.cache = cache;
        self
    }

    /// How long another process that brings the same base image into the pool may make no progress
    /// before it is taken for dead and its work is taken over; default 45 s.
    pub fn upload_patience(mut self, patience: Duration) -> Self {
        self.0.upload_patience = patience;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput) for a setting that cannot
    /// be, [`Connection`](cloudd_core::provider::ErrorKind::Connection) and
    /// [`Unauthorized`](cloudd_core::provider::ErrorKind::Unauthorized) when libvirt cannot be
    /// reached or used, [`NotFound`](cloudd_core::provider::ErrorKind::NotFound) for a pool that
    /// does not exist.
    pub async fn connect(self) -> Result<Libvirt> {
        let config = self.0;
        validate(&config)?;
        let wanted = config.architecture;
        let network = config.network.clone();
        let host = Host::new(config);
        let (architecture, driver) = host
            .call(move |session: &Session| {
                Ok((wanted.unwrap_or(session.default_architecture()), session.driver))
            })
            .await?;
        let capabilities = capabilities(driver, architecture, &network);
        Ok(Libvirt { host, hashes: FileHashes::default(), architecture, capabilities })
    }
}

fn validate(config: &Config) -> Result<()> {
    // A NUL would end the text early, on its way through C.
    for (what, value) in [("URI", &config.uri), ("pool name", &config.pool)] {
        if value.is_empty() || value.contains('\0') {
            return Err(bad(format_args!("{value:?} is not a {what}")));
        }
    }
    if config.cpus == 0 {
        return Err(bad("a VM with 0 processors"));
    }
    if config.memory < Size::mib(16) {
        return Err(bad(format_args!(
            "a VM with {} of memory, expected 16 MiB at least",
            config.memory
        )));
    }
    if let Network::Named(name) | Network::Bridge(name) = &config.network
        && (name.is_empty() || name.contains('\0'))
    {
        return Err(bad(format_args!("{name:?} is not the name of a network")));
    }
    if config.accel == Accel::Tcg && config.cpu == Some(Cpu::HostPassthrough) {
        return Err(bad("an emulated VM with the processor of the host"));
    }
    config.base.as_ref().map_or(Ok(()), BaseImage::validate)
}

fn bad(message: impl fmt::Display) -> cloudd_core::provider::Error {
    invalid(SET_UP, message)
}

/// The most user data: any size would do, and cloud-init parses larger ones for minutes.
const USER_DATA: usize = 16 << 20;

fn capabilities(driver: Driver, architecture: Architecture, network: &Network) -> Capabilities {
    let mut capabilities = Capabilities::new(UserDataLimits::new(USER_DATA, false));
    capabilities.min_volume = Size::mib(1);
    capabilities.max_volume = Size::gib(64 << 10);
    if driver == Driver::Test {
        // No bytes can be written to its volumes, and nothing runs.
        capabilities.runs_guests = false;
        return capabilities;
    }
    capabilities.context = vec![ContextDelivery::Media { device: Serial::Context.device().into() }];
    capabilities.channel = true;
    capabilities.boots_images = true;
    capabilities.console = true;
    // libvirt tells what its own networks lease. On a bridge somebody else does.
    capabilities.addresses = matches!(network, Network::Default | Network::Named(_));
    capabilities.event_port = Some(event_port(architecture).into());
    capabilities
}

/// The second serial port as the guest's kernel names it. x86 has two of the same kind; on Arm the
/// first is another kind (`ttyAMA0`), and the PCI card is the first of this one.
fn event_port(architecture: Architecture) -> &'static str {
    match architecture {
        Architecture::Aarch64 => "/dev/ttyS0",
        _ => "/dev/ttyS1",
    }
}

#[cfg(test)]
mod tests {
    use cloudd_core::provider::ErrorKind;

    use super::*;

    #[test]
    fn settings_that_cannot_be_are_refused_by_name() {
        let builder = || Libvirt::builder("qemu:///system");
        let bad = [
            (Libvirt::builder(""), "URI"),
            (builder().pool("a\0b"), "pool name"),
            (builder().cpus(0), "0 processors"),
            (builder().memory(Size::bytes(1)), "1 bytes of memory"),
            (builder().network(Network::Bridge(String::new())), "name of a network"),
            (builder().accel(Accel::Tcg).cpu(Cpu::HostPassthrough), "emulated"),
            (builder().base_image(BaseImage::volume("a/b")), "a/b"),
        ];
        for (builder, expected) in bad {
            let error = validate(&builder.0).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(expected), "{error}");
        }
        assert!(validate(&builder().0).is_ok());
    }
}
