//! Images: listing what there is, taking snapshots.

use serde_json::{Map, Value, json};

use super::super::guests::Storage;
use super::super::wire::{ApiError, Call, Code, Fields, Listing, Reply, list};
use super::super::world::{Change, Image, ImageStatus, ImageType, Kind, Resource, World};

const LISTING: Listing = Listing {
    key: "images",
    filters: &["type", "status", "bound_to", "name", "architecture"],
    sort: &["id", "name", "created"],
    labels: true,
};

/// Deprecated system images are hidden unless asked for.
pub(super) fn all(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    check_value(call, "type", &["system", "app", "snapshot", "backup", "temporary"])?;
    check_value(call, "status", &["available", "creating", "unavailable"])?;
    check_value(call, "architecture", &["x86", "arm"])?;
    let deprecated_too = call.query("include_deprecated") == Some("true");
    let shown = |image: &&Image| match image.deprecated {
        None => true,
        Some(_) => deprecated_too && !image.is_past(),
    };
    let all = world.images.values().filter(shown);
    list(call, LISTING, all.map(|image| world.image_json(image)).collect())
}

fn check_value(call: &Call, name: &str, known: &[&str]) -> Result<(), ApiError> {
    match call.query_all(name).find(|value| !known.contains(value)) {
        Some(value) => {
            Err(ApiError::field(name, format!("'{value}' is not one of {}", known.join(", "))))
        }
        None => Ok(()),
    }
}

pub(super) fn one(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let image = world.image(call.id()?)?;
    Ok(Reply::ok(json!({"image": world.image_json(image)})))
}

pub(super) fn update(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = own(world, call)?;
    let mut fields = call.fields()?;
    let (description, labels, kind) =
        (fields.string("description"), fields.labels(), fields.string("type"));
    if kind.as_deref().is_some_and(|kind| kind != "snapshot") {
        fields.problem("type", "must be 'snapshot'");
    }
    fields.check()?;
    world.with_image(id, |image| {
        image.description = description.unwrap_or_else(|| image.description.clone());
        image.labels = labels.unwrap_or_else(|| image.labels.clone());
        if kind.is_some() {
            image.kind = ImageType::Snapshot;
        }
    });
    one(world, call)
}

pub(super) fn delete(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = own(world, call)?;
    if world.image(id)?.protected {
        return Err(ApiError::protected("image"));
    }
    world.unlocked(Kind::Image, id)?;
    world.images.remove(&id);
    world.guests.storage(Storage::ImageGone { image: id }).unwrap_or_default();
    Ok(Reply::gone())
}

pub(super) fn change_protection(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let id = own(world, call)?;
    let mut fields = call.fields()?;
    let delete = fields.boolean("delete");
    fields.check()?;
    world.unlocked(Kind::Image, id)?;
    let on = delete.unwrap_or(world.image(id)?.protected);
    let (image, takes) = (Resource::image(id), world.durations.other);
    let action = world.begin("change_protection", &[image], takes, Change::Protected(image, on));
    Ok(Reply::created(json!({"action": world.action_json(action)})))
}

/// The image in the path, if it is the project's own.
fn own(world: &World, call: &Call) -> Result<u64, ApiError> {
    let image = world.image(call.id()?)?;
    if image.kind.is_own() {
        Ok(image.id)
    } else {
        Err(ApiError::new(Code::UNSUPPORTED, "only snapshots and backups can be changed"))
    }
}

/// `POST /servers/{id}/actions/create_image`.
///
/// A running server is no reason to refuse: what the image holds then is another matter.
pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let server = world.server(call.id()?)?.id;
    let mut fields = call.fields()?;
    let request = Request::read(&mut fields);
    fields.check()?;
    if request.kind == ImageType::Backup && !world.server(server)?.backups {
        return Err(ApiError::new(Code::SERVICE, "backups are not enabled for this server"));
    }
    let snapshots = world.images.values().filter(|image| image.kind.is_own()).count();
    if snapshots >= world.quotas.snapshots {
        return Err(ApiError::limit("snapshot_limit"));
    }
    world.unlocked(Kind::Server, server)?;

    let id = insert(world, server, request);
    if world.guests.capture(server, id, world.now).is_err() {
        world.next_action_fails.get_or_insert_with(|| "action_failed".to_owned());
    }
    let about = [Resource::server(server), Resource::image(id)];
    let takes = world.durations.create_image;
    let action = world.begin("create_image", &about, takes, Change::ImageCaptured(id));
    let image = world.image(id)?;
    Ok(Reply::created(json!({
        "image": world.image_json(image),
        "action": world.action_json(action),
    })))
}

struct Request {
    kind: ImageType,
    description: Option<String>,
    labels: Map<String, Value>,
}

impl Request {
    fn read(fields: &mut Fields) -> Self {
        let kind = match fields.string("type").as_deref() {
            None | Some("snapshot") => ImageType::Snapshot,
            Some("backup") => ImageType::Backup,
            Some(_) => {
                fields.problem("type", "must be 'snapshot' or 'backup'");
                ImageType::Snapshot
            }
        };
        Self {
            kind,
            description: fields.string("description"),
            labels: fields.labels().unwrap_or_default(),
        }
    }
}

/// The image as it stands while it is made.
fn insert(world: &mut World, server: u64, request: Request) -> u64 {
    let id = world.new_id(Kind::Image);
    let server = &world.servers[&server];
    let source = world.images.get(&server.made_from);
    let image = Image {
        id,
        kind: request.kind,
        status: ImageStatus::Creating,
        name: None,
        description: request.description.unwrap_or_else(|| server.name.clone()),
        gb: None,
        disk_gb: server.disk_gb,
        created: world.now,
        from: Some((server.id, server.name.clone())),
        flavor: source.map_or("unknown", |image| &image.flavor).to_owned(),
        version: source.and_then(|image| image.version.clone()),
        labels: request.labels,
        protected: false,
        architecture: world.type_of(server).architecture.to_owned(),
        deprecated: None,
    };
    world.images.insert(id, image);
    id
}
