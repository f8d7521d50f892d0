use std::fmt;
use std::time::Duration;

use cloudd_core::provider::{
    Architecture, Capabilities, ContextDelivery, Result, Size, UserDataLimits,
};

use crate::base_image::{FileHashes, MAX_SIZE};
use crate::connection::{Driver, Host, Session};
use crate::error::invalid;
use crate::libvirt::Libvirt;
use crate::settings::{Accel, BaseImage, Config, Cpu, DiskCache, Network};
use crate::xml::domain::Serial;

/// Builds a [`Libvirt`].
#[derive(Debug, Clone)]
#[must_use]
pub struct LibvirtBuilder(Config);

const SET_UP: &str = "set up libvirt provider";

impl Libvirt {
    /// A provider for the libvirt at a connection URI, such as `qemu:///system` or
    /// `qemu+ssh://root@host/system?keyfile=/home/me/.ssh/id`.
    ///
    /// Over SSH the program `ssh` is run without a terminal: key and host key must be usable without
    /// a prompt.
    pub fn builder(uri: impl Into<String>) -> LibvirtBuilder {
        LibvirtBuilder::new(uri.into())
    }

    /// Connects with the default settings: the pool `default` and no base image, so that images can
    /// be found, deleted and started, but not built.
    ///
    /// # Errors
    /// As [`LibvirtBuilder::connect`].
    pub async fn connect(uri: impl Into<String>) -> Result<Self> {
        Self::builder(uri).connect().await
    }
}

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

    /// The storage pool; default `default`. Its volumes must be files (a directory, a file system or
    /// NFS). It is started if it is not active.
    pub fn pool(mut self, name: impl Into<String>) -> Self {
        self.0.pool = name.into();
        self
    }

    /// The base image of builder VMs. Without one, images can be found, deleted and started, but not
    /// built.
    pub fn base_image(mut self, base: BaseImage) -> Self {
        self.0.base = Some(base);
        self
    }

    /// The network of VMs; default [`Network::User`].
    pub fn network(mut self, network: Network) -> Self {
        self.0.network = network;
        self
    }

    /// The network configuration for cloud-init in builder VMs (version 1 or 2, YAML or JSON);
    /// default: the choice of cloud-init.
    pub fn network_config(mut self, config: impl Into<String>) -> Self {
        self.0.network_config = Some(config.into());
        self
    }

    /// The architecture of VMs; default: that of the host. Another one is emulated.
    pub fn architecture(mut self, architecture: Architecture) -> Self {
        self.0.architecture = Some(architecture);
        self
    }

    /// KVM or emulation; default [`Accel::Auto`].
    pub fn accel(mut self, accel: Accel) -> Self {
        self.0.accel = accel;
        self
    }

    /// The processor that guests see; for the default see [`Cpu`].
    pub fn cpu(mut self, cpu: Cpu) -> Self {
        self.0.cpu = Some(cpu);
        self
    }

    /// The number of processors of a VM; default 2.
    pub fn cpus(mut self, cpus: u32) -> Self {
        self.0.cpus = cpus;
        self
    }

    /// The memory of a VM; default 2 GiB.
    pub fn memory(mut self, memory: Size) -> Self {
        self.0.memory = memory;
        self
    }

    /// How QEMU writes disks; default [`DiskCache::Writeback`].
    pub fn disk_cache(mut self, cache: DiskCache) -> Self {
        self.0.cache = cache;
        self
    }

    /// The time without progress after which the upload of the same base image by another process is
    /// taken over; default 45 s.
    pub fn upload_patience(mut self, patience: Duration) -> Self {
        self.0.upload_patience = patience;
        self
    }

    /// Connects.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput) for an invalid setting, [`Connection`](cloudd_core::provider::ErrorKind::Connection) and
    /// [`Unauthorized`](cloudd_core::provider::ErrorKind::Unauthorized) if libvirt cannot be
    /// reached or used, [`NotFound`](cloudd_core::provider::ErrorKind::NotFound) if the pool does not
    /// exist.
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
    // A NUL would end the C string.
    for (what, value) in [("URI", &config.uri), ("pool name", &config.pool)] {
        if value.is_empty() || value.contains('\0') {
            return Err(bad(format_args!("{value:?} is not a valid {what}")));
        }
    }
    if config.cpus == 0 {
        return Err(bad("a VM cannot have 0 processors"));
    }
    if config.memory < Size::mib(16) {
        return Err(bad(format_args!(
            "a VM cannot have {} of memory, expected at least 16 MiB",
            config.memory
        )));
    }
    if let Network::Named(name) | Network::Bridge(name) = &config.network
        && (name.is_empty() || name.contains('\0'))
    {
        return Err(bad(format_args!("{name:?} is not a valid name of a network")));
    }
    if config.accel == Accel::Tcg && config.cpu == Some(Cpu::HostPassthrough) {
        return Err(bad("an emulated VM cannot have the processor of the host"));
    }
    config.base.as_ref().map_or(Ok(()), BaseImage::validate)
}

fn bad(message: impl fmt::Display) -> cloudd_core::provider::Error {
    invalid(SET_UP, message)
}

/// The limit of user data. libvirt has none, but cloud-init parses larger ones for minutes.
const MAX_USER_DATA: usize = 16 << 20;

fn capabilities(driver: Driver, architecture: Architecture, network: &Network) -> Capabilities {
    let mut capabilities = Capabilities::new(UserDataLimits::new(MAX_USER_DATA, false));
    capabilities.min_volume = Size::mib(1);
    capabilities.max_volume = MAX_SIZE;
    if driver == Driver::Test {
        // Its volumes cannot be written, and its VMs do not run.
        capabilities.runs_guests = false;
        return capabilities;
    }
    capabilities.context = vec![ContextDelivery::Media { device: Serial::Context.device().into() }];
    capabilities.channel = true;
    capabilities.boots_images = true;
    capabilities.console = true;
    // libvirt knows only the leases of its own networks.
    capabilities.addresses = matches!(network, Network::Default | Network::Named(_));
    capabilities.event_port = Some(event_port(architecture).into());
    capabilities
}

/// The second serial port in the guest. x86 has two ports of the same kind; on Arm the first port is
/// `ttyAMA0` and the second, a PCI card, is the first of the kind `ttyS`.
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
    fn secrets_are_not_in_the_debug_output() {
        let builder = Libvirt::builder("qemu+tcp://admin:hunter2@host/system")
            .base_image(BaseImage::url("https://a:hunter2@b/c?token=s3cret", "ab".repeat(32)))
            .network_config("wifis: {w: {access-points: {x: {password: s3cret}}}}");
        let shown = format!("{builder:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn invalid_settings_are_refused_by_name() {
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
