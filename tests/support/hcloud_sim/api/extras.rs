//! Networks, firewalls and placement groups: enough to put servers into them.

use serde_json::{Map, Value, json};

use super::super::wire::{ApiError, Call, Code, Fields, Listing, Reply, list};
use super::super::world::{Extra, Kind, World};

/// Fields of the description that are kept as they come.
const KEPT: [&str; 4] = ["ip_range", "subnets", "rules", "type"];

pub(super) fn all(world: &mut World, call: &Call, kind: Kind) -> Result<Reply, ApiError> {
    let listing = Listing {
        key: plural(kind),
        filters: &["name", "type"],
        sort: &["id", "name", "created"],
        labels: true,
    };
    let all = world.extras.values().filter(|extra| extra.kind == kind);
    list(call, listing, all.map(|extra| extra.json(world)).collect())
}

pub(super) fn one(world: &mut World, call: &Call, kind: Kind) -> Result<Reply, ApiError> {
    let extra = world.extra(kind, call.id()?)?;
    Ok(Reply::ok(json!({kind.name(): extra.json(world)})))
}

pub(super) fn create(world: &mut World, call: &Call, kind: Kind) -> Result<Reply, ApiError> {
    let mut fields = call.fields()?;
    let name = fields.string("name");
    let name = fields.required("name", name).unwrap_or_default();
    let labels = fields.labels().unwrap_or_default();
    match kind {
        Kind::Network if !fields.has("ip_range") => {
            fields.problem("ip_range", "Missing data for required field.");
        }
        Kind::PlacementGroup if fields.string("type").as_deref() != Some("spread") => {
            fields.problem("type", "must be 'spread'");
        }
        _ => {}
    }
    fields.check()?;
    unique_name(world, kind, &name, None)?;

    let id = world.new_id(kind);
    let extra =
        Extra { id, kind, name, labels, created: world.now, described: described(&fields, kind) };
    world.extras.insert(id, extra);
    let mut body = json!({kind.name(): world.extra(kind, id)?.json(world)});
    match kind {
        Kind::Firewall => body["actions"] = json!([]),
        Kind::PlacementGroup => body["action"] = Value::Null,
        _ => {}
    }
    Ok(Reply::created(body))
}

fn described(fields: &Fields, kind: Kind) -> Map<String, Value> {
    let mut described = Map::new();
    for name in KEPT {
        if let Some(value) = fields.value(name) {
            described.insert(name.to_owned(), value.clone());
        }
    }
    let list = match kind {
        Kind::Network => "subnets",
        Kind::Firewall => "rules",
        _ => return described,
    };
    described.entry(list).or_insert_with(|| json!([]));
    described
}

pub(super) fn update(world: &mut World, call: &Call, kind: Kind) -> Result<Reply, ApiError> {
    let id = world.extra(kind, call.id()?)?.id;
    let mut fields = call.fields()?;
    let (name, labels) = (fields.string("name"), fields.labels());
    fields.check()?;
    if let Some(name) = &name {
        unique_name(world, kind, name, Some(id))?;
    }
    if let Some(extra) = world.extras.get_mut(&id) {
        extra.name = name.unwrap_or_else(|| extra.name.clone());
        extra.labels = labels.unwrap_or_else(|| extra.labels.clone());
    }
    one(world, call, kind)
}

pub(super) fn delete(world: &mut World, call: &Call, kind: Kind) -> Result<Reply, ApiError> {
    let extra = world.extra(kind, call.id()?)?;
    if kind == Kind::Firewall && !extra.users(world).is_empty() {
        return Err(ApiError::new(Code("resource_in_use", 422), "firewall is still in use"));
    }
    let id = extra.id;
    world.extras.remove(&id);
    for server in world.servers.values_mut() {
        server.networks.retain(|network| *network != id);
        server.placement_group = server.placement_group.filter(|group| *group != id);
    }
    Ok(Reply::gone())
}

/// A list of a product the simulator has none of.
pub(super) fn none(call: &Call, key: &'static str) -> Result<Reply, ApiError> {
    let listing = Listing { key, filters: &[], sort: &["id", "name", "created"], labels: false };
    list(call, listing, Vec::new())
}

fn unique_name(world: &World, kind: Kind, name: &str, own: Option<u64>) -> Result<(), ApiError> {
    let taken = |extra: &Extra| extra.kind == kind && extra.name == name && Some(extra.id) != own;
    if world.extras.values().any(taken) {
        return Err(ApiError::taken(kind.name(), "name"));
    }
    Ok(())
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Network => "networks",
        Kind::Firewall => "firewalls",
        _ => "placement_groups",
    }
}
