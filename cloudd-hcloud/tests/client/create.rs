//! Tests of creating at most once: every order of lost responses, taken names and lookups.

use cloudd_core::provider::ErrorKind;
use serde_json::{Value, json};

use super::fake::{Fake, Reply, action, server};
use crate::client::CreateOutcome;
use crate::schema::{
    CreateImage, CreateServer, CreateSshKey, CreateVolume, Image, ImageId, Label, Labels, Server,
    ServerId, VolumeId,
};
use crate::{Client, Error};

const CREATE: &str = "POST /servers";
const LOOK_UP: &str = "GET /servers?name=s7&sort=id:asc&page=1&per_page=50";
const ACTIONS: &str = "GET /servers/7/actions?sort=id:asc&page=1&per_page=50";

fn label() -> Label {
    Label::new("build", "own").unwrap()
}

fn labels() -> Labels {
    Labels::from([("build".to_owned(), "own".to_owned())])
}

async fn create_server(client: &Client) -> Result<CreateOutcome<Server>, Error> {
    let body = CreateServer::new("s7", ImageId(1)).placement("cx23", "fsn1").labels(labels());
    client.create_server(&body, &label()).await
}

fn created() -> Reply {
    let next = [action(2, "start_server", "running", 0)];
    Reply::Json(
        201,
        json!({
            "server": server(7, "initializing", "own"), "action": action(1, "create_server", "running", 0),
            "next_actions": next, "root_password": null,
        }),
    )
}

fn found(build: &str) -> Reply {
    Reply::Json(200, json!({"servers": [server(7, "running", build)], "meta": {}}))
}

fn nothing(key: &str) -> Reply {
    Reply::Json(200, json!({key: Vec::<Value>::new(), "meta": {}}))
}

fn actions() -> Reply {
    let actions =
        [action(1, "create_server", "success", 100), action(2, "start_server", "running", 0)];
    Reply::Json(200, json!({"actions": actions, "meta": {}}))
}

#[tokio::test(start_paused = true)]
async fn a_create_with_a_response_is_one_request() {
    let fake = Fake::script([(CREATE, created())]);
    let outcome = create_server(&fake.client()).await.unwrap();
    assert!(!outcome.was_existing);
    assert_eq!(outcome.actions.len(), 2, "the action and the next ones");
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_response_was_lost_is_adopted() {
    for lost in [
        Reply::NoResponse,
        Reply::TimedOut,
        Reply::Json(201, json!("garbage")),
        Reply::Json(502, json!("<html>")),
        Reply::error(500, "server_error"),
        Reply::error(504, "timeout"),
    ] {
        let fake = Fake::script([(CREATE, lost), (LOOK_UP, found("own")), (ACTIONS, actions())]);
        let outcome = create_server(&fake.client()).await.unwrap();
        assert_eq!((outcome.was_existing, outcome.resource.id), (true, ServerId(7)));
        assert_eq!(outcome.actions.len(), 2, "ended ones too: one of them may have failed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_sent_again_after_a_lookup() {
    let fake = Fake::script([
        (CREATE, Reply::NoResponse),
        (LOOK_UP, nothing("servers")),
        (CREATE, created()),
        (LOOK_UP, found("own")),
        (ACTIONS, actions()),
    ]);
    assert_eq!(create_server(&fake.client()).await.unwrap().resource.id, ServerId(7));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_after_a_lost_response_is_the_callers() {
    let fake = Fake::script([
        (CREATE, Reply::NoResponse),
        // The first request arrives after the lookup.
        (LOOK_UP, nothing("servers")),
        (CREATE, Reply::error(409, "uniqueness_error")),
        (LOOK_UP, found("own")),
        (ACTIONS, actions()),
    ]);
    assert!(create_server(&fake.client()).await.unwrap().was_existing);
}

#[tokio::test(start_paused = true)]
async fn a_name_taken_by_another_server_is_an_error() {
    let fake = Fake::script([
        (CREATE, Reply::error(409, "uniqueness_error")),
        (LOOK_UP, found("foreign")),
    ]);
    let error = create_server(&fake.client()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn another_server_is_never_adopted_after_a_lost_response() {
    let fake = Fake::script([
        (CREATE, Reply::NoResponse),
        (LOOK_UP, found("foreign")),
        (CREATE, Reply::error(409, "uniqueness_error")),
        (LOOK_UP, found("foreign")),
    ]);
    assert_eq!(create_server(&fake.client()).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_not_sent_is_sent_again_without_a_lookup() {
    let fake = Fake::script([(CREATE, Reply::NotSent), (CREATE, created())]);
    assert!(!create_server(&fake.client()).await.unwrap().was_existing);
}

#[tokio::test(start_paused = true)]
async fn after_three_lost_responses_the_outcome_is_unknown() {
    let fake = Fake::new(|request| match request.method.as_str() {
        "POST" => Reply::NoResponse,
        _ => nothing("servers"),
    });
    let error = create_server(&fake.client()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(fake.requests().iter().filter(|request| *request == CREATE).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_lookup_the_outcome_is_unknown() {
    let fake = Fake::new(|_| Reply::NoResponse);
    let error = create_server(&fake.client()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("list servers"), "{cause}");
    assert_eq!(fake.requests().iter().filter(|request| *request == CREATE).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lack_of_capacity_is_reported_at_once() {
    for code in ["resource_unavailable", "placement_error", "no_space_left_in_location"] {
        let fake = Fake::script([(CREATE, Reply::error(412, code))]);
        assert!(create_server(&fake.client()).await.unwrap_err().is_out_of_capacity());
    }
}

#[tokio::test(start_paused = true)]
async fn volumes_and_keys_are_adopted_too() {
    let volume = json!({"id": 5, "name": "v", "status": "available", "labels": {"build": "own"}});
    let fake = Fake::script([
        ("POST /volumes", Reply::NoResponse),
        (
            "GET /volumes?name=v&sort=id:asc&page=1&per_page=50",
            Reply::Json(200, json!({"volumes": [volume]})),
        ),
        ("GET /volumes/5/actions?sort=id:asc&page=1&per_page=50", nothing("actions")),
    ]);
    let body = CreateVolume::new("v", 10, "fsn1").labels(labels());
    let outcome = fake.client().create_volume(&body, &label()).await.unwrap();
    assert_eq!((outcome.was_existing, outcome.resource.id), (true, VolumeId(5)));

    let key = |public_key: &str| json!({"id": 3, "name": "k", "public_key": public_key, "labels": {"build": "own"}});
    let taken = |key: Value| {
        Fake::script([
            ("POST /ssh_keys", Reply::error(409, "uniqueness_error")),
            (
                "GET /ssh_keys?name=k&sort=id:asc&page=1&per_page=50",
                Reply::Json(200, json!({"ssh_keys": [key]})),
            ),
        ])
    };
    let body = CreateSshKey::new("k", "ssh-ed25519 AAAA here").labels(labels());
    let outcome = taken(key("ssh-ed25519 AAAA there"))
        .client()
        .create_ssh_key(&body, &label())
        .await
        .unwrap();
    assert_eq!(outcome.resource.id.0, 3);
    let error =
        taken(key("ssh-ed25519 BBBB")).client().create_ssh_key(&body, &label()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "another key must not be adopted");
}

const SNAPSHOT: &str = "POST /servers/7/actions/create_image";
const LOOK_UP_IMAGE: &str =
    "GET /images?type=snapshot&label_selector=nonce=n1&sort=id:asc&page=1&per_page=50";
const IMAGE_ACTIONS: &str = "GET /images/11/actions?sort=id:asc&page=1&per_page=50";

async fn create_image(client: &Client) -> Result<CreateOutcome<Image>, Error> {
    let nonce = Label::new("nonce", "n1").unwrap();
    let body =
        CreateImage::new("leap").labels(Labels::from([("nonce".to_owned(), "n1".to_owned())]));
    client.create_image(ServerId(7), &body, &nonce).await
}

fn image(id: u64) -> Value {
    json!({"id": id, "type": "snapshot", "status": "creating", "labels": {"nonce": "n1"}})
}

fn snapshot(id: u64) -> Reply {
    Reply::Json(201, json!({"image": image(id), "action": action(9, "create_image", "running", 0)}))
}

fn images(ids: &[u64]) -> Reply {
    Reply::Json(200, json!({"images": ids.iter().map(|id| image(*id)).collect::<Vec<_>>()}))
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_that_appears_late_is_found_by_its_nonce() {
    let fake = Fake::script([
        (SNAPSHOT, Reply::TimedOut),
        (LOOK_UP_IMAGE, images(&[])),
        (LOOK_UP_IMAGE, images(&[])),
        (LOOK_UP_IMAGE, images(&[11])),
        (
            IMAGE_ACTIONS,
            Reply::Json(200, json!({"actions": [action(9, "create_image", "running", 0)]})),
        ),
    ]);
    let outcome = create_image(&fake.client()).await.unwrap();
    assert_eq!(
        (outcome.was_existing, outcome.resource.id, outcome.actions.len()),
        (true, ImageId(11), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_lock_after_a_lost_response_leads_to_a_lookup() {
    let look_up = || (LOOK_UP_IMAGE, images(&[]));
    let fake = Fake::script([
        (SNAPSHOT, Reply::NoResponse),
        look_up(),
        look_up(),
        look_up(),
        look_up(),
        // Waiting for the lock and sending the request again would make a second snapshot.
        (SNAPSHOT, Reply::error(423, "locked")),
        (LOOK_UP_IMAGE, images(&[11])),
        (IMAGE_ACTIONS, nothing("actions")),
    ]);
    assert_eq!(create_image(&fake.client()).await.unwrap().resource.id, ImageId(11));
}

#[tokio::test(start_paused = true)]
async fn a_lock_before_any_loss_is_waited_for() {
    let fake = Fake::script([
        (SNAPSHOT, Reply::error(423, "locked")),
        (SNAPSHOT, Reply::error(423, "locked")),
        (SNAPSHOT, snapshot(11)),
    ]);
    assert!(!create_image(&fake.client()).await.unwrap().was_existing);
}

#[tokio::test(start_paused = true)]
async fn of_two_snapshots_with_one_nonce_one_is_kept() {
    let look_up = || (LOOK_UP_IMAGE, images(&[]));
    let fake = Fake::script([
        (SNAPSHOT, Reply::NoResponse),
        look_up(),
        look_up(),
        look_up(),
        look_up(),
        (SNAPSHOT, snapshot(12)),
        (LOOK_UP_IMAGE, images(&[11, 12])),
        ("DELETE /images/12", Reply::Json(204, Value::Null)),
        (IMAGE_ACTIONS, nothing("actions")),
    ]);
    assert_eq!(create_image(&fake.client()).await.unwrap().resource.id, ImageId(11));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_without_its_nonce_is_rejected() {
    let body = CreateImage::new("leap");
    let nonce = Label::new("nonce", "n1").unwrap();
    let error =
        Fake::script([]).client().create_image(ServerId(7), &body, &nonce).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
