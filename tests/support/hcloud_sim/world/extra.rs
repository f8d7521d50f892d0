//! Networks, firewalls and placement groups: kept as they were described, put on servers.

use serde_json::{Map, Value, json};

use super::super::clock::Time;
use super::super::wire::ApiError;
use super::World;
use super::action::Kind;

/// One network, firewall or placement group.
#[derive(Debug, Clone)]
pub(crate) struct Extra {
    pub id: u64,
    pub kind: Kind,
    pub name: String,
    pub labels: Map<String, Value>,
    pub created: Time,
    /// `ip_range`, `subnets`, `rules` or `type`, as sent.
    pub described: Map<String, Value>,
}

impl Extra {
    pub(crate) fn json(&self, world: &World) -> Value {
        let servers: Vec<u64> = self.users(world);
        let mut shown = self.described.clone();
        let mut put = |key: &str, value: Value| shown.insert(key.to_owned(), value);
        put("id", json!(self.id));
        put("name", json!(self.name));
        put("labels", json!(self.labels));
        put("created", json!(self.created.rfc3339()));
        match self.kind {
            Kind::Network => {
                put("servers", json!(servers));
                put("load_balancers", json!([]));
                put("routes", json!([]));
                put("protection", json!({"delete": false}));
                put("expose_routes_to_vswitch", json!(false));
            }
            Kind::Firewall => {
                let applied =
                    servers.iter().map(|id| json!({"type": "server", "server": {"id": id}}));
                put("applied_to", applied.collect());
            }
            _ => {
                put("servers", json!(servers));
            }
        }
        Value::Object(shown)
    }

    /// The servers which use it.
    pub(crate) fn users(&self, world: &World) -> Vec<u64> {
        let uses = world.visible_servers().filter(|server| match self.kind {
            Kind::Network => server.networks.contains(&self.id),
            Kind::Firewall => server.firewalls.contains(&self.id),
            _ => server.placement_group == Some(self.id),
        });
        uses.map(|server| server.id).collect()
    }
}

impl World {
    /// # Errors
    /// `not_found`.
    pub(crate) fn extra(&self, kind: Kind, id: u64) -> Result<&Extra, ApiError> {
        let found = self.extras.get(&id).filter(|extra| extra.kind == kind);
        found.ok_or_else(|| ApiError::not_found(kind.name(), id))
    }
}
