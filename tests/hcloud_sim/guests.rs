//! Simulated guests: a builder plays its stages, every other server just runs.

use cloudd_core::cloud_init::{CloudConfig, WriteFile};
use cloudd_tests::hcloud_sim::{Contents, GuestScript};
use serde_json::{Value, json};

use super::client::{Project, server};

/// User data as cloudd sends it, for a volume.
fn user_data(volume: u64, context: &str) -> String {
    let volume = format!("/dev/disk/by-id/scsi-0HC_Volume_{volume}");
    let env = format!(
        "CLOUDD_BUILD='ab12cd34ef'\nCLOUDD_VOLUME='{volume}'\nCLOUDD_CONTEXT='{context}'\n"
    );
    let file = WriteFile::new("/var/lib/cloudd/env", env).permissions(0o600);
    let config = CloudConfig::new().write_file(file).render();
    config.expect("user data").gzip_base64()
}

/// A builder with a volume, running; its id.
async fn builder(project: &Project, change: impl FnOnce(&mut Value, u64)) -> u64 {
    let volume = project.volume("v").await;
    let mut body = server("builder");
    body["volumes"] = json!([volume]);
    body["user_data"] = json!(user_data(volume, "file"));
    change(&mut body, volume);
    let made = project.post("/servers", body).await;
    project.pass(20);
    made.created()["server"]["id"].as_u64().expect("an id")
}

async fn is_off(project: &Project, id: u64) -> bool {
    project.get(&format!("/servers/{id}")).await.ok()["server"]["status"] == "off"
}

async fn snapshot_of(project: &Project, id: u64) -> u64 {
    let made = project.post(&format!("/servers/{id}/actions/create_image"), json!({})).await;
    project.pass(75);
    made.created()["image"]["id"].as_u64().expect("an id")
}

#[tokio::test]
async fn a_builder_plays_its_stages_and_powers_off() {
    let project = Project::new();
    let id = builder(&project, |_, _| {}).await;
    project.pass(119);
    assert!(!is_off(&project, id).await);
    project.pass(1);
    assert!(is_off(&project, id).await);
    let image = snapshot_of(&project, id).await;
    assert_eq!(project.sim.contents(image), Contents::Installed);

    // What was installed has no cloud-init of ours: a server of it just runs, whatever it is told.
    let mut body = server("from-it");
    body["image"] = json!(image);
    body["user_data"] = json!(user_data(1, "file"));
    let made = project.post("/servers", body).await;
    project.pass(1000);
    assert!(!is_off(&project, made.created()["server"]["id"].as_u64().expect("an id")).await);
}

#[tokio::test]
async fn builders_fail_as_told() {
    for (script, off, contents) in [
        (GuestScript::FailStage1, false, Contents::System),
        (GuestScript::FailStage2, false, Contents::Broken),
        (GuestScript::Hang, false, Contents::System),
        (GuestScript::CrashStage1, true, Contents::System),
        (GuestScript::Success, true, Contents::Installed),
    ] {
        let project = Project::new();
        project.sim.scripts().push(script);
        let id = builder(&project, |_, _| {}).await;
        project.pass(1000);
        assert_eq!(is_off(&project, id).await, off, "{script:?}");
        let image = snapshot_of(&project, id).await;
        assert_eq!(project.sim.contents(image), contents, "{script:?}");
    }
}

#[tokio::test]
async fn a_snapshot_taken_too_early_holds_the_builder() {
    let project = Project::new();
    let id = builder(&project, |_, _| {}).await;
    project.pass(60);
    let image = snapshot_of(&project, id).await;
    assert_eq!(project.sim.contents(image), Contents::System);
}

#[tokio::test]
async fn a_builder_waits_for_what_does_not_come() {
    let other_volume =
        |body: &mut Value, volume: u64| body["user_data"] = json!(user_data(volume + 1, "file"));
    let upload =
        |body: &mut Value, volume: u64| body["user_data"] = json!(user_data(volume, "upload"));
    let detached = |body: &mut Value, _: u64| body["volumes"] = json!([]);
    let cases: [fn(&mut Value, u64); 3] = [other_volume, upload, detached];
    for change in cases {
        let project = Project::new();
        let id = builder(&project, change).await;
        project.pass(10_000);
        assert!(!is_off(&project, id).await);
    }
}

#[tokio::test]
async fn user_data_is_acted_on_once() {
    let project = Project::new();
    let id = builder(&project, |_, _| {}).await;
    project.pass(30);
    project.post(&format!("/servers/{id}/actions/poweroff"), Value::Null).await.created();
    project.pass(3);
    project.post(&format!("/servers/{id}/actions/poweron"), Value::Null).await.created();
    project.pass(10_000);
    assert!(!is_off(&project, id).await);
}

#[tokio::test]
async fn the_power_button_is_obeyed_unless_the_guest_hangs() {
    for (script, obeys) in [(GuestScript::FailStage1, true), (GuestScript::Hang, false)] {
        let project = Project::new();
        project.sim.scripts().push(script);
        let id = builder(&project, |_, _| {}).await;
        project.post(&format!("/servers/{id}/actions/shutdown"), Value::Null).await.created();
        project.pass(6);
        assert_eq!(is_off(&project, id).await, obeys, "{script:?}");
    }
}
