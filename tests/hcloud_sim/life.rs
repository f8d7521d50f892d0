//! Servers and keys from their making to their end.

use serde_json::{Value, json};

use super::client::{KEYS, Project, action, ids, server};

async fn status(project: &Project, id: u64) -> String {
    let answer = project.get(&format!("/servers/{id}")).await;
    answer.ok()["server"]["status"].as_str().expect("a status").to_owned()
}

#[tokio::test]
async fn a_server_is_created_then_started() {
    let project = Project::new();
    let made = project.post("/servers", server("a")).await;
    let made = made.created();
    let id = made["server"]["id"].as_u64().expect("an id");
    let (create, start) = (&made["action"], &made["next_actions"][0]);
    assert_eq!(
        (create["command"].as_str(), start["command"].as_str()),
        (Some("create_server"), Some("start_server"))
    );
    assert_eq!(create["finished"], Value::Null);
    assert_eq!(made["server"]["status"], "initializing");
    assert_eq!(made["server"]["locked"], true);
    assert!(made["server"].get("datacenter").is_none());
    assert!(made["root_password"].is_string());

    project.pass(4);
    assert_eq!(action(&project, create).await, ("running".to_owned(), 40));
    assert_eq!(action(&project, start).await, ("running".to_owned(), 0));
    project.pass(6);
    assert_eq!(action(&project, create).await, ("success".to_owned(), 100));
    assert_eq!(status(&project, id).await, "starting");
    project.pass(5);
    assert_eq!(action(&project, start).await, ("success".to_owned(), 100));
    let now = project.get(&format!("/servers/{id}")).await;
    assert_eq!(now.ok()["server"]["status"], "running");
    assert_eq!(now.body["server"]["locked"], false);
    assert_eq!(now.body["server"]["created"], "2026-11-20T09:00:00Z");
}

#[tokio::test]
async fn a_server_with_a_key_has_no_password_and_one_not_started_is_off() {
    let project = Project::new();
    project.post("/ssh_keys", json!({"name": "k", "public_key": KEYS[0]})).await.created();
    let mut body = server("a");
    body["ssh_keys"] = json!(["k"]);
    body["start_after_create"] = json!(false);
    let made = project.post("/servers", body).await;
    assert_eq!(made.created()["root_password"], Value::Null);
    assert_eq!(made.body["next_actions"], json!([]));
    project.pass(10);
    assert_eq!(status(&project, made.body["server"]["id"].as_u64().expect("an id")).await, "off");
}

#[tokio::test]
async fn a_server_has_the_addresses_asked_for() {
    let project = Project::new();
    let own = project
        .post("/primary_ips", json!({"name": "own", "type": "ipv4", "location": "fsn1"}))
        .await;
    let own = own.created()["primary_ip"].clone();
    for (net, ipv4, ipv6) in [
        (json!(null), true, true),
        (json!({"enable_ipv4": false}), false, true),
        (json!({"enable_ipv6": false}), true, false),
        (json!({"enable_ipv4": false, "enable_ipv6": false}), false, false),
        (json!({"ipv4": own["id"]}), true, true),
    ] {
        let mut body = server(&format!("s{}", project.sim.inventory().servers.len()));
        body["public_net"] = net.clone();
        let made = project.post("/servers", body).await;
        let public = &made.created()["server"]["public_net"];
        assert_eq!((public["ipv4"].is_object(), public["ipv6"].is_object()), (ipv4, ipv6), "{net}");
        if ipv6 {
            assert!(public["ipv6"]["ip"].as_str().is_some_and(|ip| ip.ends_with("::/64")));
        }
        if net["ipv4"].is_number() {
            assert_eq!(public["ipv4"]["ip"], own["ip"]);
        }
    }
    let mut body = server("late");
    body["public_net"] = json!({"ipv4": own["id"]});
    assert_eq!(project.post("/servers", body.clone()).await.error(), (422, "primary_ip_assigned"));
    body["public_net"] = json!({"ipv6": own["id"]});
    assert_eq!(project.post("/servers", body).await.error(), (412, "primary_ip_version_mismatch"));
}

#[tokio::test]
async fn power_goes_on_and_off() {
    let project = Project::new();
    let id = project.server("a").await;
    for (name, takes, command, after) in [
        ("poweroff", 3, "stop_server", "off"),
        ("poweron", 5, "start_server", "running"),
        ("reboot", 3, "reboot_server", "running"),
        ("reset", 3, "reset_server", "running"),
        // The signal is sent after one second, the guest is off five later.
        ("shutdown", 1, "shutdown_server", "running"),
    ] {
        let answer = project.post(&format!("/servers/{id}/actions/{name}"), Value::Null).await;
        assert_eq!(answer.created()["action"]["command"], command);
        project.pass(takes);
        assert_eq!(action(&project, &answer.body["action"]).await.0, "success", "{name}");
        assert_eq!(status(&project, id).await, after, "{name}");
    }
    project.pass(5);
    assert_eq!(status(&project, id).await, "off");
}

#[tokio::test]
async fn a_running_action_locks_what_it_is_about() {
    let project = Project::new();
    let (id, volume) = (project.server("a").await, project.volume("v").await);
    let attach =
        project.post(&format!("/volumes/{volume}/actions/attach"), json!({"server": id})).await;
    attach.created();
    for path in [
        format!("/servers/{id}/actions/poweroff"),
        format!("/servers/{id}/actions/create_image"),
        format!("/volumes/{volume}/actions/detach"),
        format!("/volumes/{volume}/actions/attach"),
    ] {
        let answer = project.post(&path, json!({"server": id})).await;
        assert_eq!(answer.error(), (423, "locked"), "{path}");
    }
    assert_eq!(project.delete(&format!("/servers/{id}")).await.error(), (423, "locked"));
    assert_eq!(project.delete(&format!("/volumes/{volume}")).await.error(), (423, "locked"));
    // Names and labels are no matter of locks.
    project.put(&format!("/servers/{id}"), json!({"labels": {"a": "b"}})).await.ok();
    project.pass(5);
    project.post(&format!("/servers/{id}/actions/poweroff"), Value::Null).await.created();
}

#[tokio::test]
async fn what_is_protected_stays() {
    let project = Project::new();
    let image = project.snapshot(json!({})).await;
    let (id, volume) = (project.server("a").await, project.volume("v").await);
    let both = json!({"delete": true, "rebuild": true});
    let uneven = project
        .post(&format!("/servers/{id}/actions/change_protection"), json!({"delete": true}))
        .await;
    assert_eq!(uneven.error(), (422, "invalid_input"));
    for (path, on, off) in [
        (format!("/servers/{id}"), both, json!({"delete": false, "rebuild": false})),
        (format!("/volumes/{volume}"), json!({"delete": true}), json!({"delete": false})),
        (format!("/images/{image}"), json!({"delete": true}), json!({"delete": false})),
    ] {
        project.post(&format!("{path}/actions/change_protection"), on).await.created();
        project.pass(1);
        assert_eq!(project.delete(&path).await.error(), (423, "protected"), "{path}");
        project.post(&format!("{path}/actions/change_protection"), off).await.created();
        project.pass(1);
        assert!(matches!(project.delete(&path).await.status, 200 | 204), "{path}");
    }
}

#[tokio::test]
async fn labels_are_replaced_as_a_whole() {
    let project = Project::new();
    let id = project.server("a").await;
    let path = format!("/servers/{id}");
    project.put(&path, json!({"labels": {"a": "1", "b": "2"}})).await.ok();
    project.put(&path, json!({"name": "c"})).await.ok();
    let changed = project.put(&path, json!({"labels": {"b": "3"}})).await;
    assert_eq!(changed.ok()["server"]["labels"], json!({"b": "3"}));
    assert_eq!(changed.body["server"]["name"], "c");
}

#[tokio::test]
async fn rescue_lasts_for_one_boot() {
    let project = Project::new();
    let id = project.server("a").await;
    let answer = project
        .post(&format!("/servers/{id}/actions/enable_rescue"), json!({"type": "linux64"}))
        .await;
    assert!(answer.created()["root_password"].is_string());
    project.pass(1);
    assert_eq!(project.get(&format!("/servers/{id}")).await.ok()["server"]["rescue_enabled"], true);
    project.post(&format!("/servers/{id}/actions/reset"), Value::Null).await.created();
    project.pass(3);
    assert_eq!(
        project.get(&format!("/servers/{id}")).await.ok()["server"]["rescue_enabled"],
        false
    );
}

#[tokio::test]
async fn a_server_is_rescaled_only_when_off() {
    let project = Project::new();
    let id = project.server("a").await;
    let path = format!("/servers/{id}/actions/change_type");
    let body = json!({"server_type": "cx33", "upgrade_disk": false});
    assert_eq!(project.post(&path, body.clone()).await.error(), (422, "server_not_stopped"));
    project.post(&format!("/servers/{id}/actions/poweroff"), Value::Null).await.created();
    project.pass(3);
    let arm = json!({"server_type": "cax21", "upgrade_disk": false});
    assert_eq!(project.post(&path, arm).await.error(), (422, "invalid_server_type"));
    project.post(&path, body).await.created();
    assert_eq!(status(&project, id).await, "migrating");
    project.pass(1);
    let now = project.get(&format!("/servers/{id}")).await;
    assert_eq!(now.ok()["server"]["server_type"]["name"], "cx33");
    assert_eq!(now.body["server"]["primary_disk_size"], 40);
}

#[tokio::test]
async fn a_rebuilt_server_has_the_new_image_and_runs() {
    let project = Project::new();
    let id = project.server("a").await;
    let path = format!("/servers/{id}/actions/rebuild");
    assert_eq!(
        project.post(&path, json!({"image": "plan9"})).await.error(),
        (422, "invalid_input")
    );
    project.post(&path, json!({"image": "debian-13"})).await.created();
    assert_eq!(status(&project, id).await, "rebuilding");
    project.pass(15);
    let now = project.get(&format!("/servers/{id}")).await;
    assert_eq!(now.ok()["server"]["status"], "running");
    assert_eq!(now.body["server"]["image"]["name"], "debian-13");
}

#[tokio::test]
async fn actions_are_found_in_every_place_they_belong_to() {
    let project = Project::new();
    let (id, volume) = (project.server("a").await, project.volume("v").await);
    let attach =
        project.post(&format!("/volumes/{volume}/actions/attach"), json!({"server": id})).await;
    let attach = attach.created()["action"]["id"].as_u64().expect("an id");
    for path in [
        format!("/actions/{attach}"),
        format!("/servers/actions/{attach}"),
        format!("/volumes/actions/{attach}"),
        format!("/servers/{id}/actions/{attach}"),
        format!("/volumes/{volume}/actions/{attach}"),
    ] {
        assert_eq!(project.get(&path).await.ok()["action"]["id"], attach, "{path}");
    }
    assert_eq!(project.get(&format!("/images/actions/{attach}")).await.status, 404);
    for path in [
        format!("/actions?id={attach}"),
        format!("/servers/{id}/actions?status=running"),
        format!("/volumes/{volume}/actions?sort=id:desc&per_page=1"),
        format!("/volumes/actions?id={attach}"),
    ] {
        assert_eq!(ids(&project.get(&path).await.ok()["actions"]), [attach], "{path}");
    }
}

#[tokio::test]
async fn servers_are_put_into_networks_firewalls_and_groups() {
    let project = Project::new();
    let made = [
        ("network", "/networks", json!({"name": "n", "ip_range": "10.0.0.0/16"})),
        ("firewall", "/firewalls", json!({"name": "f"})),
        ("placement_group", "/placement_groups", json!({"name": "g", "type": "spread"})),
    ];
    let mut made_ids = Vec::new();
    for (key, path, body) in made {
        let answer = project.post(path, body).await;
        made_ids.push(answer.created()[key]["id"].clone());
    }
    let mut body = server("a");
    body["networks"] = json!([made_ids[0]]);
    body["firewalls"] = json!([{"firewall": made_ids[1]}]);
    body["placement_group"] = made_ids[2].clone();
    let answer = project.post("/servers", body).await;
    let made = &answer.created()["server"];
    assert_eq!(made["private_net"][0]["network"], made_ids[0]);
    assert_eq!(made["public_net"]["firewalls"][0]["id"], made_ids[1]);
    assert_eq!(made["placement_group"]["name"], "g");
    let in_use = project.delete(&format!("/firewalls/{}", made_ids[1])).await;
    assert_eq!(in_use.error(), (422, "resource_in_use"));
}
