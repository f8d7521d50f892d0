//! The table of routes.

use super::super::wire::{ApiError, Call, Reply};
use super::super::world::{Kind, World};
use super::{
    actions, catalog, extras, images, primary_ips, server_actions, server_create, servers, ssh_keys,
};
use super::{volume_actions, volumes};

type Handler = fn(&mut World, &Call) -> Result<Reply, ApiError>;

/// A way into the API.
struct Route {
    method: &'static str,
    /// Segments; `{}` takes any one, `{#}` a number.
    path: &'static str,
    handler: Handler,
}

/// Where a request leads to.
pub(super) enum Target {
    /// A handler, the name of its route, and what the `{}` stand for.
    Handler(Handler, String, Vec<String>),
    /// The path exists, the method there does not.
    WrongMethod,
    /// No such path.
    Unknown,
}

/// Finds the route of a request.
pub(super) fn find(call: &Call) -> Target {
    let segments = call.path.as_deref().unwrap_or_default();
    let mut known = false;
    for route in ROUTES {
        let Some(params) = matched(route.path, segments) else {
            continue;
        };
        known = true;
        if route.method == call.method {
            let name = format!(
                "{} /{}",
                route.method,
                route.path.replace("{}", "{id}").replace("{#}", "{id}")
            );
            return Target::Handler(route.handler, name, params);
        }
    }
    if known { Target::WrongMethod } else { Target::Unknown }
}

fn matched(pattern: &str, segments: &[String]) -> Option<Vec<String>> {
    let mut params = Vec::new();
    let mut left = segments.iter();
    for part in pattern.split('/') {
        let segment = left.next().filter(|segment| !segment.is_empty())?;
        let number = segment.bytes().all(|c| c.is_ascii_digit());
        if part == "{}" || (part == "{#}" && number) {
            params.push(segment.clone());
        } else if part != segment {
            return None;
        }
    }
    left.next().is_none().then_some(params)
}

const fn get(path: &'static str, handler: Handler) -> Route {
    Route { method: "GET", path, handler }
}

const fn post(path: &'static str, handler: Handler) -> Route {
    Route { method: "POST", path, handler }
}

const fn put(path: &'static str, handler: Handler) -> Route {
    Route { method: "PUT", path, handler }
}

const fn delete(path: &'static str, handler: Handler) -> Route {
    Route { method: "DELETE", path, handler }
}

/// Literal paths stand before those with a `{}` in the same place.
const ROUTES: &[Route] = &[
    get("actions", actions::by_ids),
    get("actions/{#}", actions::one),
    // Servers
    get("servers", servers::all),
    post("servers", server_create::create),
    get("servers/actions", |w, c| actions::of_kind(w, c, Kind::Server)),
    get("servers/actions/{#}", |w, c| actions::one_of_kind(w, c, Kind::Server)),
    get("servers/{}", servers::one),
    put("servers/{}", servers::update),
    delete("servers/{}", servers::delete),
    get("servers/{}/actions", |w, c| actions::of_resource(w, c, Kind::Server)),
    post("servers/{}/actions/poweron", server_actions::power_on),
    post("servers/{}/actions/poweroff", server_actions::power_off),
    post("servers/{}/actions/shutdown", server_actions::shutdown),
    post("servers/{}/actions/reboot", server_actions::reboot),
    post("servers/{}/actions/reset", server_actions::reset),
    post("servers/{}/actions/enable_rescue", server_actions::enable_rescue),
    post("servers/{}/actions/disable_rescue", server_actions::disable_rescue),
    post("servers/{}/actions/create_image", images::create),
    post("servers/{}/actions/rebuild", server_actions::rebuild),
    post("servers/{}/actions/change_protection", server_actions::change_protection),
    post("servers/{}/actions/change_type", server_actions::change_type),
    post("servers/{}/actions/reset_password", server_actions::reset_password),
    post("servers/{}/actions/enable_backup", |w, c| server_actions::backups(w, c, true)),
    post("servers/{}/actions/disable_backup", |w, c| server_actions::backups(w, c, false)),
    get("servers/{}/actions/{#}", |w, c| actions::one_of_resource(w, c, Kind::Server)),
    // Volumes
    get("volumes", volumes::all),
    post("volumes", volumes::create),
    get("volumes/actions", |w, c| actions::of_kind(w, c, Kind::Volume)),
    get("volumes/actions/{#}", |w, c| actions::one_of_kind(w, c, Kind::Volume)),
    get("volumes/{}", volumes::one),
    put("volumes/{}", volumes::update),
    delete("volumes/{}", volumes::delete),
    get("volumes/{}/actions", |w, c| actions::of_resource(w, c, Kind::Volume)),
    post("volumes/{}/actions/attach", volume_actions::attach),
    post("volumes/{}/actions/detach", volume_actions::detach),
    post("volumes/{}/actions/resize", volume_actions::resize),
    post("volumes/{}/actions/change_protection", volume_actions::change_protection),
    get("volumes/{}/actions/{#}", |w, c| actions::one_of_resource(w, c, Kind::Volume)),
    // Images
    get("images", images::all),
    get("images/actions", |w, c| actions::of_kind(w, c, Kind::Image)),
    get("images/actions/{#}", |w, c| actions::one_of_kind(w, c, Kind::Image)),
    get("images/{}", images::one),
    put("images/{}", images::update),
    delete("images/{}", images::delete),
    get("images/{}/actions", |w, c| actions::of_resource(w, c, Kind::Image)),
    post("images/{}/actions/change_protection", images::change_protection),
    get("images/{}/actions/{#}", |w, c| actions::one_of_resource(w, c, Kind::Image)),
    // SSH keys
    get("ssh_keys", ssh_keys::all),
    post("ssh_keys", ssh_keys::create),
    get("ssh_keys/{}", ssh_keys::one),
    put("ssh_keys/{}", ssh_keys::update),
    delete("ssh_keys/{}", ssh_keys::delete),
    // What is on sale
    get("server_types", catalog::server_types),
    get("server_types/{}", catalog::server_type),
    get("locations", catalog::locations),
    get("locations/{}", catalog::location),
    get("pricing", catalog::pricing),
    get("datacenters", catalog::datacenters),
    get("datacenters/{}", catalog::datacenters),
    // What servers can be put into
    get("networks", |w, c| extras::all(w, c, Kind::Network)),
    post("networks", |w, c| extras::create(w, c, Kind::Network)),
    get("networks/{}", |w, c| extras::one(w, c, Kind::Network)),
    put("networks/{}", |w, c| extras::update(w, c, Kind::Network)),
    delete("networks/{}", |w, c| extras::delete(w, c, Kind::Network)),
    get("firewalls", |w, c| extras::all(w, c, Kind::Firewall)),
    post("firewalls", |w, c| extras::create(w, c, Kind::Firewall)),
    get("firewalls/{}", |w, c| extras::one(w, c, Kind::Firewall)),
    put("firewalls/{}", |w, c| extras::update(w, c, Kind::Firewall)),
    delete("firewalls/{}", |w, c| extras::delete(w, c, Kind::Firewall)),
    get("placement_groups", |w, c| extras::all(w, c, Kind::PlacementGroup)),
    post("placement_groups", |w, c| extras::create(w, c, Kind::PlacementGroup)),
    get("placement_groups/{}", |w, c| extras::one(w, c, Kind::PlacementGroup)),
    put("placement_groups/{}", |w, c| extras::update(w, c, Kind::PlacementGroup)),
    delete("placement_groups/{}", |w, c| extras::delete(w, c, Kind::PlacementGroup)),
    get("primary_ips", primary_ips::all),
    post("primary_ips", primary_ips::create),
    get("primary_ips/{}", primary_ips::one),
    delete("primary_ips/{}", primary_ips::delete),
    // Products nothing here uses: there are none
    get("isos", |_, c| extras::none(c, "isos")),
    get("floating_ips", |_, c| extras::none(c, "floating_ips")),
    get("load_balancers", |_, c| extras::none(c, "load_balancers")),
    get("load_balancer_types", |_, c| extras::none(c, "load_balancer_types")),
    get("certificates", |_, c| extras::none(c, "certificates")),
];
