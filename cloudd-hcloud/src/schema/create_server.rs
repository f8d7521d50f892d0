//! The request body that creates a server.

use std::fmt;

use serde::{Serialize, Serializer};

use super::validate::{check_server_name, check_user_data};
use super::{
    FirewallId, ImageId, Labels, NetworkId, PlacementGroupId, SshKeyId, VolumeId, check_labels,
};
use crate::Error;

/// The body of `POST /servers`. Its debug output contains only the length of the user data.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CreateServer {
    /// The name: a host name, unique in the project.
    pub(crate) name: String,
    /// The type's name.
    server_type: String,
    /// The image's id; names are not unique, as architectures share them.
    image: ImageId,
    /// The location's name.
    location: String,
    /// The keys that may log in. Without any, Hetzner emails a root password for each server.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) ssh_keys: Vec<SshKeyId>,
    /// Volumes of the same location, attached before the server starts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    volumes: Vec<VolumeId>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) networks: Vec<NetworkId>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "firewalls")]
    pub(crate) firewalls: Vec<FirewallId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) placement_group: Option<PlacementGroupId>,
    /// The input of cloud-init, at most [`USER_DATA_BYTES`](super::USER_DATA_BYTES).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) user_data: Option<String>,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
    #[serde(rename = "public_net", skip_serializing_if = "Addresses::is_default")]
    addresses: Addresses,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_after_create: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    automount: Option<bool>,
}

impl CreateServer {
    /// A server without placement that starts at once and has public addresses of both families.
    pub(crate) fn new(name: impl Into<String>, image: ImageId) -> Self {
        Self {
            name: name.into(),
            server_type: String::new(),
            image,
            location: String::new(),
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

    /// Sets the server type and the location.
    pub(crate) fn placement(mut self, server_type: &str, location: &str) -> Self {
        server_type.clone_into(&mut self.server_type);
        location.clone_into(&mut self.location);
        self
    }

    /// Adds a key that may log in.
    pub(crate) fn ssh_key(mut self, key: SshKeyId) -> Self {
        self.ssh_keys.push(key);
        self
    }

    /// Attaches a volume without mounting it.
    pub(crate) fn volume(mut self, volume: VolumeId) -> Self {
        self.volumes.push(volume);
        self.automount = Some(false);
        self
    }

    /// Sets the input of cloud-init. Hetzner stores it, and every process of the guest can read it.
    pub(crate) fn user_data(mut self, user_data: impl Into<String>) -> Self {
        self.user_data = Some(user_data.into());
        self
    }

    /// Sets the labels.
    pub(crate) fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    /// Sets the public addresses.
    pub(crate) fn addresses(mut self, addresses: Addresses) -> Self {
        self.addresses = addresses;
        self
    }

    /// Leaves the server off after its creation.
    pub(crate) fn stopped(mut self) -> Self {
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
            .field("user_data", &user_data)
            .field("labels", &self.labels)
            .finish_non_exhaustive()
    }
}

/// The public addresses of a new server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Addresses {
    /// IPv4 and IPv6.
    #[default]
    Both,
    /// IPv4 only.
    Ipv4,
    /// IPv6 only. Hetzner bills IPv4 addresses.
    Ipv6,
    /// None: the server is reachable only through a private network.
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

/// Writes `[{"firewall": id}]`.
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
    fn unset_fields_are_not_sent() {
        let server = CreateServer::new("s", ImageId(7)).placement("cx23", "fsn1");
        assert_eq!(
            serde_json::to_value(server).unwrap(),
            json!({"name": "s", "server_type": "cx23", "location": "fsn1", "image": 7}),
        );
    }

    #[test]
    fn set_fields_are_sent_and_ids_are_integers() {
        let mut server = CreateServer::new("s", ImageId(7))
            .placement("cx23", "fsn1")
            .ssh_key(SshKeyId(1))
            .volume(VolumeId(2))
            .user_data("#cloud-config\n{}")
            .labels(Labels::from([("a".to_owned(), "b".to_owned())]))
            .addresses(Addresses::Ipv6)
            .stopped();
        server.networks = vec![NetworkId(3)];
        server.firewalls = vec![FirewallId(4)];
        server.placement_group = Some(PlacementGroupId(5));
        assert_eq!(
            serde_json::to_value(server).unwrap(),
            json!({
                "name": "s", "server_type": "cx23", "image": 7, "location": "fsn1", "ssh_keys": [1],
                "volumes": [2], "networks": [3], "firewalls": [{"firewall": 4}], "placement_group": 5,
                "user_data": "#cloud-config\n{}", "labels": {"a": "b"}, "automount": false,
                "public_net": {"enable_ipv4": false, "enable_ipv6": true}, "start_after_create": false,
            }),
        );
    }

    #[test]
    fn debug_output_contains_only_the_length_of_the_user_data() {
        let server =
            CreateServer::new("s", ImageId(7)).placement("cx23", "fsn1").user_data("secret-stuff");
        let debug = format!("{server:?}");
        assert!(debug.contains("[12 bytes]") && !debug.contains("secret"), "{debug}");
    }
}
