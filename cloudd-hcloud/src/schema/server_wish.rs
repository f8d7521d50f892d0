//! The body that creates a server.

use std::fmt;

use serde::{Serialize, Serializer};

use super::label::check_labels;
use super::rules::{check_server_name, check_user_data};
use super::{
    FirewallId, IdOrName, ImageId, Labels, LocationRef, NetworkId, PlacementGroupId, ServerTypeId,
    SshKeyId, VolumeId,
};
use crate::Error;

/// `POST /servers`. Its debug output shows how long the user data is, and nothing of it.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CreateServer {
    /// The name, unique in the project, a host name.
    pub name: String,
    /// The type, by id or name.
    pub server_type: IdOrName<ServerTypeId>,
    /// The image. By id: names are not unique, architectures share them.
    pub image: ImageId,
    /// The location; the API chooses when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub location: Option<LocationRef>,
    /// Keys to let in. Without any, a root password is mailed for every server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ssh_keys: Vec<SshKeyId>,
    /// Volumes of the same location, attached before the server starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<VolumeId>,
    /// Private networks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub networks: Vec<NetworkId>,
    /// Firewalls.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "firewalls")]
    pub firewalls: Vec<FirewallId>,
    /// Placement group.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub placement_group: Option<PlacementGroupId>,
    /// What cloud-init gets; at most [`USER_DATA_BYTES`](super::USER_DATA_BYTES).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_data: Option<String>,
    /// The labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
    /// Public addresses.
    #[serde(rename = "public_net", skip_serializing_if = "Addresses::is_default")]
    pub addresses: Addresses,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_after_create: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    automount: Option<bool>,
}

impl CreateServer {
    /// A server that starts at once, with public addresses of both families.
    pub fn new(
        name: impl Into<String>,
        server_type: impl Into<IdOrName<ServerTypeId>>,
        image: ImageId,
    ) -> Self {
        Self {
            name: name.into(),
            server_type: server_type.into(),
            image,
            location: None,
            ssh_keys: Vec::new(),
            volumes: Vec::new(),
            networks: Vec::new(),
            firewalls: Vec::new(),
            placement_group: None,
            user_data: None,
            labels: Labels::new(),
            addresses: Addresses::Both,
            start_after_create: None,
            automount: None,
        }
    }

    /// Sets the location.
    #[must_use]
    pub fn location(mut self, location: impl Into<LocationRef>) -> Self {
        self.location = Some(location.into());
        self
    }

    /// Adds a key to let in.
    #[must_use]
    pub fn ssh_key(mut self, key: SshKeyId) -> Self {
        self.ssh_keys.push(key);
        self
    }

    /// Attaches a volume, which nothing mounts.
    #[must_use]
    pub fn volume(mut self, volume: VolumeId) -> Self {
        self.volumes.push(volume);
        self.automount = Some(false);
        self
    }

    /// Adds a private network.
    #[must_use]
    pub fn network(mut self, network: NetworkId) -> Self {
        self.networks.push(network);
        self
    }

    /// Adds a firewall.
    #[must_use]
    pub fn firewall(mut self, firewall: FirewallId) -> Self {
        self.firewalls.push(firewall);
        self
    }

    /// Sets the placement group.
    #[must_use]
    pub fn placement_group(mut self, group: PlacementGroupId) -> Self {
        self.placement_group = Some(group);
        self
    }

    /// Sets what cloud-init gets. Stored by Hetzner and readable by every process of the guest.
    #[must_use]
    pub fn user_data(mut self, user_data: impl Into<String>) -> Self {
        self.user_data = Some(user_data.into());
        self
    }

    /// Sets the labels.
    #[must_use]
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// Sets the public addresses.
    #[must_use]
    pub fn addresses(mut self, addresses: Addresses) -> Self {
        self.addresses = addresses;
        self
    }

    /// Leaves the server off after it was created.
    #[must_use]
    pub fn stopped(mut self) -> Self {
        self.start_after_create = Some(false);
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_server_name(&self.name)?;
        check_labels(&self.labels)?;
        self.user_data.as_deref().map_or(Ok(()), check_user_data)
    }
}

impl fmt::Debug for CreateServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user_data = self.user_data.as_ref().map(|text| format!("[{} bytes]", text.len()));
        f.debug_struct("CreateServer")
            .field("name", &self.name)
            .field("server_type", &self.server_type)
            .field("image", &self.image)
            .field("location", &self.location)
            .field("ssh_keys", &self.ssh_keys)
            .field("volumes", &self.volumes)
            .field("user_data", &user_data)
            .field("labels", &self.labels)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// The public addresses that a new server gets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Addresses {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only; IPv4 is billed.
    Ipv6,
    /// None: the server is reached through a private network, or not at all.
    Private,
}

impl Addresses {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Serialize for Addresses {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Wire {
            enable_ipv4: bool,
            enable_ipv6: bool,
        }
        Wire {
            enable_ipv4: matches!(self, Self::Both | Self::Ipv4),
            enable_ipv6: matches!(self, Self::Both | Self::Ipv6),
        }
        .serialize(serializer)
    }
}

/// `[{"firewall": id}]`.
fn firewalls<S: Serializer>(ids: &[FirewallId], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Wire {
        firewall: FirewallId,
    }
    serializer.collect_seq(ids.iter().map(|firewall| Wire { firewall: *firewall }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_set_is_not_sent() {
        let server = CreateServer::new("s", IdOrName::name("cx23"), ImageId(7));
        assert_eq!(
            serde_json::to_value(server).unwrap(),
            json!({"name": "s", "server_type": "cx23", "image": 7}),
        );
    }

    #[test]
    fn everything_that_is_set_is_sent_with_ids_as_integers() {
        let server = CreateServer::new("s", ServerTypeId(114), ImageId(7))
            .location(LocationRef::name("fsn1"))
            .ssh_key(SshKeyId(1))
            .volume(VolumeId(2))
            .network(NetworkId(3))
            .firewall(FirewallId(4))
            .placement_group(PlacementGroupId(5))
            .user_data("#cloud-config\n{}")
            .labels(Labels::from([("a".to_owned(), "b".to_owned())]))
            .addresses(Addresses::Ipv6)
            .stopped();
        assert_eq!(
            serde_json::to_value(server).unwrap(),
            json!({
                "name": "s", "server_type": 114, "image": 7, "location": "fsn1", "ssh_keys": [1], "volumes": [2],
                "networks": [3], "firewalls": [{"firewall": 4}], "placement_group": 5,
                "user_data": "#cloud-config\n{}", "labels": {"a": "b"}, "automount": false,
                "public_net": {"enable_ipv4": false, "enable_ipv6": true}, "start_after_create": false,
            }),
        );
    }

    #[test]
    fn debug_output_says_how_long_the_user_data_is_and_no_more() {
        let server = CreateServer::new("s", ServerTypeId(1), ImageId(7)).user_data("secret-stuff");
        let debug = format!("{server:?}");
        assert!(debug.contains("[12 bytes]") && !debug.contains("secret"), "{debug}");
    }
}
