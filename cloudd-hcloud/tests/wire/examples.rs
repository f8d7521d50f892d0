//! Every example of the API is read, and says what it says.

use cloudd_hcloud::ErrorKind;
use cloudd_hcloud::client::{ActionWait, ServerFilter};
use cloudd_hcloud::schema::{
    Action, ActionStatus, Architecture, Command, CreateImage, Image, ImageId, ImageStatus,
    ImageType, Label, Location, Server, ServerId, ServerStatus, ServerType, SshKey, Volume,
    VolumeStatus,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::support::{Api, answer, example, labels};

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
        assert_eq!(server.public_net.ipv4.unwrap().ip.to_string(), "192.0.2.17");
        assert_eq!(server.public_net.ipv6.unwrap().host().unwrap().to_string(), "2001:db8:17::1");
        assert_eq!(server.server_type.unwrap().name, "cx23");
        assert_eq!(server.location.unwrap().name, "fsn1");
        assert_eq!(server.image.unwrap().id, ImageId(512_345_678));
        assert_eq!(server.labels["cloudd.example/pool"], "ci");
        assert!(!server.locked && !server.protection.delete);
    }
}

#[test]
fn a_volume() {
    let volume: Volume = object("volume", "volume");
    assert_eq!(volume.server, Some(ServerId(90017)));
    assert_eq!(volume.linux_device, "/dev/disk/by-id/scsi-0HC_Volume_80005");
    assert_eq!(volume.status, VolumeStatus::Available);
    let created: Volume = object("volume-create", "volume");
    assert_eq!((created.server, created.status), (None, VolumeStatus::Creating));
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
    assert_eq!(image.created_from.as_ref().unwrap().name, "builder-1");
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
        assert!(action.started.is_some(), "{name}");
    }
    let list: Vec<Action> = object("action-list", "actions");
    assert_eq!(list[0].finished.unwrap().since(list[0].started.unwrap()).as_secs(), 21);
    assert_eq!(list[1].finished, None);
}

#[test]
fn a_key_a_type_and_a_location() {
    let key: SshKey = object("ssh_key", "ssh_key");
    assert_eq!(key.name, "cloudd-build-7f3a");
    let server_type: ServerType = object("server_type", "server_type");
    let price = server_type.price("fsn1").unwrap().price_hourly.unwrap();
    assert_eq!(price.net.to_string(), "0.0056000000");
    let now = cloudd_hcloud::schema::Timestamp::parse("2026-11-20T09:00:00Z").unwrap();
    assert!(server_type.is_orderable("fsn1", now) && !server_type.is_orderable("nbg1", now));
    let location: Location = object("location", "location");
    assert_eq!((location.country.as_str(), location.network_zone.as_str()), ("DE", "eu-central"));
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
        ("error-deprecated-endpoint", 410, ErrorKind::Removed, None),
        ("error-invalid-input", 422, ErrorKind::InvalidInput, Some("size")),
        ("error-limit", 403, ErrorKind::LimitReached, Some("server_limit")),
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
    let (wish, nonce) =
        (CreateImage::new("x").labels(labels()), Label::new("cloudd/build", "7f3a").unwrap());
    let made = client.create_image(ServerId(90017), &wish, &nonce).await.unwrap();
    assert_eq!(made.resource.status, ImageStatus::Creating);
    client.wait(ActionWait::new(made.actions, std::time::Duration::from_secs(5))).await.unwrap();
    assert_eq!(api.lines()[1], "GET /v1/actions?id=60007");
}
