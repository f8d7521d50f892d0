use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloudd_core::provider::{Capabilities, ContextDelivery, Result, Size, UserDataLimits};

use crate::base_image::BaseImage;
use crate::client::{Client, ClientBuilder, Token};
use crate::hints::LocalHints;
use crate::schema::{Addresses, FirewallId, NetworkId, PlacementGroupId, USER_DATA_BYTES};

/// A project of Hetzner Cloud.
///
/// Clones share the connection, the rate limit and the requests that several builds need at the same
/// time: use one provider for all builds.
#[derive(Clone)]
pub struct Hcloud(Arc<Inner>);

struct Inner {
    client: Client,
    config: Config,
    capabilities: Capabilities,
    hints: Mutex<LocalHints>,
}

impl Hcloud {
    fn new(client: Client, config: Config) -> Self {
        let (capabilities, hints) = (capabilities(&config), Mutex::default());
        Self(Arc::new(Inner { client, config, capabilities, hints }))
    }

    /// Configures a provider for the project of an API token.
    pub fn builder(token: Token) -> HcloudBuilder {
        HcloudBuilder::new(Client::builder(token))
    }

    /// Configures a provider from the environment: the API token from `HCLOUD_TOKEN`, and the
    /// endpoint from `HCLOUD_ENDPOINT` if it is set.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput): the token is missing or
    /// malformed.
    pub fn builder_from_env() -> Result<HcloudBuilder> {
        Ok(HcloudBuilder::new(ClientBuilder::from_env()?))
    }

    /// A provider from the environment, as in [`builder_from_env`](Self::builder_from_env), with
    /// default settings.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput): the token is missing or
    /// malformed, or the endpoint is malformed.
    pub fn from_env() -> Result<Self> {
        Self::builder_from_env()?.build()
    }

    /// The API client, for requests that this provider does not make.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.0.client
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn limits(&self) -> &Capabilities {
        &self.0.capabilities
    }

    /// The hints, locked: the guard must not live across an await.
    pub(crate) fn hints(&self) -> MutexGuard<'_, LocalHints> {
        // A panic cannot leave a hint half changed, so a poisoned lock is usable.
        self.0.hints.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Display for Hcloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hetzner Cloud")
    }
}

impl fmt::Debug for Hcloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hcloud").field("config", self.config()).finish_non_exhaustive()
    }
}

/// Configures a [`Hcloud`].
#[derive(Debug, Clone)]
#[must_use]
pub struct HcloudBuilder {
    client: ClientBuilder,
    config: Config,
}

/// The settings of builder VMs.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) base_image: BaseImage,
    /// Names in order of preference. Empty: the cheapest type that fits.
    pub(crate) server_types: Vec<String>,
    pub(crate) memory: Size,
    /// Names in order of preference. Empty: all locations.
    pub(crate) locations: Vec<String>,
    pub(crate) addresses: Addresses,
    pub(crate) firewalls: Vec<FirewallId>,
    pub(crate) networks: Vec<NetworkId>,
    pub(crate) placement_group: Option<PlacementGroupId>,
    pub(crate) expected_run_time: Duration,
    /// The port of sshd in the base image. `None`: SSH is not used.
    pub(crate) ssh_port: Option<u16>,
}

impl HcloudBuilder {
    fn new(client: ClientBuilder) -> Self {
        Self {
            client,
            config: Config {
                base_image: BaseImage::default(),
                server_types: Vec::new(),
                memory: Size::gib(2),
                locations: Vec::new(),
                addresses: Addresses::Both,
                firewalls: Vec::new(),
                networks: Vec::new(),
                placement_group: None,
                expected_run_time: Duration::from_secs(120),
                ssh_port: cfg!(feature = "ssh").then_some(22),
            },
        }
    }

    /// Sets the base URL of the API, version included. Default: `https://api.hetzner.cloud/v1`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.client = self.client.endpoint(url);
        self
    }

    /// Sets the name under which the program identifies itself to the API, as `name/version`.
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.client = self.client.application(name);
        self
    }

    /// Sets how long one attempt of a request may take, from connecting to the last byte of the
    /// response. Default: 30 seconds.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.client = self.client.request_timeout(timeout);
        self
    }

    /// Shortens all pauses of the client except the request timeout, for a simulator whose clock runs
    /// `speed` times faster.
    #[cfg(any(test, feature = "testing"))]
    pub fn clock_speed(mut self, speed: f64) -> Self {
        self.client = self.client.clock_speed(speed);
        self
    }

    /// Sets the image that builder VMs are created from. Default: [`BaseImage::NewestFedora`].
    pub fn base_image(mut self, base_image: BaseImage) -> Self {
        self.config.base_image = base_image;
        self
    }

    /// Adds a server type by name, such as `cx23`. Types are tried in the order in which they are
    /// added. Default: the cheapest type that can be ordered and has the architecture, the memory and
    /// a disk as large as the volume.
    ///
    /// All builder VMs of a build have root disks of one size, because the image is as large as the
    /// disk: types whose disk differs from that of the first type that can be ordered are not used.
    pub fn server_type(mut self, name: impl Into<String>) -> Self {
        self.config.server_types.push(name.into());
        self
    }

    /// Sets the minimum memory of a server type. Default: 2 GiB. Ignored for types that are added
    /// with [`server_type`](Self::server_type).
    pub fn memory(mut self, memory: Size) -> Self {
        self.config.memory = memory;
        self
    }

    /// Adds a location by name, such as `fsn1`. Locations are tried in the order in which they are
    /// added. Default: all locations.
    pub fn location(mut self, name: impl Into<String>) -> Self {
        self.config.locations.push(name.into());
        self
    }

    /// Sets the public IP addresses of builder VMs. Default: IPv4 and IPv6. Builder VMs download the
    /// install container and its packages through them.
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.config.addresses = addresses;
        self
    }

    /// Adds a firewall that is applied to builder VMs.
    pub fn firewall(mut self, firewall: FirewallId) -> Self {
        self.config.firewalls.push(firewall);
        self
    }

    /// Adds a private network that builder VMs are attached to.
    pub fn network(mut self, network: NetworkId) -> Self {
        self.config.networks.push(network);
        self
    }

    /// Sets the placement group of builder VMs.
    pub fn placement_group(mut self, group: PlacementGroupId) -> Self {
        self.config.placement_group = Some(group);
        self
    }

    /// Sets the typical time between the start of a builder VM and its power-off. Default: 2 minutes.
    /// The power state is polled rarely before this time and most often around it.
    pub fn expected_run_time(mut self, expected: Duration) -> Self {
        self.config.expected_run_time = expected;
        self
    }

    /// Sets the port of sshd in the base image. Default: 22. sshd must allow root to log in with a
    /// key, as it does in all images of Hetzner.
    #[cfg(feature = "ssh")]
    pub fn ssh_port(mut self, port: u16) -> Self {
        self.config.ssh_port = Some(port);
        self
    }

    /// Disables SSH to builder VMs. Builds then need
    /// [`ImageBuilder::trust_power_off`](cloudd_core::ImageBuilder::trust_power_off), and the build context
    /// has to fit into the user data.
    #[cfg(feature = "ssh")]
    pub fn without_ssh(mut self) -> Self {
        self.config.ssh_port = None;
        self
    }

    /// Creates the provider. Sends no request.
    ///
    /// # Errors
    /// [`InvalidInput`](cloudd_core::provider::ErrorKind::InvalidInput): the endpoint is not a URL or
    /// contains a password, or the name of the program is not valid in an HTTP header.
    pub fn build(self) -> Result<Hcloud> {
        let Self { client, config } = self;
        Ok(Hcloud::new(client.build()?, config))
    }

    /// The same with this client, for tests in virtual time.
    #[cfg(test)]
    pub(crate) fn build_with(self, client: Client) -> Hcloud {
        Hcloud::new(client, self.config)
    }
}

fn capabilities(config: &Config) -> Capabilities {
    let mut capabilities = Capabilities::new(UserDataLimits::new(USER_DATA_BYTES, true));
    capabilities.min_volume = Size::gib(10);
    capabilities.max_volume = Size::gib(10_240);
    capabilities.boots_images = true;
    capabilities.addresses = config.addresses != Addresses::Private;
    if config.ssh_port.is_some() && capabilities.addresses {
        capabilities.ssh = config.ssh_port;
        capabilities.context = vec![ContextDelivery::Upload];
    }
    capabilities
}
