//! Asking after actions, one at a time or many.

use std::collections::BTreeSet;

use serde_json::json;

use super::super::wire::{ApiError, Call, Listing, Reply, list};
use super::super::world::{Kind, Resource, World};

const LISTING: Listing = Listing {
    key: "actions",
    filters: &["id", "status"],
    sort: &["id", "command", "status", "progress", "started", "finished"],
    labels: false,
};

/// `GET /actions?id=…&id=…`: unknown ids are left out, there is no `meta`, and no more than a
/// page is answered.
pub(super) fn by_ids(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    if call.query("id").is_none() {
        let message = "listing all actions was removed, ask by id";
        return Err(ApiError::deprecated(message, "2025-01-30-actions-removed"));
    }
    let mut wanted = BTreeSet::new();
    for id in call.query_all("id") {
        let id = id.parse::<u64>();
        wanted.insert(id.map_err(|_| ApiError::field("id", "must be an integer"))?);
    }
    let known = wanted.iter().filter_map(|id| world.actions.get(id));
    let known = known.map(|action| action.json(world.now)).collect();
    let mut reply = list(call, LISTING, known)?;
    reply.link = None;
    if let Some(body) = reply.body.as_mut().and_then(|body| body.as_object_mut()) {
        body.remove("meta");
    }
    Ok(reply)
}

/// `GET /actions/{id}`.
pub(super) fn one(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    shown(world, call.id()?, |_| true)
}

/// `GET /servers/actions` and the like.
pub(super) fn of_kind(world: &mut World, call: &Call, kind: Kind) -> Result<Reply, ApiError> {
    list(call, LISTING, world.actions_of(kind, None))
}

/// `GET /servers/actions/{id}` and the like.
pub(super) fn one_of_kind(world: &mut World, call: &Call, kind: Kind) -> Result<Reply, ApiError> {
    shown(world, call.id()?, |resource| resource.kind == kind)
}

/// `GET /servers/{id}/actions` and the like.
pub(super) fn of_resource(world: &mut World, call: &Call, kind: Kind) -> Result<Reply, ApiError> {
    let id = call.id()?;
    match kind {
        Kind::Server => world.server(id).map(drop)?,
        Kind::Volume => world.volume(id).map(drop)?,
        _ => world.image(id).map(drop)?,
    }
    list(call, LISTING, world.actions_of(kind, Some(id)))
}

/// `GET /servers/{id}/actions/{action_id}` and the like: deprecated, still answered.
pub(super) fn one_of_resource(
    world: &mut World,
    call: &Call,
    kind: Kind,
) -> Result<Reply, ApiError> {
    let about = Resource { kind, id: call.id()? };
    shown(world, call.numeric_param(1)?, |resource| *resource == about)
}

fn shown(world: &World, id: u64, about: impl Fn(&Resource) -> bool) -> Result<Reply, ApiError> {
    let found = world.actions.get(&id);
    let found = found.filter(|action| action.resources.iter().any(about));
    let action = found.ok_or_else(|| ApiError::not_found("action", id))?;
    Ok(Reply::ok(json!({"action": action.json(world.now)})))
}
