//! What is refused, with its status and code, before anything is made.

use cloudd_tests::hcloud_sim::Inventory;
use serde_json::{Value, json};

use super::client::{KEYS, Project, server};

/// A request body with some fields changed; null removes one.
fn with(mut base: Value, changes: Value) -> Value {
    for (name, value) in changes.as_object().expect("an object") {
        base[name] = value.clone();
    }
    base
}

fn volume() -> Value {
    json!({"name": "data", "size": 10, "location": "fsn1"})
}

#[tokio::test]
async fn bad_input_names_its_fields() {
    let project = Project::new();
    let key = json!({"name": "k", "public_key": KEYS[0]});
    let long = "a".repeat(64);
    let s = |changes| ("/servers", with(server("a"), changes));
    let v = |changes| ("/volumes", with(volume(), changes));
    let k = |changes| ("/ssh_keys", with(key.clone(), changes));
    let cases = [
        (s(json!({"name": null})), "name"),
        (s(json!({"name": ""})), "name"),
        (s(json!({"name": "a_b"})), "name"),
        (s(json!({"name": "-a"})), "name"),
        (s(json!({"name": "a-"})), "name"),
        (s(json!({"name": "a..b"})), "name"),
        (s(json!({"name": "ä"})), "name"),
        (s(json!({"name": long})), "name"),
        (s(json!({"name": 7})), "name"),
        (s(json!({"server_type": null})), "server_type"),
        (s(json!({"image": null})), "image"),
        (s(json!({"image": true})), "image"),
        (s(json!({"user_data": "x".repeat(32_769)})), "user_data"),
        (s(json!({"datacenter": "fsn1-dc14"})), "datacenter"),
        (s(json!({"volumes": ["data"]})), "volumes"),
        (s(json!({"start_after_create": "yes"})), "start_after_create"),
        (s(json!({"firewalls": [{"id": 1}]})), "firewalls"),
        (s(json!({"public_net": {"enable_ipv4": "no"}})), "public_net"),
        (s(json!({"labels": []})), "labels"),
        (s(json!({"labels": {"a": 1}})), "labels"),
        (s(json!({"labels": {"a": "b c"}})), "labels"),
        (s(json!({"labels": {"a": long}})), "labels"),
        (s(json!({"labels": {"-a": "b"}})), "labels"),
        (s(json!({"labels": {"hetzner.cloud/a": "b"}})), "labels"),
        (s(json!({"labels": {"t": "2026-11-20T09:00:00Z"}})), "labels"),
        (v(json!({"name": null})), "name"),
        (v(json!({"name": "-a"})), "name"),
        (v(json!({"name": "a b"})), "name"),
        (v(json!({"name": "a".repeat(65)})), "name"),
        (v(json!({"size": null})), "size"),
        (v(json!({"size": 9})), "size"),
        (v(json!({"size": 10_241})), "size"),
        (v(json!({"size": 10.5})), "size"),
        (v(json!({"size": "10"})), "size"),
        (v(json!({"location": null})), "location"),
        (v(json!({"server": 1})), "location"),
        (v(json!({"format": "btrfs"})), "format"),
        (v(json!({"automount": true})), "automount"),
        (v(json!({"labels": {"a": "/"}})), "labels"),
        (k(json!({"name": null})), "name"),
        (k(json!({"name": " "})), "name"),
        (k(json!({"public_key": null})), "public_key"),
        (k(json!({"public_key": "ssh-ed25519 AAAA"})), "public_key"),
        (k(json!({"labels": {"": "x"}})), "labels"),
    ];
    for ((path, body), field) in cases {
        let answer = project.post(path, body.clone()).await;
        assert_eq!(answer.error(), (422, "invalid_input"), "{path} {body}");
        let fields = &answer.body["error"]["details"]["fields"];
        assert_eq!(fields[0]["name"], field, "{path} {body}: {fields}");
        assert!(fields[0]["messages"][0].is_string(), "{fields}");
    }
    assert_eq!(project.sim.inventory(), Inventory::default());
}

#[tokio::test]
async fn every_bad_field_is_named_at_once() {
    let project = Project::new();
    let answer = project.post("/volumes", json!({"name": "_", "size": 1})).await;
    let fields = answer.body["error"]["details"]["fields"].as_array().expect("fields");
    let names: Vec<_> =
        fields.iter().map(|field| field["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["name", "size", "location"]);
    assert_eq!(
        answer.body["error"]["message"],
        "invalid input in fields 'name', 'size', 'location'"
    );
}

#[tokio::test]
async fn what_the_rules_allow_is_accepted() {
    let project = Project::new();
    let long = format!("{}.{}", "a".repeat(63), "b".repeat(63));
    let names = ["a", "A-1.example.com", long.as_str()];
    for name in names {
        let labels =
            json!({"example.com/name": "", "n": "a-b_c.d", "cloudd/expires": "1795165200"});
        let body = with(server(name), json!({"labels": labels, "user_data": "x".repeat(32_768)}));
        assert_eq!(project.post("/servers", body).await.created()["server"]["labels"], labels);
    }
    for (name, size) in [("a", 10), ("A.b_c-d", 10_240), ("a".repeat(64).as_str(), 11)] {
        let body = with(volume(), json!({"name": name, "size": size}));
        project.post("/volumes", body).await.created();
    }
}

#[tokio::test]
async fn ids_and_names_are_both_references() {
    let project = Project::new();
    let key = project.post("/ssh_keys", json!({"name": "k", "public_key": KEYS[0]})).await;
    let key = key.created()["ssh_key"]["id"].clone();
    let by_id = json!({
        "name": "a", "server_type": 114, "image": 330_120_054, "location": 1, "ssh_keys": [key, "k"],
    });
    let by_text = json!({"name": "b", "server_type": "114", "image": "330120054", "location": "1"});
    for body in [by_id, by_text] {
        let made = project.post("/servers", body).await;
        let made = &made.created()["server"];
        assert_eq!(made["server_type"]["name"], "cx23");
        assert_eq!(made["image"]["name"], "fedora-43");
        assert_eq!(made["location"]["name"], "fsn1");
    }
}

#[tokio::test]
async fn a_name_of_an_image_means_the_one_for_the_architecture() {
    let project = Project::new();
    let arm = with(server("a"), json!({"server_type": "cax21"}));
    let made = project.post("/servers", arm).await;
    assert_eq!(made.created()["server"]["image"]["architecture"], "arm");
    let wrong = with(server("b"), json!({"server_type": "cax21", "image": 330_120_054}));
    assert_eq!(project.post("/servers", wrong).await.error(), (422, "invalid_input"));
}

#[tokio::test]
async fn what_cannot_be_had_is_refused_with_its_own_code() {
    let project = Project::new();
    let s = |changes| ("/servers", with(server("a"), changes));
    for ((path, body), expected) in [
        (s(json!({"server_type": "cx99"})), (422, "invalid_input")),
        (s(json!({"image": "plan9"})), (422, "invalid_input")),
        (s(json!({"image": "fedora-40"})), (422, "invalid_input")),
        (s(json!({"location": "moon1"})), (422, "invalid_input")),
        (s(json!({"location": "ash"})), (422, "invalid_input")),
        (s(json!({"ssh_keys": ["nobody"]})), (422, "invalid_input")),
        (s(json!({"volumes": [4711]})), (422, "invalid_input")),
        (s(json!({"networks": [4711]})), (422, "invalid_input")),
        (s(json!({"location": "hel1"})), (412, "resource_unavailable")),
        (s(json!({"server_type": "cx22"})), (422, "invalid_input")),
        (s(json!({"server_type": "cx43"})), (412, "resource_unavailable")),
        (s(json!({"server_type": "cpx21", "location": "ash"})), (422, "placement_error")),
        (
            ("/volumes", with(volume(), json!({"location": "sin"}))),
            (422, "no_space_left_in_location"),
        ),
        (("/volumes", with(volume(), json!({"location": "moon1"}))), (422, "invalid_input")),
        (
            ("/volumes", with(volume(), json!({"location": null, "server": 7}))),
            (422, "invalid_input"),
        ),
    ] {
        let answer = project.post(path, body.clone()).await;
        assert_eq!(answer.error(), expected, "{body}");
    }
    assert_eq!(project.sim.inventory(), Inventory::default());
}

#[tokio::test]
async fn a_deprecated_image_is_still_usable_before_its_date() {
    let project = Project::new();
    let body = with(server("a"), json!({"image": "fedora-41"}));
    let made = project.post("/servers", body).await;
    let image = &made.created()["server"]["image"];
    assert!(image["deprecation"]["announced"].is_string(), "{image}");
}

#[tokio::test]
async fn names_and_keys_are_unique() {
    let project = Project::new();
    project.post("/servers", server("a")).await.created();
    project.post("/volumes", volume()).await.created();
    project.post("/ssh_keys", json!({"name": "k", "public_key": KEYS[0]})).await.created();
    for (path, body, field) in [
        ("/servers", server("a"), None),
        ("/volumes", volume(), Some("name")),
        ("/ssh_keys", json!({"name": "k", "public_key": KEYS[1]}), Some("name")),
        ("/ssh_keys", json!({"name": "l", "public_key": KEYS[0]}), Some("public_key")),
    ] {
        let answer = project.post(path, body).await;
        assert_eq!(answer.error(), (409, "uniqueness_error"), "{path}");
        let fields = &answer.body["error"]["details"]["fields"];
        assert_eq!(fields[0]["name"].as_str(), field, "{path}");
    }
    let renamed = project.post("/servers", server("b")).await;
    let id = &renamed.created()["server"]["id"];
    let answer = project.put(&format!("/servers/{id}"), json!({"name": "a"})).await;
    assert_eq!(answer.error(), (409, "uniqueness_error"));
    // A rename to its own name is no conflict.
    project.put(&format!("/servers/{id}"), json!({"name": "b"})).await.ok();
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_a_json_error() {
    let project = Project::new();
    let id = project.server("a").await;
    let enable_rescue = format!("/servers/{id}/actions/enable_rescue");
    for (path, body) in [
        ("/servers", "{"),
        ("/servers", "[]"),
        ("/servers", ""),
        ("/volumes", "name=x"),
        // Its body is required, also when there is nothing to say.
        (enable_rescue.as_str(), ""),
    ] {
        let answer = project.send_raw("POST", path, body).await;
        assert_eq!(answer.error(), (400, "json_error"), "{path} {body}");
    }
    project.send_raw("POST", &enable_rescue, "{}").await.created();
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let project = Project::new();
    for path in [
        "/servers/7",
        "/volumes/7",
        "/images/7",
        "/ssh_keys/7",
        "/actions/7",
        "/server_types/7",
        "/locations/7",
        "/servers/7/actions",
        "/volumes/7/actions",
        "/networks/7",
        "/firewalls/7",
        "/primary_ips/7",
    ] {
        let answer = project.get(path).await;
        assert_eq!(answer.error(), (404, "not_found"), "{path}");
    }
    for path in ["/servers/7", "/volumes/7", "/images/7", "/ssh_keys/7"] {
        assert_eq!(project.delete(path).await.error(), (404, "not_found"), "{path}");
    }
    assert_eq!(project.get("/servers/name").await.error(), (422, "invalid_input"));
}
