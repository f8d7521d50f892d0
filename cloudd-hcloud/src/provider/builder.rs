use std::time::Duration;

use cloudd_core::provider::{Capabilities, Result, Size, UserDataLimits};

use super::base::BaseImage;
use super::{Hcloud, Inner};
use crate::client::{Client, ClientBuilder, DeleteProtection, Token, Tuning};
use crate::schema::{Addresses, FirewallId, NetworkId, PlacementGroupId, USER_DATA_BYTES};

/// Sets up a [`Hcloud`].
#[derive(Debug, Clone)]
#[must_use]
pub struct HcloudBuilder {
    client: ClientBuilder,
    config: Config,
}

/// What builder VMs are made of.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) base: BaseImage,
    /// By name, the best first; empty: by rule.
    pub(super) server_types: Vec<String>,
    pub(super) memory: Size,
    /// By name, the best first; empty: all.
    pub(super) locations: Vec<String>,
    pub(super) addresses: Addresses,
    pub(super) firewalls: Vec<FirewallId>,
    pub(super) networks: Vec<NetworkId>,
    pub(super) placement_group: Option<PlacementGroupId>,
    pub(super) protection: Option<DeleteProtection>,
    pub(super) run_time: Duration,
    #[cfg(feature = "ssh")]
    pub(super) ssh: Option<u16>,
}

impl HcloudBuilder {
    pub(super) fn new(client: ClientBuilder) -> Self {
        Self {
            client,
            config: Config {
                base: BaseImage::default(),
                server_types: Vec::new(),
                memory: Size::gib(2),
                locations: Vec::new(),
                addresses: Addresses::Both,
                firewalls: Vec::new(),
                networks: Vec::new(),
                placement_group: None,
                protection: None,
                run_time: Duration::from_secs(120),
                #[cfg(feature = "ssh")]
                ssh: Some(22),
            },
        }
    }

    /// The base URL of the API, version included; default `https://api.hetzner.cloud/v1`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.client = self.client.endpoint(url);
        self
    }

    /// Names the program that uses this crate to the API, as `name/version`.
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.client = self.client.application(name);
        self
    }

    /// Every pause, limit and expectation of the client.
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.client = self.client.tuning(tuning);
        self
    }

    /// What builder VMs begin with; default [`BaseImage::NewestFedora`].
    pub fn base_image(mut self, base: BaseImage) -> Self {
        self.config.base = base;
        self
    }

    /// Adds a server type by name, after those added before. Without any, the cheapest that can be
    /// ordered and has the architecture, the memory and a disk as large as the volume.
    ///
    /// Where the first that can be ordered has a disk of another size than a later one, the later
    /// one is not used: the image would be of another size.
    pub fn server_type(mut self, name: impl Into<String>) -> Self {
        self.config.server_types.push(name.into());
        self
    }

    /// The least memory of a server type that is chosen by rule; default 2 GiB.
    pub fn memory(mut self, memory: Size) -> Self {
        self.config.memory = memory;
        self
    }

    /// Adds a location by name, such as `fsn1`, after those added before. Without any, all.
    pub fn location(mut self, name: impl Into<String>) -> Self {
        self.config.locations.push(name.into());
        self
    }

    /// Which public addresses builder VMs have; default both. The install container is pulled or
    /// built through them.
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.config.addresses = addresses;
        self
    }

    /// Puts builder VMs behind a firewall, besides those added before.
    pub fn firewall(mut self, firewall: FirewallId) -> Self {
        self.config.firewalls.push(firewall);
        self
    }

    /// Attaches builder VMs to a private network, besides those added before.
    pub fn network(mut self, network: NetworkId) -> Self {
        self.config.networks.push(network);
        self
    }

    /// Puts builder VMs into a placement group.
    pub fn placement_group(mut self, group: PlacementGroupId) -> Self {
        self.config.placement_group = Some(group);
        self
    }

    /// Sets the deletion protection of images when they are available; default: as Hetzner makes
    /// them, without. A protected image cannot be deleted by this crate.
    pub fn image_protection(mut self, protection: DeleteProtection) -> Self {
        self.config.protection = Some(protection);
        self
    }

    /// How long a builder VM runs, typically, from its start to its power-off; default 2 minutes.
    /// Whether it is off is asked most often around this time, and rarely before.
    pub fn expected_run_time(mut self, expected: Duration) -> Self {
        self.config.run_time = expected;
        self
    }

    /// The port of the base image's sshd; default 22. It has to let root in by key, as all images of
    /// Hetzner's do.
    #[cfg(feature = "ssh")]
    pub fn ssh_port(mut self, port: u16) -> Self {
        self.config.ssh = Some(port);
        self
    }

    /// Never speaks with builder VMs: the power state alone tells when they are done, and the
    /// install container has to fit into the user data.
    #[cfg(feature = "ssh")]
    pub fn without_ssh(mut self) -> Self {
        self.config.ssh = None;
        self
    }

    /// Makes the provider. Nothing is sent yet.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput): the endpoint is no URL or
    /// holds a password, or the name of the program does not fit a header.
    pub fn build(self) -> Result<Hcloud> {
        Ok(Hcloud::with(self.client.build()?, self.config))
    }
}

impl Hcloud {
    /// Sets up a provider for the project of a token.
    pub fn builder(token: Token) -> HcloudBuilder {
        HcloudBuilder::new(Client::builder(token))
    }

    /// Sets up a provider with the token of `HCLOUD_TOKEN` and, if it is set, the endpoint of
    /// `HCLOUD_ENDPOINT`.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput): the token is missing or
    /// malformed.
    pub fn builder_from_env() -> Result<HcloudBuilder> {
        Ok(HcloudBuilder::new(ClientBuilder::from_env()?))
    }

    /// The provider with the token of `HCLOUD_TOKEN`, the endpoint of `HCLOUD_ENDPOINT` if it is
    /// set, and defaults for all else.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput): token or endpoint are
    /// missing or malformed.
    pub fn from_env() -> Result<Self> {
        Self::builder_from_env()?.build()
    }

    fn with(client: Client, config: Config) -> Self {
        Self(std::sync::Arc::new(Inner {
            client,
            capabilities: capabilities(&config),
            config,
            catalog: Default::default(),
            known: Default::default(),
        }))
    }
}

fn capabilities(config: &Config) -> Capabilities {
    let mut capabilities = Capabilities::new(UserDataLimits::new(USER_DATA_BYTES, true));
    capabilities.min_volume = Size::gib(10);
    capabilities.max_volume = Size::gib(10_240);
    capabilities.boots_images = true;
    capabilities.addresses = config.addresses != Addresses::Private;
    #[cfg(feature = "ssh")]
    if config.ssh.is_some() && capabilities.addresses {
        capabilities.ssh = config.ssh;
        capabilities.context = vec![cloudd_core::provider::ContextDelivery::Upload];
    }
    capabilities
}
