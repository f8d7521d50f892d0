//! Primary IPs.

use serde_json::json;

use super::super::wire::{ApiError, Call, Code, Listing, Reply, list};
use super::super::world::World;

const LISTING: Listing = Listing {
    key: "primary_ips",
    filters: &["name", "ip", "type"],
    sort: &["id", "created"],
    labels: true,
};

pub(super) fn all(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let all = world.primary_ips.values();
    list(call, LISTING, all.map(|ip| world.primary_ip_json(ip)).collect())
}

pub(super) fn one(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let ip = world.primary_ip(call.id()?)?;
    Ok(Reply::ok(json!({"primary_ip": world.primary_ip_json(ip)})))
}

/// An address of its own, without a server.
pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let mut fields = call.fields()?;
    let name = fields.string("name");
    let name = fields.required("name", name).unwrap_or_default();
    let kind = fields.string("type");
    let kind = match fields.required("type", kind).as_deref() {
        Some("ipv6") => "ipv6",
        Some("ipv4") | None => "ipv4",
        Some(_) => {
            fields.problem("type", "must be 'ipv4' or 'ipv6'");
            "ipv4"
        }
    };
    let location = fields.reference("location");
    let location = fields.required("location", location);
    let auto_delete = fields.boolean("auto_delete").unwrap_or(false);
    let labels = fields.labels().unwrap_or_default();
    fields.check()?;
    let location = location.and_then(|reference| world.catalog.location(&reference));
    let location = location.ok_or_else(|| ApiError::input("location not found"))?.id;
    if world.primary_ips.values().any(|ip| ip.name == name) {
        return Err(ApiError::taken("primary IP", "name"));
    }
    let id = world.new_primary_ip(kind, location, None);
    if let Some(ip) = world.primary_ips.get_mut(&id) {
        ip.name = name;
        ip.labels = labels;
        ip.auto_delete = auto_delete;
    }
    let ip = world.primary_ip(id)?;
    Ok(Reply::created(json!({"primary_ip": world.primary_ip_json(ip), "action": null})))
}

pub(super) fn delete(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let ip = world.primary_ip(call.id()?)?;
    if ip.server.is_some() {
        return Err(ApiError::new(
            Code("must_be_unassigned", 422),
            "primary IP is assigned to a server",
        ));
    }
    let id = ip.id;
    world.primary_ips.remove(&id);
    Ok(Reply::gone())
}
