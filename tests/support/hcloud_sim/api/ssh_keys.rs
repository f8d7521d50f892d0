//! SSH keys: no actions, everything at once.

use serde_json::json;

use super::super::wire::{ApiError, Call, Listing, Reply, list};
use super::super::world::{Kind, SshKey, World, fingerprint};

const LISTING: Listing = Listing {
    key: "ssh_keys",
    filters: &["name", "fingerprint"],
    sort: &["id", "name"],
    labels: true,
};

pub(super) fn all(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    list(call, LISTING, world.ssh_keys.values().map(SshKey::json).collect())
}

pub(super) fn one(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    Ok(Reply::ok(json!({"ssh_key": world.ssh_key(call.id()?)?.json()})))
}

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let mut fields = call.fields()?;
    let name = fields.string("name");
    let name = fields.required("name", name).unwrap_or_default();
    let public_key = fields.string("public_key");
    let public_key = fields.required("public_key", public_key).unwrap_or_default();
    let labels = fields.labels().unwrap_or_default();
    if fields.has("name") && name.trim().is_empty() {
        fields.problem("name", "must not be empty");
    }
    let fingerprint = fingerprint(&public_key);
    if fields.has("public_key") && fingerprint.is_none() {
        fields.problem("public_key", "is not a public key in OpenSSH format");
    }
    fields.check()?;
    let fingerprint = fingerprint.unwrap_or_default();
    unique_name(world, &name, None)?;
    if world.ssh_keys.values().any(|key| key.fingerprint == fingerprint) {
        return Err(ApiError::taken("SSH key", "public_key"));
    }

    let id = world.new_id(Kind::SshKey);
    let created = world.now;
    let key = SshKey { id, name, public_key, fingerprint, labels, created };
    let shown = key.json();
    world.ssh_keys.insert(id, key);
    Ok(Reply::created(json!({"ssh_key": shown})))
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = world.ssh_key(call.id()?)?.id;
    let mut fields = call.fields()?;
    let (name, labels) = (fields.string("name"), fields.labels());
    if name.as_deref().is_some_and(|name| name.trim().is_empty()) {
        fields.problem("name", "must not be empty");
    }
    fields.check()?;
    if let Some(name) = &name {
        unique_name(world, name, Some(id))?;
    }
    if let Some(key) = world.ssh_keys.get_mut(&id) {
        key.name = name.unwrap_or_else(|| key.name.clone());
        key.labels = labels.unwrap_or_else(|| key.labels.clone());
    }
    one(world, call)
}

pub(super) fn delete(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = world.ssh_key(call.id()?)?.id;
    world.ssh_keys.remove(&id);
    Ok(Reply::gone())
}

fn unique_name(world: &World, name: &str, own: Option<u64>) -> Result<(), ApiError> {
    let taken = |key: &SshKey| key.name == name && Some(key.id) != own;
    if world.ssh_keys.values().any(taken) {
        return Err(ApiError::taken("SSH key", "name"));
    }
    Ok(())
}
