//! Volumes and images from their making to their end.

use serde_json::{Value, json};

use super::client::{Project, action, ids, server};

#[tokio::test]
async fn a_volume_is_attached_grown_and_detached() {
    let project = Project::new();
    let (id, volume) = (project.server("a").await, project.volume("v").await);
    let path = format!("/volumes/{volume}");
    let shown = project.get(&path).await;
    assert_eq!(
        shown.ok()["volume"]["linux_device"],
        format!("/dev/disk/by-id/scsi-0HC_Volume_{volume}")
    );
    assert_eq!(shown.body["volume"]["server"], Value::Null);

    project.post(&format!("{path}/actions/attach"), json!({"server": id})).await.created();
    assert_eq!(project.get(&path).await.ok()["volume"]["server"], Value::Null);
    project.pass(5);
    assert_eq!(project.get(&path).await.ok()["volume"]["server"], id);
    assert_eq!(
        project.get(&format!("/servers/{id}")).await.ok()["server"]["volumes"],
        json!([volume])
    );
    let again = project.post(&format!("{path}/actions/attach"), json!({"server": id})).await;
    assert_eq!(again.error(), (422, "volume_already_attached"));
    assert_eq!(project.delete(&path).await.error(), (422, "service_error"));

    let smaller = project.post(&format!("{path}/actions/resize"), json!({"size": 10})).await;
    assert_eq!(smaller.error(), (422, "invalid_input"));
    project.post(&format!("{path}/actions/resize"), json!({"size": 20})).await.created();
    project.pass(3);
    assert_eq!(project.get(&path).await.ok()["volume"]["size"], 20);

    project.post(&format!("{path}/actions/detach"), Value::Null).await.created();
    project.pass(3);
    assert_eq!(project.delete(&path).await.status, 204);
    assert_eq!(project.delete(&path).await.error(), (404, "not_found"));
}

#[tokio::test]
async fn a_volume_goes_to_a_server_of_its_own_location() {
    let project = Project::new();
    let id = project.server("a").await;
    let far =
        project.post("/volumes", json!({"name": "far", "size": 10, "location": "nbg1"})).await;
    let far = far.created()["volume"]["id"].clone();
    project.pass(5);
    let attach =
        project.post(&format!("/volumes/{far}/actions/attach"), json!({"server": id})).await;
    assert_eq!(attach.error(), (422, "invalid_input"));
    let mut body = server("b");
    body["volumes"] = json!([far]);
    assert_eq!(project.post("/servers", body.clone()).await.error(), (422, "invalid_input"));
    // Without a location, the server goes where the volume is.
    body["location"] = Value::Null;
    let made = project.post("/servers", body).await;
    assert_eq!(made.created()["server"]["location"]["name"], "nbg1");
}

#[tokio::test]
async fn a_server_takes_sixteen_volumes() {
    let project = Project::new();
    let id = project.server("a").await;
    for n in 0..=16 {
        let body = json!({"name": format!("v{n}"), "size": 10, "server": id});
        let made = project.post("/volumes", body).await;
        if n < 16 {
            assert_eq!(made.created()["next_actions"][0]["command"], "attach_volume");
        } else {
            assert_eq!(made.error(), (422, "limit_exceeded_error"));
        }
        project.pass(10);
    }
}

#[tokio::test]
async fn volumes_named_at_creation_are_attached_before_the_start() {
    let project = Project::new();
    let volume = project.volume("v").await;
    let mut body = server("a");
    body["volumes"] = json!([volume]);
    let made = project.post("/servers", body).await;
    let commands: Vec<_> = made.created()["next_actions"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|a| &a["command"])
        .collect();
    assert_eq!(commands, ["attach_volume", "start_server"]);
    project.pass(15);
    assert_eq!(
        project.get(&format!("/volumes/{volume}")).await.ok()["volume"]["server"],
        made.body["server"]["id"]
    );
    assert_eq!(made.body["server"]["status"], "initializing");
    assert_eq!(action(&project, &made.body["next_actions"][1]).await, ("running".to_owned(), 0));
    project.pass(5);
    assert_eq!(action(&project, &made.body["next_actions"][1]).await.0, "success");
}

#[tokio::test]
async fn a_deleted_server_is_gone_at_once_and_its_volume_is_free_a_little_later() {
    let project = Project::new();
    let (id, volume) = (project.server("a").await, project.volume("v").await);
    project
        .post(&format!("/volumes/{volume}/actions/attach"), json!({"server": id}))
        .await
        .created();
    project.pass(5);
    let deleted = project.delete(&format!("/servers/{id}")).await;
    assert_eq!(deleted.ok()["action"]["command"], "delete_server");
    assert_eq!(project.get(&format!("/servers/{id}")).await.status, 404);
    assert_eq!(project.delete(&format!("/servers/{id}")).await.status, 404);
    assert_eq!(ids(&project.get("/servers").await.ok()["servers"]), Vec::<u64>::new());
    assert_eq!(action(&project, &deleted.body["action"]).await, ("running".to_owned(), 0));
    assert_eq!(project.delete(&format!("/volumes/{volume}")).await.error(), (423, "locked"));
    project.pass(5);
    assert_eq!(action(&project, &deleted.body["action"]).await.0, "success");
    assert_eq!(project.delete(&format!("/volumes/{volume}")).await.status, 204);
    assert_eq!(ids(&project.get("/primary_ips").await.ok()["primary_ips"]), Vec::<u64>::new());
}

#[tokio::test]
async fn a_snapshot_is_creating_then_available_and_outlives_its_server() {
    let project = Project::new();
    let id = project.server("a").await;
    let body = json!({"description": "base", "type": "snapshot", "labels": {"role": "base"}});
    let made = project.post(&format!("/servers/{id}/actions/create_image"), body).await;
    let image = &made.created()["image"];
    let path = format!("/images/{}", image["id"]);
    assert_eq!(
        (&image["status"], &image["image_size"], &image["name"]),
        (&json!("creating"), &Value::Null, &Value::Null)
    );
    assert_eq!(image["created_from"], json!({"id": id, "name": "a"}));
    assert_eq!((&image["disk_size"], &image["architecture"]), (&json!(40), &json!("x86")));
    let resources = made.body["action"]["resources"].as_array().map(Vec::len);
    assert_eq!(resources, Some(2));

    let mut early = server("early");
    early["image"] = image["id"].clone();
    assert_eq!(project.post("/servers", early.clone()).await.error(), (422, "service_error"));
    assert_eq!(project.delete(&path).await.error(), (423, "locked"));
    project.pass(74);
    assert_eq!(action(&project, &made.body["action"]).await, ("running".to_owned(), 98));
    project.pass(1);
    let ready = project.get(&path).await;
    assert_eq!(ready.ok()["image"]["status"], "available");
    assert_eq!(ready.body["image"]["image_size"], 1.84);

    assert_eq!(project.delete(&format!("/servers/{id}")).await.status, 200);
    let from_it = project.post("/servers", early).await;
    assert_eq!(from_it.created()["server"]["image"]["description"], "base");
    assert_eq!(project.delete(&path).await.status, 204);
    let orphan = project.get(&format!("/servers/{}", from_it.body["server"]["id"])).await;
    assert_eq!(orphan.ok()["server"]["image"], Value::Null);
}

#[tokio::test]
async fn a_snapshot_needs_a_disk_as_large_as_its_own() {
    let project = Project::new();
    let image = project.snapshot(json!({})).await;
    let body = json!({"name": "small", "server_type": "cx13", "image": image, "location": "nbg1"});
    assert_eq!(project.post("/servers", body).await.error(), (422, "invalid_server_type"));
}

#[tokio::test]
async fn a_backup_needs_backups_and_can_become_a_snapshot() {
    let project = Project::new();
    let id = project.server("a").await;
    let create = format!("/servers/{id}/actions/create_image");
    assert_eq!(
        project.post(&create, json!({"type": "backup"})).await.error(),
        (422, "service_error")
    );
    project.post(&format!("/servers/{id}/actions/enable_backup"), Value::Null).await.created();
    project.pass(1);
    let made = project.post(&create, json!({"type": "backup"})).await;
    assert_eq!(made.created()["image"]["bound_to"], id);
    project.pass(75);
    let path = format!("/images/{}", made.body["image"]["id"]);
    let changed = project.put(&path, json!({"type": "snapshot", "description": "kept"})).await;
    assert_eq!(changed.ok()["image"]["type"], "snapshot");
    assert_eq!(changed.body["image"]["bound_to"], Value::Null);
    assert_eq!(changed.body["image"]["description"], "kept");
}

#[tokio::test]
async fn system_images_are_nobodys_to_change() {
    let project = Project::new();
    assert_eq!(project.delete("/images/330120054").await.error(), (422, "unsupported_error"));
    assert_eq!(
        project.put("/images/330120054", json!({})).await.error(),
        (422, "unsupported_error")
    );
}
