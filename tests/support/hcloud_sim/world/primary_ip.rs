//! Primary IPs: one of each family comes with a server and goes with it, unless made apart.

use serde_json::{Map, Value, json};

use super::super::clock::Time;
use super::super::wire::ApiError;
use super::World;
use super::action::Kind;

/// One primary IP.
#[derive(Debug, Clone)]
pub(crate) struct PrimaryIp {
    pub id: u64,
    pub name: String,
    /// `ipv4` or `ipv6`.
    pub kind: &'static str,
    /// An address, or a /64 prefix.
    pub ip: String,
    pub server: Option<u64>,
    pub auto_delete: bool,
    pub location: u64,
    pub labels: Map<String, Value>,
    pub created: Time,
}

impl PrimaryIp {
    /// What the address resolves to.
    pub(crate) fn dns_name(&self) -> String {
        let mut parts: Vec<_> = self.ip.split('.').collect();
        parts.reverse();
        format!("static.{}.clients.example", parts.join("."))
    }
}

impl World {
    /// Makes an address of a family.
    pub(crate) fn new_primary_ip(
        &mut self,
        kind: &'static str,
        location: u64,
        server: Option<u64>,
    ) -> u64 {
        let id = self.new_id(Kind::PrimaryIp);
        let ip = match kind {
            "ipv4" => self.new_ipv4().to_string(),
            _ => self.new_ipv6(),
        };
        let primary_ip = PrimaryIp {
            id,
            name: format!("primary_ip-{id}"),
            kind,
            ip,
            server,
            auto_delete: server.is_some(),
            location,
            labels: Map::new(),
            created: self.now,
        };
        self.primary_ips.insert(id, primary_ip);
        id
    }

    /// # Errors
    /// `not_found`.
    pub(crate) fn primary_ip(&self, id: u64) -> Result<&PrimaryIp, ApiError> {
        self.primary_ips.get(&id).ok_or_else(|| ApiError::not_found("primary_ip", id))
    }

    pub(crate) fn primary_ip_json(&self, of: &PrimaryIp) -> Value {
        let names = match of.kind {
            "ipv4" => json!([{"ip": of.ip, "dns_ptr": of.dns_name()}]),
            _ => json!([]),
        };
        json!({
            "id": of.id,
            "name": of.name,
            "type": of.kind,
            "ip": of.ip,
            "assignee_id": of.server,
            "assignee_type": "server",
            "auto_delete": of.auto_delete,
            "blocked": false,
            "dns_ptr": names,
            "location": self.location_of(of.location).json(),
            "protection": {"delete": false},
            "labels": of.labels,
            "created": of.created.rfc3339(),
        })
    }
}
