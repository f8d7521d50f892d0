//! Servers that are created from an image.

use std::fmt;
use std::time::Duration;

use cloudd_core::provider::{
    Architecture, BootSpec, BuildId, Error, ErrorKind, ImageId, ImageStatus, Labels, Reporter,
    Result, Vm, keys,
};

use crate::builder::Hcloud;
use crate::client::CreateOutcome;
use crate::hints::ServerHint;
use crate::placement::{DiskSize, PlacementFailures, PlacementRequest};
use crate::schema::{
    self, Addresses, CreateServer, FirewallId, Label, NetworkId, Selector, Server, ServerStatus,
    SshKeyId,
};
use crate::vm::ACTION_TIMEOUT;
use crate::{convert, image, labels, lease, vm};

/// The label with a random value by which a call of [`Hcloud::start_server`] finds its server after
/// the create response was lost.
const NONCE: &str = "cloudd/server";

/// A server to be started from an image.
#[derive(Clone)]
#[non_exhaustive]
#[must_use]
pub struct ServerSpec {
    name: String,
    image: ImageId,
    server_types: Vec<String>,
    locations: Vec<String>,
    ssh_keys: Vec<SshKeyId>,
    user_data: Option<String>,
    labels: Labels,
    addresses: Addresses,
    firewalls: Vec<FirewallId>,
    networks: Vec<NetworkId>,
    stopped: bool,
}

impl ServerSpec {
    /// A server of this name. Default: the cheapest type and the first location that fit the image.
    pub fn new(name: impl Into<String>, image: ImageId) -> Self {
        Self {
            name: name.into(),
            image,
            server_types: Vec::new(),
            locations: Vec::new(),
            ssh_keys: Vec::new(),
            user_data: None,
            labels: Labels::new(),
            addresses: Addresses::Both,
            firewalls: Vec::new(),
            networks: Vec::new(),
            stopped: false,
        }
    }

    /// Adds a server type by name. Types are tried in the order in which they are added.
    pub fn server_type(mut self, name: impl Into<String>) -> Self {
        self.server_types.push(name.into());
        self
    }

    /// Adds a location by name. Locations are tried in the order in which they are added.
    pub fn location(mut self, name: impl Into<String>) -> Self {
        self.locations.push(name.into());
        self
    }

    /// Adds an SSH key of the project. Without a key, Hetzner emails a root password.
    pub fn ssh_key(mut self, key: SshKeyId) -> Self {
        self.ssh_keys.push(key);
        self
    }

    /// Sets the user data for cloud-init, if the image has it: at most 32,768 bytes.
    pub fn user_data(mut self, user_data: impl Into<String>) -> Self {
        self.user_data = Some(user_data.into());
        self
    }

    /// Sets the labels. Keys must not begin with `cloudd/`.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// Sets the public IP addresses. Default: IPv4 and IPv6.
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.addresses = addresses;
        self
    }
}

// User data can contain keys and passwords.
impl fmt::Debug for ServerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerSpec")
            .field("name", &self.name)
            .field("image", &self.image)
            .field("server_types", &self.server_types)
            .field("locations", &self.locations)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

impl Hcloud {
    /// Starts a server from an image and returns when it runs, or when it is off again because its
    /// system has already powered off. A server that cannot be started is deleted.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a label with the reserved prefix `cloudd/`, and
    /// for a type or location that does not exist or that the image does not fit; [`Unavailable`](ErrorKind::Unavailable) if no location has capacity,
    /// with those that were tried, and [`QuotaExceeded`](ErrorKind::QuotaExceeded) if all of them are
    /// disabled for the account; [`AlreadyExists`](ErrorKind::AlreadyExists) if the name is taken.
    pub async fn start_server(&self, spec: ServerSpec) -> Result<Server> {
        spec.labels.ensure_unreserved().map_err(|error| {
            Error::new(ErrorKind::InvalidInput, "start server from image")
                .with_resource(&spec.name)
                .with_source(error)
                .with_hint("copy only the labels of the image that do not begin with cloudd/")
        })?;
        let nonce_label = Label::new(NONCE, BuildId::random().as_str())?;
        let made = self.create_from_image("start server from image", &spec, &nonce_label).await?;
        let id = made.resource.id;
        let error = match self.wait_running(made).await {
            Ok(server) => return Ok(server),
            Err(error) => error,
        };
        if let Err(error) = self.client().delete_server(id).await {
            tracing::warn!(server = %id, %error, "could not delete a server that did not start");
        }
        Err(error.into())
    }

    /// Creates a server for a boot check, off, with the settings of builder VMs.
    pub(crate) async fn create_boot_check_server(&self, spec: &BootSpec) -> Result<Vm> {
        const CREATE: &str = "create server from image";
        let config = self.config();
        let server = ServerSpec {
            server_types: config.server_types.clone(),
            locations: config.locations.clone(),
            ssh_keys: vec![lease::ssh_key(CREATE, spec.lease.as_ref())?],
            labels: spec.labels.clone(),
            addresses: config.addresses,
            firewalls: config.firewalls.clone(),
            networks: config.networks.clone(),
            stopped: true,
            ..ServerSpec::new(&spec.name, spec.image.clone())
        };
        let build = labels::required(CREATE, &spec.labels, keys::BUILD)?;
        let CreateOutcome { resource, actions, was_existing } =
            self.create_from_image(CREATE, &server, &build).await?;
        let hint = ServerHint::new(&resource, actions, !was_existing);
        self.hints().servers.insert(resource.id, hint);
        Ok(vm::from_hetzner(&resource))
    }

    /// Creates a server from an image with the first placement for which there is capacity.
    /// `idempotency_label` becomes one of its labels and identifies it after a lost response.
    async fn create_from_image(
        &self,
        operation: &str,
        spec: &ServerSpec,
        idempotency_label: &Label,
    ) -> Result<CreateOutcome<Server>> {
        let found = self.client().image(convert::parse_id(&spec.image)?).await?;
        let image = image::from_hetzner(&found);
        if image.status != ImageStatus::Available {
            return Err(Error::new(ErrorKind::Unavailable, operation)
                .with_resource(&spec.image)
                .with_message("the image is not available yet"));
        }
        let request = PlacementRequest {
            architecture: match &found.architecture {
                Some(schema::Architecture::Arm) => Architecture::Aarch64,
                _ => Architecture::X86_64,
            },
            disk: DiskSize::AtLeast(image.disk_size),
            server_types: &spec.server_types,
            memory: self.config().memory,
            locations: &spec.locations,
        };
        let placements = self.placements(request).await?;
        let mut request = CreateServer::new(&spec.name, found.id)
            .labels(labels::to_hetzner(&spec.labels))
            .addresses(spec.addresses);
        let (key, value) = (idempotency_label.key(), idempotency_label.value());
        request.labels.insert(key.to_owned(), value.to_owned());
        request.ssh_keys.clone_from(&spec.ssh_keys);
        request.user_data.clone_from(&spec.user_data);
        request.firewalls.clone_from(&spec.firewalls);
        request.networks.clone_from(&spec.networks);
        if spec.stopped {
            request = request.stopped();
        }
        let silent = Reporter::silent();
        let mut failures = PlacementFailures::new(&silent);
        self.create_server(request, &placements, idempotency_label, &mut failures)
            .await?
            .ok_or_else(|| failures.exhausted(operation, &spec.name))
    }

    async fn wait_running(
        &self,
        made: CreateOutcome<Server>,
    ) -> std::result::Result<Server, crate::Error> {
        let CreateOutcome { resource: server, actions, .. } = made;
        self.client().wait(actions, ACTION_TIMEOUT).await?;
        let selector = Selector::new().exists(NONCE);
        // A server that is off after its start action has run and powered off.
        let statuses = [ServerStatus::Running, ServerStatus::Off];
        let (id, soon) = (server.id, Duration::ZERO);
        self.client().wait_for_server(id, &selector, &statuses, soon, ACTION_TIMEOUT).await
    }
}
