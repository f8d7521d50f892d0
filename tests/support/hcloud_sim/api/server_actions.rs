//! Power, rescue, rebuilding and the other actions of a server.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::wire::{ApiError, Call, Code, Reply};
use super::super::world::{Change, ImageStatus, Kind, Resource, ServerStatus, World};

pub(super) fn power_on(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let takes = world.durations.start_server;
    begin(world, call, "start_server", takes, |world, id| {
        world.with_server(id, |server| {
            if server.status == ServerStatus::Off {
                server.status = ServerStatus::Starting;
            }
        });
        Change::ServerStarted(id)
    })
}

pub(super) fn power_off(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let takes = world.durations.stop_server;
    begin(world, call, "stop_server", takes, |world, id| {
        world.with_server(id, |server| {
            if server.status == ServerStatus::Running {
                server.status = ServerStatus::Stopping;
            }
        });
        Change::ServerStopped(id)
    })
}

/// The action ends when the signal is sent; whether the guest obeys is another matter.
pub(super) fn shutdown(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let takes = world.durations.shutdown_server;
    begin(world, call, "shutdown_server", takes, |_, id| Change::ServerSignalled(id))
}

pub(super) fn reboot(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let takes = world.durations.reset_server;
    begin(world, call, "reboot_server", takes, |_, id| Change::ServerReset(id))
}

pub(super) fn reset(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let takes = world.durations.reset_server;
    begin(world, call, "reset_server", takes, |_, id| Change::ServerReset(id))
}

pub(super) fn enable_rescue(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let mut fields = call.fields()?;
    if fields.string("type").is_some_and(|kind| kind != "linux64") {
        fields.problem("type", "must be 'linux64'");
    }
    let keys = fields.ids("ssh_keys");
    fields.check()?;
    if keys.iter().any(|key| !world.ssh_keys.contains_key(key)) {
        return Err(ApiError::input("SSH key not found"));
    }
    let takes = world.durations.other;
    let reply = begin(world, call, "enable_rescue", takes, |_, id| Change::Rescue(id, true))?;
    Ok(with_password(reply, Some("simulated-rescue")))
}

pub(super) fn disable_rescue(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let takes = world.durations.other;
    begin(world, call, "disable_rescue", takes, |_, id| Change::Rescue(id, false))
}

pub(super) fn rebuild(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let server = world.server(call.id()?)?;
    let (id, protected) = (server.id, server.protected);
    let server_type = world.type_of(server);
    let mut fields = call.fields()?;
    let image = fields.reference("image");
    let image = fields.required("image", image);
    let user_data = fields.string("user_data");
    fields.check()?;
    let named = |name: &str| image.as_ref().is_some_and(|image| image.is(0, name));
    let fits = world.images.values().find(|candidate| {
        let by_id = image.as_ref().is_some_and(|image| image.is(candidate.id, ""));
        (by_id || candidate.name.as_deref().is_some_and(named))
            && candidate.architecture == server_type.architecture
            && candidate.status == ImageStatus::Available
            && !candidate.is_past()
    });
    let image = fits.ok_or_else(|| ApiError::input("image not found"))?.id;
    if protected {
        return Err(ApiError::protected("server"));
    }
    let takes = world.durations.rebuild_server;
    let reply = begin(world, call, "rebuild_server", takes, |world, id| {
        world.with_server(id, |server| {
            server.status = ServerStatus::Rebuilding;
            server.user_data = user_data.or(server.user_data.take());
        });
        Change::ServerRebuilt { server: id, image }
    })?;
    let has_keys = !world.server(id)?.ssh_keys.is_empty();
    Ok(with_password(reply, (!has_keys).then_some("simulated-rebuild")))
}

pub(super) fn change_protection(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let protected = world.server(call.id()?)?.protected;
    let mut fields = call.fields()?;
    let (delete, rebuild) = (fields.boolean("delete"), fields.boolean("rebuild"));
    if delete.unwrap_or(protected) != rebuild.unwrap_or(protected) {
        fields.problem("rebuild", "must be the same as delete");
    }
    fields.check()?;
    let on = delete.or(rebuild).unwrap_or(protected);
    let takes = world.durations.other;
    begin(world, call, "change_protection", takes, |_, id| {
        Change::Protected(Resource::server(id), on)
    })
}

/// Only for a server which is off.
pub(super) fn change_type(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let server = world.server(call.id()?)?;
    let mut fields = call.fields()?;
    let wanted = fields.reference("server_type");
    let wanted = fields.required("server_type", wanted);
    let upgrade = fields.boolean("upgrade_disk");
    let upgrade = fields.required("upgrade_disk", upgrade).unwrap_or_default();
    fields.check()?;
    let found = wanted.and_then(|wanted| world.catalog.server_type(&wanted));
    let found = found.ok_or_else(|| ApiError::input("server type not found"))?;
    if server.status != ServerStatus::Off {
        return Err(ApiError::new(Code::SERVER_NOT_STOPPED, "server must be off"));
    }
    if found.disk < server.disk_gb || found.architecture != world.type_of(server).architecture {
        return Err(ApiError::new(Code::INVALID_TYPE, "server type does not fit this server"));
    }
    let takes = world.durations.other;
    begin(world, call, "change_server_type", takes, |world, id| {
        world.with_server(id, |server| {
            server.status = ServerStatus::Migrating;
            if upgrade {
                server.disk_gb = found.disk;
            }
        });
        Change::ServerRescaled { server: id, server_type: found.id }
    })
}

pub(super) fn reset_password(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let takes = world.durations.other;
    let reply = begin(world, call, "reset_password", takes, |_, _| Change::Nothing)?;
    Ok(with_password(reply, Some("simulated-reset")))
}

pub(super) fn backups(world: &mut World, call: &Call, on: bool) -> Result<Reply, ApiError> {
    let takes = world.durations.other;
    let command = if on { "enable_backup" } else { "disable_backup" };
    begin(world, call, command, takes, |_, id| Change::Backups(id, on))
}

/// Begins an action of the server in the path, unless another one runs.
fn begin(
    world: &mut World,
    call: &Call,
    command: &'static str,
    takes: Duration,
    change: impl FnOnce(&mut World, u64) -> Change,
) -> Result<Reply, ApiError> {
    let id = world.server(call.id()?)?.id;
    call.fields_or_none()?;
    world.unlocked(Kind::Server, id)?;
    let change = change(world, id);
    let action = world.begin(command, &[Resource::server(id)], takes, change);
    Ok(Reply::created(json!({"action": world.action_json(action)})))
}

fn with_password(mut reply: Reply, password: Option<&str>) -> Reply {
    if let Some(Value::Object(body)) = &mut reply.body {
        body.insert("root_password".to_owned(), json!(password));
    }
    reply
}
