//! Server types, locations and prices.

use serde_json::json;

use super::super::catalog::Location;
use super::super::wire::{ApiError, Call, Listing, Reference, Reply, list};
use super::super::world::World;

pub(super) fn server_types(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let listing = Listing { key: "server_types", filters: &["name"], sort: &[], labels: false };
    let all = world.catalog.server_types().iter();
    list(call, listing, all.map(|t| world.catalog.server_type_json(t)).collect())
}

pub(super) fn server_type(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = call.id()?;
    let found = world.catalog.server_type(&Reference::Id(id));
    let found = found.ok_or_else(|| ApiError::not_found("server_type", id))?;
    Ok(Reply::ok(json!({"server_type": world.catalog.server_type_json(found)})))
}

pub(super) fn locations(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let listing =
        Listing { key: "locations", filters: &["name"], sort: &["id", "name"], labels: false };
    let all = world.catalog.locations().iter();
    list(call, listing, all.map(Location::json).collect())
}

pub(super) fn location(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = call.id()?;
    let found = world.catalog.location(&Reference::Id(id));
    let found = found.ok_or_else(|| ApiError::not_found("location", id))?;
    Ok(Reply::ok(json!({"location": found.json()})))
}

pub(super) fn pricing(world: &mut World, _: &Call) -> Result<Reply, ApiError> {
    Ok(Reply::ok(world.catalog.pricing_json()))
}

/// Removed on 2026-10-01.
pub(super) fn datacenters(_: &mut World, _: &Call) -> Result<Reply, ApiError> {
    let message = "API functionality was removed";
    Err(ApiError::deprecated(message, "2026-10-01-datacenters-removed"))
}
