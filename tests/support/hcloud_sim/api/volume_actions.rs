//! Attaching, detaching, growing and protecting volumes.

use serde_json::json;

use super::super::wire::{ApiError, Call, Code, Reply};
use super::super::world::{Change, Kind, Resource, World};
use super::volumes;

/// Volumes a server can have.
pub(super) const MAX_PER_SERVER: usize = 16;

pub(super) fn attach(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = world.volume(call.id()?)?.id;
    let mut fields = call.fields()?;
    let server = fields.integer("server");
    let server = fields.required("server", server).unwrap_or_default();
    fields.boolean("automount");
    fields.check()?;
    world.server(server).map_err(|_| ApiError::input("server not found"))?;
    attachable(world, id, world.servers[&server].location)?;
    can_take_another(world, server)?;
    world.unlocked(Kind::Volume, id)?;
    world.unlocked(Kind::Server, server)?;

    let about = [Resource::server(server), Resource::volume(id)];
    let takes = world.durations.attach_volume;
    let change = Change::VolumeAttached { volume: id, server };
    let action = world.begin("attach_volume", &about, takes, change);
    Ok(Reply::created(json!({"action": world.action_json(action)})))
}

/// Attaches as soon as another action has ended.
pub(super) fn begin_attach(world: &mut World, volume: u64, server: u64, after: u64) -> u64 {
    let about = [Resource::server(server), Resource::volume(volume)];
    let takes = world.durations.attach_volume;
    let change = Change::VolumeAttached { volume, server };
    world.begin_after(after, "attach_volume", &about, takes, change)
}

/// Refuses a volume that is attached already, or is somewhere else.
pub(super) fn attachable(world: &World, volume: u64, location: u64) -> Result<(), ApiError> {
    let volume = world.volume(volume).map_err(|_| ApiError::input("volume not found"))?;
    if volume.server.is_some() {
        return Err(ApiError::new(Code::VOLUME_ATTACHED, "volume is already attached to a server"));
    }
    if volume.location != location {
        return Err(ApiError::input("volume and server must be in the same location"));
    }
    Ok(())
}

/// Refuses one volume more than a server takes.
pub(super) fn can_take_another(world: &World, server: u64) -> Result<(), ApiError> {
    if world.volumes_of(server).len() >= MAX_PER_SERVER {
        let message = format!("a server can have at most {MAX_PER_SERVER} volumes");
        return Err(ApiError::new(Code::LIMIT_EXCEEDED, message));
    }
    Ok(())
}

pub(super) fn detach(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let volume = world.volume(call.id()?)?;
    let (id, server) = (volume.id, volume.server);
    call.fields_or_none()?;
    world.unlocked(Kind::Volume, id)?;
    let Some(server) = server else {
        return Err(ApiError::new(Code::SERVICE, "volume is not attached to a server"));
    };
    world.unlocked(Kind::Server, server)?;
    let about = [Resource::server(server), Resource::volume(id)];
    let takes = world.durations.detach_volume;
    let action = world.begin("detach_volume", &about, takes, Change::VolumeDetached(id));
    Ok(Reply::created(json!({"action": world.action_json(action)})))
}

pub(super) fn resize(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let volume = world.volume(call.id()?)?;
    let (id, now) = (volume.id, volume.gb);
    let mut fields = call.fields()?;
    let gb = fields.integer("size");
    let gb = fields.required("size", gb).unwrap_or_default();
    volumes::size(&mut fields, gb);
    if fields.has("size") && gb <= now {
        fields.problem("size", "must be larger than the current size");
    }
    fields.check()?;
    world.unlocked(Kind::Volume, id)?;
    let takes = world.durations.resize_volume;
    let change = Change::VolumeResized { volume: id, gb };
    let action = world.begin("resize_volume", &[Resource::volume(id)], takes, change);
    Ok(Reply::created(json!({"action": world.action_json(action)})))
}

pub(super) fn change_protection(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let volume = world.volume(call.id()?)?;
    let (id, protected) = (volume.id, volume.protected);
    let mut fields = call.fields()?;
    let on = fields.boolean("delete").unwrap_or(protected);
    fields.check()?;
    world.unlocked(Kind::Volume, id)?;
    let (about, takes) = (Resource::volume(id), world.durations.other);
    let action = world.begin("change_protection", &[about], takes, Change::Protected(about, on));
    Ok(Reply::created(json!({"action": world.action_json(action)})))
}
