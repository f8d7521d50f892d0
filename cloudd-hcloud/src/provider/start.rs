//! Servers that begin with an image, in one call.

use std::fmt;

use cloudd_core::provider::{
    Architecture, BootSpec, BuildId, Error, ErrorKind, ImageId, ImageStatus, Labels, Result, Vm,
};

use super::choice::{self, Disk, Want};
use super::{ACTION, Hcloud, image, image_id, labels, lease, vm};
use crate::client::{ActionWait, Made};
use crate::schema::{
    self, Addresses, CreateServer, IdOrName, Label, LocationRef, Server, ServerStatus, SshKeyId,
    Timestamp,
};

/// Tells the server of one call from all others, should its answer be lost.
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
}

impl ServerSpec {
    /// A server of this name, of the cheapest type and in the first location where the image fits.
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
        }
    }

    /// Adds a server type by name, to be tried after those added before.
    pub fn server_type(mut self, name: impl Into<String>) -> Self {
        self.server_types.push(name.into());
        self
    }

    /// Adds a location by name, to be tried after those added before.
    pub fn location(mut self, name: impl Into<String>) -> Self {
        self.locations.push(name.into());
        self
    }

    /// Adds an SSH key of the project. Without any, Hetzner mails a root password.
    pub fn ssh_key(mut self, key: SshKeyId) -> Self {
        self.ssh_keys.push(key);
        self
    }

    /// User data for cloud-init in the image, if it has it; at most 32,768 bytes.
    pub fn user_data(mut self, user_data: impl Into<String>) -> Self {
        self.user_data = Some(user_data.into());
        self
    }

    /// Its labels.
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// Its public addresses; default both.
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.addresses = addresses;
        self
    }
}

// By hand: user data can hold keys and passwords.
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

/// What a server is created from, and where it may be.
struct Order {
    image: ImageId,
    server_types: Vec<String>,
    locations: Vec<String>,
    /// By which it is known after a lost answer.
    mine: Label,
}

impl Hcloud {
    /// Creates a server from an image to see whether it boots, off, where there is room for it.
    pub(super) async fn new_server_from_image(&self, spec: &BootSpec) -> Result<Vm> {
        const CREATE: &str = "create server from image";
        let key = lease::key(CREATE, spec.lease.as_ref())?;
        let mine = labels::build_label(CREATE, &spec.labels)?;
        let build = mine.value().to_owned();
        let config = self.config();
        let order = Order {
            image: spec.image.clone(),
            server_types: config.server_types.clone(),
            locations: config.locations.clone(),
            mine,
        };
        let own = labels::to_hetzner(&spec.labels);
        let made = self
            .place(CREATE, &spec.name, order, |wish| {
                let mut wish =
                    wish.labels(own.clone()).addresses(config.addresses).ssh_key(key).stopped();
                wish.firewalls.clone_from(&config.firewalls);
                wish.networks.clone_from(&config.networks);
                wish
            })
            .await?;
        self.known().note_server(&made.resource, &build, made.actions, made.origin);
        Ok(vm::of(&made.resource))
    }

    /// Starts a server from an image and returns when it runs, or is off again because its system
    /// has ended by itself. One that does not come to run is deleted again.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an unknown type or location, or one that the
    /// image does not fit; [`Unavailable`](ErrorKind::Unavailable) with what was tried when there
    /// is no room; [`AlreadyExists`](ErrorKind::AlreadyExists) for a taken name.
    pub async fn start_server(&self, spec: ServerSpec) -> Result<Server> {
        const START: &str = "start server from image";
        let nonce = Label::new(NONCE, BuildId::random().as_str())?;
        let mut own = labels::to_hetzner(&spec.labels);
        own.insert(nonce.key().to_owned(), nonce.value().to_owned());
        let order = Order {
            image: spec.image.clone(),
            server_types: spec.server_types.clone(),
            locations: spec.locations.clone(),
            mine: nonce,
        };
        let made = self
            .place(START, &spec.name, order, |wish| {
                let mut wish = wish.labels(own.clone()).addresses(spec.addresses);
                wish.ssh_keys.clone_from(&spec.ssh_keys);
                wish.user_data.clone_from(&spec.user_data);
                wish
            })
            .await?;
        self.running(made.resource, made.actions).await
    }

    /// Creates a server in the first place that has room for it.
    async fn place(
        &self,
        operation: &str,
        name: &str,
        order: Order,
        complete: impl Fn(CreateServer) -> CreateServer,
    ) -> Result<Made<Server>> {
        let found = self.client().image(image_id(&order.image)?).await?;
        let image = image::of(&found);
        if image.status != ImageStatus::Available {
            return Err(Error::new(ErrorKind::Unavailable, operation)
                .with_resource(&order.image)
                .with_message("the image is not available yet"));
        }
        let architecture = match &found.architecture {
            Some(schema::Architecture::Arm) => Architecture::Aarch64,
            _ => Architecture::X86_64,
        };
        let mut config = self.config().clone();
        config.server_types = order.server_types;
        config.locations = order.locations;
        let types = self.catalog().server_types(self.client()).await?;
        let want = Want { architecture, disk: Disk::From(image.disk_size) };
        let places = choice::places(&types, &config, &want, Timestamp::now())?;
        let mut tried = Vec::new();
        for place in places {
            let server_type = IdOrName::name(&place.server_type);
            let wish = CreateServer::new(name, server_type, found.id)
                .location(LocationRef::name(&place.location));
            match self.client().create_server(&complete(wish), &order.mine).await {
                Ok(made) => return Ok(made),
                Err(error) if error.kind() == crate::ErrorKind::NoCapacity => {
                    let code = error.code().map_or("refused", |code| code.as_str());
                    tried.push(format!("{} in {}: {code}", place.server_type, place.location));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, operation)
            .with_resource(name)
            .with_message(format_args!("there is no room; tried {}", tried.join("; "))))
    }

    async fn running(&self, server: Server, actions: Vec<schema::Action>) -> Result<Server> {
        let wait = async {
            self.client().wait(ActionWait::new(actions, ACTION)).await?;
            let selector = schema::Selector::new().exists(NONCE);
            let mut watch =
                self.client().watch_server(server.id, &selector, std::time::Duration::ZERO);
            loop {
                let server = watch.changed(ACTION).await?;
                // Off after its start has ended: it ran, and ended by itself.
                if matches!(server.status, ServerStatus::Running | ServerStatus::Off) {
                    return Ok::<_, crate::Error>(server);
                }
            }
        };
        match wait.await {
            Ok(server) => Ok(server),
            Err(error) => {
                if let Err(left) = self.client().delete_server(server.id).await {
                    tracing::warn!(server = %vm::of(&server).id, error = %left, "left behind");
                }
                Err(error.into())
            }
        }
    }
}
