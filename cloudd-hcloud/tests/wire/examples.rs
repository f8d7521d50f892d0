//! The API's examples are read correctly.

use cloudd_core::provider::ErrorKind;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::support::{Api, answer, example, labels};
use crate::client::ServerFilter;
use crate::schema::{
    Action, ActionStatus, Architecture, Command, CreateImage, Image, ImageStatus, ImageType, Label,
    Server, ServerId, ServerStatus, ServerType, SshKey, Volume,
};

fn object<T: DeserializeOwned>(name: &str, key: &str) -> T {
    serde_json::from_value(example(name)[key].clone()).unwrap()
}

#[test]
fn a_server() {
    for (name, status) in
        [("server", ServerStatus::Running), ("server-create", ServerStatus::Initializing)]
    {
        let server: Server = object(name, "server");
        assert_eq!(
            (server.id, server.name.as_str(), server.status),
            (ServerId(90017), "worker-a1", status)
        );
        assert_eq!(server.public_net.ipv4().unwrap().to_string(), "192.0.2.17");
        assert_eq!(server.public_net.ipv6().unwrap().to_string(), "2001:db8:17::1");
        assert_eq!(server.location.unwrap().name, "fsn1");
        assert_eq!(server.labels["cloudd.example/pool"], "ci");
    }
}

#[test]
fn a_volume() {
    let volume: Volume = object("volume", "volume");
    assert_eq!((volume.id.0, volume.server), (80005, Some(ServerId(90017))));
    let created: Volume = object("volume-create", "volume");
    assert_eq!(created.server, None);
}

#[test]
fn an_image() {
    let image: Image = object("image", "image");
    assert_eq!(
        (image.kind.clone(), image.status.clone()),
        (ImageType::Snapshot, ImageStatus::Available)
    );
    assert_eq!((image.name.as_deref(), image.image_size), (None, Some(1.84)));
    assert_eq!(image.architecture, Some(Architecture::X86));
    assert!(image.created.is_some());
    assert!(!image.is_deprecated());
    let creating: Image = object("image-create", "image");
    assert_eq!((creating.status, creating.image_size), (ImageStatus::Creating, None));
}

#[test]
fn actions() {
    for (name, command, status) in [
        ("action-running", Command::CreateServer, ActionStatus::Running),
        ("action-success", Command::CreateServer, ActionStatus::Success),
        ("action-error", Command::AttachVolume, ActionStatus::Error),
        ("image-create", Command::CreateImage, ActionStatus::Running),
        ("server-delete", Command::DeleteServer, ActionStatus::Running),
        ("volume-create", Command::CreateVolume, ActionStatus::Running),
        ("rescue-enable", Command::Other("enable_rescue".to_owned()), ActionStatus::Running),
    ] {
        let action: Action = object(name, "action");
        assert_eq!((action.command, action.status), (command, status), "{name}");
    }
    let list: Vec<Action> = object("action-list", "actions");
    assert!(list[0].is_ended() && !list[1].is_ended());
}

#[test]
fn a_key_and_a_server_type() {
    let key: SshKey = object("ssh_key", "ssh_key");
    assert!(key.is_same_key(example("ssh_key")["ssh_key"]["public_key"].as_str().unwrap()));
    let server_type: ServerType = object("server_type", "server_type");
    let price = server_type.price("fsn1").unwrap().price_hourly.unwrap();
    assert_eq!(price.net.to_string(), "0.0056000000");
    let now = "2026-11-20T09:00:00Z".parse().unwrap();
    assert!(server_type.is_orderable("fsn1", now) && !server_type.is_orderable("nbg1", now));
}

#[tokio::test]
async fn a_list_that_goes_on_is_followed() {
    let mut second = example("server-list");
    second["servers"][0]["id"] = json!(90018);
    second["meta"]["pagination"] = json!({"page": 2, "per_page": 50, "next_page": null});
    let mut first = example("server-list");
    first["meta"] = example("meta");
    let api = Api::answering([answer(200, &first), answer(200, &second)]).await;
    let servers = api.client().servers(&ServerFilter::new()).await.unwrap();
    assert_eq!(servers.iter().map(|server| server.id.0).collect::<Vec<_>>(), [90017, 90018]);
}

#[tokio::test]
async fn the_error_examples() {
    for (name, status, kind, field) in [
        ("error-deprecated-endpoint", 410, ErrorKind::Unsupported, None),
        ("error-invalid-input", 422, ErrorKind::InvalidInput, Some("size")),
        ("error-limit", 403, ErrorKind::QuotaExceeded, Some("server_limit")),
        ("error-not-found", 404, ErrorKind::NotFound, None),
        ("error-uniqueness", 409, ErrorKind::AlreadyExists, None),
    ] {
        let api = Api::answering([answer(status, &example(name))]).await;
        let error = api.client().server(ServerId(1)).await.unwrap_err();
        assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{name}");
        assert_eq!(
            error.code().unwrap().as_str(),
            example(name)["error"]["code"].as_str().unwrap()
        );
        assert_eq!(error.correlation_id(), Some("c0ffee"));
        assert_eq!(error.fields().first().map(|field| field.name.as_str()), field, "{name}");
    }
}

#[tokio::test]
async fn a_snapshot_and_its_action() {
    let created = answer(201, &example("image-create"));
    let mut done = example("action-success")["action"].clone();
    done["id"] = json!(60007);
    let api = Api::answering([created, answer(200, &json!({"actions": [done]}))]).await;
    let client = api.client();
    let (body, nonce) =
        (CreateImage::new("x").labels(labels()), Label::new("cloudd/build", "7f3a").unwrap());
    let made = client.create_image(ServerId(90017), &body, &nonce).await.unwrap();
    assert_eq!(made.resource.status, ImageStatus::Creating);
    client.wait(made.actions, std::time::Duration::from_secs(5)).await.unwrap();
    assert_eq!(api.lines()[1], "GET /v1/actions?id=60007");
}
