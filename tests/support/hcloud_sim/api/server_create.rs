//! `POST /servers`.

use serde_json::{Map, Value, json};

use super::super::catalog::{Availability, ServerType};
use super::super::wire::{ApiError, Call, Code, Fields, Reference, Reply};
use super::super::world::{
    Change, Image, ImageStatus, Kind, Resource, Server, ServerStatus, World,
};
use super::{servers, volume_actions};

/// Bytes, counted on what is sent.
const MAX_USER_DATA: usize = 32 * 1024;

pub(super) fn create(world: &mut World, call: &Call) -> Result<Reply, ApiError> {
    let request = Request::read(call)?;
    let resolved = Resolved::find(world, &request)?;
    servers::unique_name(world, &request.name, None)?;
    if world.visible_servers().count() >= world.quotas.servers {
        return Err(ApiError::limit("server_limit"));
    }
    let new = |address: &&Address| matches!(address, Address::New);
    let addresses = [request.ipv4, request.ipv6].iter().filter(new).count();
    if world.primary_ips.len() + addresses > world.quotas.primary_ips {
        return Err(ApiError::limit("primary_ip_limit"));
    }
    for volume in &request.volumes {
        world.unlocked(Kind::Volume, *volume)?;
    }
    placeable(world, resolved.server_type, resolved.location)?;

    let (id, volumes, starts) =
        (world.new_id(Kind::Server), request.volumes.clone(), request.starts);
    let password = resolved.ssh_keys.is_empty().then(|| format!("simulated-{id}"));
    give_addresses(world, &request, &resolved, id);
    insert(world, id, request, resolved);
    let (action, next) = begin(world, id, &volumes, starts);
    let server = world.server(id)?;
    Ok(Reply::created(json!({
        "server": world.server_json(server),
        "action": world.action_json(action),
        "next_actions": next,
        "root_password": password,
    })))
}

/// A request whose fields have the right shape.
struct Request {
    name: String,
    server_type: Reference,
    image: Reference,
    location: Option<Reference>,
    starts: bool,
    ssh_keys: Vec<Reference>,
    volumes: Vec<u64>,
    networks: Vec<u64>,
    firewalls: Vec<u64>,
    placement_group: Option<u64>,
    user_data: Option<String>,
    labels: Map<String, Value>,
    ipv4: Address,
    ipv6: Address,
}

/// What a server gets of an address family.
#[derive(Clone, Copy)]
enum Address {
    None,
    New,
    Existing(u64),
}

impl Request {
    fn read(call: &Call) -> Result<Self, ApiError> {
        let mut fields = call.fields()?;
        let name = servers::name(&mut fields);
        let name = fields.required("name", name).unwrap_or_default();
        let missing = || Reference::Name(String::new());
        let server_type = fields.reference("server_type");
        let server_type = fields.required("server_type", server_type).unwrap_or_else(missing);
        let image = fields.reference("image");
        let image = fields.required("image", image).unwrap_or_else(missing);
        if fields.has("datacenter") {
            fields.problem("datacenter", "was removed, use location");
        }
        let user_data = fields.string("user_data");
        if user_data.as_ref().is_some_and(|text| text.len() > MAX_USER_DATA) {
            fields.problem("user_data", format!("must be at most {MAX_USER_DATA} bytes"));
        }
        let (ipv4, ipv6) = addresses(&mut fields);
        fields.boolean("automount");
        let firewalls = firewalls(&mut fields);
        let request = Self {
            name,
            server_type,
            image,
            location: fields.reference("location"),
            starts: fields.boolean("start_after_create").unwrap_or(true),
            ssh_keys: fields.references("ssh_keys"),
            volumes: fields.ids("volumes"),
            networks: fields.ids("networks"),
            firewalls,
            placement_group: fields.integer("placement_group"),
            user_data,
            labels: fields.labels().unwrap_or_default(),
            ipv4,
            ipv6,
        };
        fields.check()?;
        Ok(request)
    }
}

fn addresses(fields: &mut Fields) -> (Address, Address) {
    let Some(mut net) = fields.object("public_net") else {
        return (Address::New, Address::New);
    };
    let mut family =
        |enable: &str, existing: &str| match (net.boolean(enable), net.integer(existing)) {
            (Some(false), _) => Address::None,
            (_, Some(id)) => Address::Existing(id),
            _ => Address::New,
        };
    let families = (family("enable_ipv4", "ipv4"), family("enable_ipv6", "ipv6"));
    if net.check().is_err() {
        fields.problem("public_net", "has fields of the wrong type");
    }
    families
}

fn firewalls(fields: &mut Fields) -> Vec<u64> {
    let mut ids = Vec::new();
    for mut entry in fields.objects("firewalls") {
        match entry.integer("firewall") {
            Some(id) => ids.push(id),
            None => fields.problem("firewalls", "each entry needs a firewall id"),
        }
    }
    ids
}

/// What the request's references lead to.
struct Resolved {
    server_type: &'static ServerType,
    location: u64,
    image: u64,
    ssh_keys: Vec<u64>,
}

impl Resolved {
    fn find(world: &World, request: &Request) -> Result<Self, ApiError> {
        let server_type = world.catalog.server_type(&request.server_type);
        let server_type = server_type.ok_or_else(|| ApiError::input("server type not found"))?;
        let image = find_image(world, &request.image, server_type)?;
        let location = find_location(world, request, server_type)?;
        for volume in &request.volumes {
            volume_actions::attachable(world, *volume, location)?;
        }
        if request.volumes.len() > volume_actions::MAX_PER_SERVER {
            return Err(ApiError::new(Code::LIMIT_EXCEEDED, "too many volumes"));
        }
        let mut ssh_keys = Vec::new();
        for reference in &request.ssh_keys {
            let found = world.ssh_keys.values().find(|key| reference.is(key.id, &key.name));
            ssh_keys.push(found.ok_or_else(|| ApiError::input("SSH key not found"))?.id);
        }
        for (kind, ids) in [
            (Kind::Network, request.networks.as_slice()),
            (Kind::Firewall, request.firewalls.as_slice()),
            (Kind::PlacementGroup, request.placement_group.as_slice()),
        ] {
            for id in ids {
                let what = kind.name();
                world.extra(kind, *id).map_err(|_| ApiError::input(format!("{what} not found")))?;
            }
        }
        for (address, kind) in [(request.ipv4, "ipv4"), (request.ipv6, "ipv6")] {
            usable_address(world, address, kind)?;
        }
        Ok(Self { server_type, location, image: image.id, ssh_keys })
    }
}

/// Names are shared by x86 and arm: the one that fits the server type is meant.
fn find_image<'a>(
    world: &'a World,
    wanted: &Reference,
    server_type: &ServerType,
) -> Result<&'a Image, ApiError> {
    let all = world.images.values().filter(|image| !image.is_past());
    let named: Vec<_> = all
        .filter(|image| wanted.is(image.id, image.name.as_deref().unwrap_or_default()))
        .collect();
    let fits = |image: &&&Image| image.architecture == server_type.architecture;
    let image = match named.iter().find(fits) {
        Some(image) => image,
        None if named.is_empty() => return Err(ApiError::input("image not found")),
        None => return Err(ApiError::input("image and server type have different architectures")),
    };
    if image.status != ImageStatus::Available {
        return Err(ApiError::new(Code::SERVICE, "image is not available"));
    }
    if image.disk_gb > server_type.disk {
        return Err(ApiError::new(
            Code::INVALID_TYPE,
            "image disk is larger than the server type's disk",
        ));
    }
    Ok(image)
}

/// The location asked for, or that of the volumes, or the first where the type is to be had.
fn find_location(
    world: &World,
    request: &Request,
    server_type: &ServerType,
) -> Result<u64, ApiError> {
    let sold =
        |name: &str| !matches!(server_type.availability(name), None | Some(Availability::Left));
    if let Some(wanted) = &request.location {
        let found = world.catalog.location(wanted);
        let location = found.ok_or_else(|| ApiError::input("location not found"))?;
        if !sold(location.name) {
            return Err(ApiError::input("unsupported location for server type"));
        }
        return Ok(location.id);
    }
    let volume = request.volumes.first().and_then(|id| world.volumes.get(id));
    if let Some(volume) = volume {
        return Ok(volume.location);
    }
    let orderable =
        |name: &str| sold(name) && server_type.availability(name) != Some(Availability::SoldOut);
    let mut all = world.catalog.locations().iter();
    all.find(|location| orderable(location.name))
        .map(|location| location.id)
        .ok_or_else(|| ApiError::new(Code::UNAVAILABLE, "server type is not available anywhere"))
}

fn usable_address(world: &World, address: Address, kind: &str) -> Result<(), ApiError> {
    let Address::Existing(id) = address else {
        return Ok(());
    };
    let ip = world.primary_ip(id).map_err(|_| ApiError::input("primary_ip not found"))?;
    if ip.kind != kind {
        return Err(ApiError::new(
            Code("primary_ip_version_mismatch", 412),
            "primary IP is of the other family",
        ));
    }
    if ip.server.is_some() {
        return Err(ApiError::new(
            Code("primary_ip_assigned", 422),
            "primary IP is already assigned",
        ));
    }
    Ok(())
}

/// What is listed as available may still not be there.
fn placeable(world: &World, server_type: &ServerType, location: u64) -> Result<(), ApiError> {
    let location = world.location_of(location).name;
    if world.quotas.disabled_locations.iter().any(|disabled| disabled == location) {
        return Err(ApiError::new(Code::UNAVAILABLE, "server location disabled"));
    }
    match server_type.availability(location) {
        Some(Availability::SoldOut) => {
            Err(ApiError::new(Code::UNAVAILABLE, "error during placement"))
        }
        Some(Availability::Unplaceable) => {
            Err(ApiError::new(Code::PLACEMENT, "error during placement"))
        }
        _ => Ok(()),
    }
}

fn give_addresses(world: &mut World, request: &Request, resolved: &Resolved, id: u64) {
    for (address, kind) in [(request.ipv4, "ipv4"), (request.ipv6, "ipv6")] {
        match address {
            Address::None => {}
            Address::New => {
                world.new_primary_ip(kind, resolved.location, Some(id));
            }
            Address::Existing(ip) => {
                if let Some(ip) = world.primary_ips.get_mut(&ip) {
                    ip.server = Some(id);
                }
            }
        }
    }
}

fn insert(world: &mut World, id: u64, request: Request, resolved: Resolved) {
    let server = Server {
        id,
        name: request.name,
        status: ServerStatus::Initializing,
        created: world.now,
        server_type: resolved.server_type.id,
        location: resolved.location,
        made_from: resolved.image,
        disk_gb: resolved.server_type.disk,
        ssh_keys: resolved.ssh_keys,
        user_data: request.user_data,
        labels: request.labels,
        protected: false,
        rescue: false,
        backups: false,
        starts: request.starts,
        deleting: false,
        networks: request.networks,
        firewalls: request.firewalls,
        placement_group: request.placement_group,
    };
    world.servers.insert(id, server);
}

/// The creation, and what follows it: volumes one after the other, then the start.
fn begin(world: &mut World, id: u64, volumes: &[u64], starts: bool) -> (u64, Vec<Value>) {
    let about = [Resource::server(id)];
    let (creating, starting) = (world.durations.create_server, world.durations.start_server);
    let action = world.begin("create_server", &about, creating, Change::ServerCreated(id));
    let mut last = action;
    let mut next = Vec::new();
    for volume in volumes {
        last = volume_actions::begin_attach(world, *volume, id, last);
        next.push(world.action_json(last));
    }
    if starts {
        last = world.begin_after(last, "start_server", &about, starting, Change::ServerStarted(id));
        next.push(world.action_json(last));
    }
    (action, next)
}
