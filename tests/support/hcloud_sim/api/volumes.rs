//! Volumes: making, naming and deleting them.

use serde_json::{Map, Value, json};

use super::super::guests::Storage;
use super::super::wire::{ApiError, Call, Code, Fields, Listing, Reference, Reply, list};
use super::super::world::{Change, Kind, Resource, Volume, VolumeStatus, World};
use super::volume_actions;

const LISTING: Listing = Listing {
    key: "volumes",
    filters: &["name", "status"],
    sort: &["id", "name", "created"],
    labels: true,
};

/// GB.
pub(super) const SIZES: std::ops::RangeInclusive<u64> = 10..=10_240;

pub(super) fn all(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let all = world.volumes.values();
    list(call, LISTING, all.map(|volume| world.volume_json(volume)).collect())
}

pub(super) fn one(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let volume = world.volume(call.id()?)?;
    Ok(Reply::ok(json!({"volume": world.volume_json(volume)})))
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = world.volume(call.id()?)?.id;
    let mut fields = call.fields()?;
    let (name, labels) = (name(&mut fields), fields.labels());
    fields.check()?;
    if let Some(name) = &name {
        unique_name(world, name, Some(id))?;
    }
    world.with_volume(id, |volume| {
        volume.name = name.unwrap_or_else(|| volume.name.clone());
        volume.labels = labels.unwrap_or_else(|| volume.labels.clone());
    });
    one(world, call)
}

pub(super) fn delete(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let volume = world.volume(call.id()?)?;
    let (id, server) = (volume.id, volume.server);
    if volume.protected {
        return Err(ApiError::protected("volume"));
    }
    world.unlocked(Kind::Volume, id)?;
    // Which code the live API gives here is not documented.
    if let Some(server) = server {
        world.unlocked(Kind::Server, server).map_err(|_| ApiError::locked("volume"))?;
        return Err(ApiError::new(Code::SERVICE, "volume is still attached to a server"));
    }
    world.volumes.remove(&id);
    world.guests.storage(Storage::VolumeGone { volume: id }).unwrap_or_default();
    Ok(Reply::gone())
}

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let request = Request::read(call)?;
    let location = request.location(world)?;
    unique_name(world, &request.name, None)?;
    if world.volumes.len() >= world.quotas.volumes {
        return Err(ApiError::limit("volume_limit"));
    }
    if let Some(server) = request.server {
        volume_actions::can_take_another(world, server)?;
        world.unlocked(Kind::Server, server)?;
    }
    if world.location_of(location).volumes_full {
        return Err(ApiError::new(Code::NO_SPACE, "no space left in location"));
    }

    let id = world.new_id(Kind::Volume);
    let volume = Volume {
        id,
        name: request.name,
        status: VolumeStatus::Creating,
        created: world.now,
        gb: request.gb,
        location,
        server: None,
        format: request.format,
        labels: request.labels,
        protected: false,
    };
    world.volumes.insert(id, volume);
    let takes = world.durations.create_volume;
    let action =
        world.begin("create_volume", &[Resource::volume(id)], takes, Change::VolumeCreated(id));
    let mut next = Vec::new();
    if let Some(server) = request.server {
        let attach = volume_actions::begin_attach(world, id, server, action);
        next.push(world.action_json(attach));
    }
    let volume = world.volume(id)?;
    Ok(Reply::created(json!({
        "volume": world.volume_json(volume),
        "action": world.action_json(action),
        "next_actions": next,
    })))
}

/// A checked request for a volume.
struct Request {
    name: String,
    gb: u64,
    location: Option<Reference>,
    server: Option<u64>,
    format: Option<String>,
    labels: Map<String, Value>,
}

impl Request {
    fn read(call: &Call) -> Result<Self, ApiError> {
        let mut fields = call.fields()?;
        let name = name(&mut fields);
        let name = fields.required("name", name).unwrap_or_default();
        let gb = fields.integer("size");
        let gb = fields.required("size", gb).unwrap_or_default();
        size(&mut fields, gb);
        let (location, server) = (fields.reference("location"), fields.integer("server"));
        match (&location, server) {
            (Some(_), Some(_)) => {
                fields.problem("location", "must not be given together with server");
            }
            (None, None) if !fields.has("location") && !fields.has("server") => {
                fields.problem("location", "location or server is required");
            }
            _ => {}
        }
        let format = fields.string("format");
        if format.as_deref().is_some_and(|format| !matches!(format, "xfs" | "ext4")) {
            fields.problem("format", "must be 'xfs' or 'ext4'");
        }
        if fields.boolean("automount") == Some(true) && server.is_none() {
            fields.problem("automount", "requires server");
        }
        let labels = fields.labels().unwrap_or_default();
        fields.check()?;
        Ok(Self { name, gb, location, server, format, labels })
    }

    fn location(&self, world: &World) -> Result<u64, ApiError> {
        match (&self.location, self.server) {
            (Some(reference), _) => {
                let found = world.catalog.location(reference);
                found
                    .map(|location| location.id)
                    .ok_or_else(|| ApiError::input("location not found"))
            }
            (None, server) => {
                let server = world.server(server.unwrap_or_default());
                server
                    .map(|server| server.location)
                    .map_err(|_| ApiError::input("server not found"))
            }
        }
    }
}

/// A volume's name: 1 to 64 characters, letters and digits at both ends, `-`, `_`, `.` between.
fn name(fields: &mut Fields) -> Option<String> {
    let name = fields.string("name")?;
    let end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.len() > 64
        || !end(name.chars().next())
        || !end(name.chars().last())
        || !name.chars().all(inside)
    {
        fields.problem("name", "is not a valid volume name");
    }
    Some(name)
}

/// Notes a size out of the range.
pub(super) fn size(fields: &mut Fields, gb: u64) {
    if fields.has("size") && gb < *SIZES.start() {
        fields.problem("size", format!("must be at least {}", SIZES.start()));
    } else if gb > *SIZES.end() {
        fields.problem("size", format!("must be at most {}", SIZES.end()));
    }
}

fn unique_name(world: &World, name: &str, own: Option<u64>) -> Result<(), ApiError> {
    let taken = |volume: &Volume| volume.name == name && Some(volume.id) != own;
    if world.volumes.values().any(taken) {
        return Err(ApiError::taken("volume", "name"));
    }
    Ok(())
}
