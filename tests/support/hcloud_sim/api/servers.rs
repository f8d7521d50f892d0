//! Servers: listing, naming and deleting them.

use serde_json::json;

use super::super::wire::{ApiError, Call, Fields, Listing, Reply, list};
use super::super::world::{Change, Kind, Resource, ServerStatus, World};

const LISTING: Listing = Listing {
    key: "servers",
    filters: &["name", "status"],
    sort: &["id", "name", "created"],
    labels: true,
};

pub(super) fn all(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let unknown = |status: &&str| !ServerStatus::NAMES.contains(status);
    if let Some(status) = call.query_all("status").find(unknown) {
        return Err(ApiError::field("status", format!("unknown status '{status}'")));
    }
    let all = world.visible_servers();
    list(call, LISTING, all.map(|server| world.server_json(server)).collect())
}

pub(super) fn one(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let server = world.server(call.id()?)?;
    Ok(Reply::ok(json!({"server": world.server_json(server)})))
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = world.server(call.id()?)?.id;
    let mut fields = call.fields()?;
    let (name, labels) = (name(&mut fields), fields.labels());
    fields.check()?;
    if let Some(name) = &name {
        unique_name(world, name, Some(id))?;
    }
    world.with_server(id, |server| {
        server.name = name.unwrap_or_else(|| server.name.clone());
        server.labels = labels.unwrap_or_else(|| server.labels.clone());
    });
    one(world, call)
}

/// The server is not to be found from now on; its volumes are free when the action has ended.
pub(super) fn delete(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let server = world.server(call.id()?)?;
    let id = server.id;
    if server.protected {
        return Err(ApiError::protected("server"));
    }
    world.unlocked(Kind::Server, id)?;
    world.with_server(id, |server| {
        server.deleting = true;
        server.status = ServerStatus::Deleting;
    });
    let takes = world.durations.delete_server;
    let action =
        world.begin("delete_server", &[Resource::server(id)], takes, Change::ServerDeleted(id));
    Ok(Reply::ok(json!({"action": world.action_json(action)})))
}

/// A server's name: a hostname after RFC 1123, at most 253 characters, no underscore.
pub(super) fn name(fields: &mut Fields) -> Option<String> {
    let name = fields.string("name")?;
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if name.len() > 253 || !name.split('.').all(label) {
        fields.problem("name", "is not a valid hostname");
    }
    Some(name)
}

pub(super) fn unique_name(world: &World, name: &str, own: Option<u64>) -> Result<(), ApiError> {
    let taken = world.visible_servers().any(|s| s.name == name && Some(s.id) != own);
    if taken { Err(ApiError::server_name_taken()) } else { Ok(()) }
}
