//! Servers.

use serde_json::{Map, Value, json};

use super::super::catalog::{Location, ServerType};
use super::super::clock::Time;
use super::super::wire::{ApiError, Reference};
use super::World;
use super::action::Kind;

/// A server's status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerStatus {
    Initializing,
    Starting,
    Running,
    Stopping,
    Off,
    Rebuilding,
    Migrating,
    Deleting,
}

impl ServerStatus {
    pub(crate) const NAMES: [&str; 9] = [
        "running",
        "initializing",
        "starting",
        "stopping",
        "off",
        "deleting",
        "migrating",
        "rebuilding",
        "unknown",
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Initializing => "initializing",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopping => "stopping",
            Self::Off => "off",
            Self::Rebuilding => "rebuilding",
            Self::Migrating => "migrating",
            Self::Deleting => "deleting",
        }
    }
}

/// One server.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    pub id: u64,
    pub name: String,
    pub status: ServerStatus,
    pub created: Time,
    pub server_type: u64,
    pub location: u64,
    /// The image its disk was made from; it may be gone by now.
    pub made_from: u64,
    pub disk_gb: u64,
    pub ssh_keys: Vec<u64>,
    pub user_data: Option<String>,
    pub labels: Map<String, Value>,
    pub protected: bool,
    pub rescue: bool,
    pub backups: bool,
    /// Whether it is started as soon as it is created.
    pub starts: bool,
    /// Being deleted: not to be found any more, though the action still runs.
    pub deleting: bool,
    pub networks: Vec<u64>,
    pub firewalls: Vec<u64>,
    pub placement_group: Option<u64>,
}

impl World {
    /// A server that is not being deleted.
    ///
    /// # Errors
    /// `not_found`.
    pub(crate) fn server(&self, id: u64) -> Result<&Server, ApiError> {
        let found = self.servers.get(&id).filter(|server| !server.deleting);
        found.ok_or_else(|| ApiError::not_found("server", id))
    }

    pub(crate) fn visible_servers(&self) -> impl Iterator<Item = &Server> {
        self.servers.values().filter(|server| !server.deleting)
    }

    pub(crate) fn with_server(&mut self, id: u64, change: impl FnOnce(&mut Server)) {
        if let Some(server) = self.servers.get_mut(&id) {
            change(server);
        }
    }

    pub(crate) fn type_of(&self, server: &Server) -> &'static ServerType {
        let found = self.catalog.server_type(&Reference::Id(server.server_type));
        found.expect("servers are made of types in the catalog")
    }

    pub(crate) fn location_of(&self, id: u64) -> &'static Location {
        let found = self.catalog.location(&Reference::Id(id));
        found.expect("everything is made in a location of the catalog")
    }

    /// The volumes attached to a server.
    pub(crate) fn volumes_of(&self, server: u64) -> Vec<u64> {
        let attached = self.volumes.values().filter(|v| v.server == Some(server));
        attached.map(|v| v.id).collect()
    }

    pub(crate) fn server_json(&self, server: &Server) -> Value {
        let id = server.id;
        let image = self.images.get(&server.made_from);
        let networks: Vec<_> = server
            .networks
            .iter()
            .map(|network| {
                json!({
                    "network": network, "ip": format!("10.0.0.{}", 2 + id % 250), "alias_ips": [],
                    "mac_address": format!("86:00:00:{:02x}:{:02x}:01", id / 256 % 256, id % 256),
                })
            })
            .collect();
        let group = server.placement_group.and_then(|id| self.extras.get(&id));
        json!({
            "id": id,
            "name": server.name,
            "status": server.status.name(),
            "created": server.created.rfc3339(),
            "public_net": self.public_net_json(server),
            "private_net": networks,
            "server_type": self.catalog.server_type_json(self.type_of(server)),
            "location": self.location_of(server.location).json(),
            "image": image.map(|image| self.image_json(image)),
            "iso": null,
            "rescue_enabled": server.rescue,
            "locked": self.is_locked(Kind::Server, id),
            "backup_window": server.backups.then_some("22-02"),
            "outgoing_traffic": 0,
            "ingoing_traffic": 0,
            "included_traffic": 21_990_232_555_520_u64,
            "protection": {"delete": server.protected, "rebuild": server.protected},
            "labels": server.labels,
            "volumes": self.volumes_of(id),
            "load_balancers": [],
            "primary_disk_size": server.disk_gb,
            "placement_group": group.map(|group| group.json(self)),
        })
    }

    fn public_net_json(&self, server: &Server) -> Value {
        let address = |kind: &str| {
            let mut all = self.primary_ips.values();
            let ip = all.find(|ip| ip.server == Some(server.id) && ip.kind == kind)?;
            Some(json!({
                "id": ip.id,
                "ip": ip.ip,
                "blocked": false,
                "dns_ptr": if kind == "ipv4" { json!(ip.dns_name()) } else { json!([]) },
            }))
        };
        let firewalls: Vec<_> =
            server.firewalls.iter().map(|id| json!({"id": id, "status": "applied"})).collect();
        json!({
            "ipv4": address("ipv4"),
            "ipv6": address("ipv6"),
            "floating_ips": [],
            "firewalls": firewalls,
        })
    }
}
