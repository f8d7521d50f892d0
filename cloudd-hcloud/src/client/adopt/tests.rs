//! Creating at most once: every order of lost answers, taken names and looks.

use serde_json::{Value, json};

use crate::ErrorKind;
use crate::client::testing::{Fake, Reply, action, server};
use crate::client::{Made, Origin};
use crate::schema::{
    CreateImage, CreateServer, CreateSshKey, CreateVolume, IdOrName, Image, ImageId, Label, Labels,
    LocationRef, Server, ServerId, SshKey, Volume, VolumeId, VolumePlace,
};
use crate::{Client, Error};

const CREATE: &str = "POST /servers";
const LOOK: &str = "GET /servers?name=s7&sort=id:asc&page=1&per_page=50";
const ACTIONS: &str = "GET /servers/7/actions?sort=id:asc&page=1&per_page=50";

fn mine() -> Label {
    Label::new("build", "mine").unwrap()
}

fn labels() -> Labels {
    Labels::from([("build".to_owned(), "mine".to_owned())])
}

async fn create_server(client: &Client) -> Result<Made<Server>, Error> {
    let wish = CreateServer::new("s7", IdOrName::name("cx23"), ImageId(1)).labels(labels());
    client.create_server(&wish, &mine()).await
}

fn created() -> Reply {
    let next = [action(2, "start_server", "running", 0)];
    Reply::Json(
        201,
        json!({
            "server": server(7, "initializing", "mine"), "action": action(1, "create_server", "running", 0),
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
async fn an_answered_create_is_one_request() {
    let fake = Fake::script([(CREATE, created())]);
    let made = create_server(&fake.client()).await.unwrap();
    assert_eq!(made.origin, Origin::Created);
    assert_eq!(made.actions.len(), 2, "the action and the next ones");
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_of_a_create_that_happened_is_adopted() {
    for lost in [
        Reply::NoAnswer,
        Reply::TimedOut,
        Reply::Json(201, json!("garbage")),
        Reply::Json(502, json!("<html>")),
        Reply::error(500, "server_error"),
        Reply::error(504, "timeout"),
    ] {
        let fake = Fake::script([(CREATE, lost), (LOOK, found("mine")), (ACTIONS, actions())]);
        let made = create_server(&fake.client()).await.unwrap();
        assert_eq!((made.origin, made.resource.id), (Origin::Adopted, ServerId(7)));
        assert_eq!(made.actions.len(), 2, "ended ones too: one of them may have failed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_request_is_sent_again_after_a_look() {
    let fake = Fake::script([
        (CREATE, Reply::NoAnswer),
        (LOOK, nothing("servers")),
        (CREATE, created()),
        (LOOK, found("mine")),
        (ACTIONS, actions()),
    ]);
    assert_eq!(create_server(&fake.client()).await.unwrap().resource.id, ServerId(7));
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_after_a_lost_answer_is_ours() {
    let fake = Fake::script([
        (CREATE, Reply::NoAnswer),
        // The request was still on its way.
        (LOOK, nothing("servers")),
        (CREATE, Reply::error(409, "uniqueness_error")),
        (LOOK, found("mine")),
        (ACTIONS, actions()),
    ]);
    assert_eq!(create_server(&fake.client()).await.unwrap().origin, Origin::Adopted);
}

#[tokio::test(start_paused = true)]
async fn a_name_that_somebody_else_has_is_an_error() {
    let fake =
        Fake::script([(CREATE, Reply::error(409, "uniqueness_error")), (LOOK, found("theirs"))]);
    let error = create_server(&fake.client()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_somebody_else_is_never_adopted_after_a_lost_answer() {
    let fake = Fake::script([
        (CREATE, Reply::NoAnswer),
        (LOOK, found("theirs")),
        (CREATE, Reply::error(409, "uniqueness_error")),
        (LOOK, found("theirs")),
    ]);
    assert_eq!(create_server(&fake.client()).await.unwrap_err().kind(), ErrorKind::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_sent_is_sent_again_without_a_look() {
    let fake = Fake::script([(CREATE, Reply::NotSent), (CREATE, created())]);
    assert_eq!(create_server(&fake.client()).await.unwrap().origin, Origin::Created);
}

#[tokio::test(start_paused = true)]
async fn answers_that_keep_getting_lost_end_in_an_error_that_says_so() {
    let fake = Fake::new(|request| match request.method.as_str() {
        "POST" => Reply::NoAnswer,
        _ => nothing("servers"),
    });
    let error = create_server(&fake.client()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AnswerLost);
    assert_eq!(fake.requests().iter().filter(|request| *request == CREATE).count(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_leaves_the_answer_lost() {
    let fake = Fake::new(|_| Reply::NoAnswer);
    let error = create_server(&fake.client()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AnswerLost);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.starts_with("list servers"), "{cause}");
    assert_eq!(fake.requests().iter().filter(|request| *request == CREATE).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_sold_out_type_is_named_at_once() {
    for code in ["resource_unavailable", "placement_error", "no_space_left_in_location"] {
        let fake = Fake::script([(CREATE, Reply::error(412, code))]);
        assert_eq!(create_server(&fake.client()).await.unwrap_err().kind(), ErrorKind::NoCapacity);
    }
}

#[tokio::test(start_paused = true)]
async fn volumes_and_keys_are_adopted_alike() {
    let volume = json!({"id": 5, "name": "v", "status": "available", "labels": {"build": "mine"}});
    let fake = Fake::script([
        ("POST /volumes", Reply::NoAnswer),
        (
            "GET /volumes?name=v&sort=id:asc&page=1&per_page=50",
            Reply::Json(200, json!({"volumes": [volume]})),
        ),
        ("GET /volumes/5/actions?sort=id:asc&page=1&per_page=50", nothing("actions")),
    ]);
    let place = VolumePlace::Location(LocationRef::name("fsn1"));
    let wish = CreateVolume::new("v", 10, place).labels(labels());
    let made: Made<Volume> = fake.client().create_volume(&wish, &mine()).await.unwrap();
    assert_eq!((made.origin, made.resource.id), (Origin::Adopted, VolumeId(5)));

    let key = |public_key: &str| json!({"id": 3, "name": "k", "public_key": public_key, "labels": {"build": "mine"}});
    let taken = |key: Value| {
        Fake::script([
            ("POST /ssh_keys", Reply::error(409, "uniqueness_error")),
            (
                "GET /ssh_keys?name=k&sort=id:asc&page=1&per_page=50",
                Reply::Json(200, json!({"ssh_keys": [key]})),
            ),
        ])
    };
    let wish = CreateSshKey::new("k", "ssh-ed25519 AAAA here").labels(labels());
    let made: Made<SshKey> =
        taken(key("ssh-ed25519 AAAA there")).client().create_ssh_key(&wish, &mine()).await.unwrap();
    assert_eq!(made.resource.id.0, 3);
    let error =
        taken(key("ssh-ed25519 BBBB")).client().create_ssh_key(&wish, &mine()).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::AlreadyExists,
        "a key of another build's life lets nobody in"
    );
}

const SNAPSHOT: &str = "POST /servers/7/actions/create_image";
const LOOK_FOR_IMAGE: &str =
    "GET /images?type=snapshot&label_selector=nonce=n1&sort=id:asc&page=1&per_page=50";
const IMAGE_ACTIONS: &str = "GET /images/11/actions?sort=id:asc&page=1&per_page=50";

async fn create_image(client: &Client) -> Result<Made<Image>, Error> {
    let nonce = Label::new("nonce", "n1").unwrap();
    let wish =
        CreateImage::new("leap").labels(Labels::from([("nonce".to_owned(), "n1".to_owned())]));
    client.create_image(ServerId(7), &wish, &nonce).await
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
async fn a_snapshot_whose_answer_was_lost_is_found_by_its_nonce_even_late() {
    let fake = Fake::script([
        (SNAPSHOT, Reply::TimedOut),
        (LOOK_FOR_IMAGE, images(&[])),
        (LOOK_FOR_IMAGE, images(&[])),
        (LOOK_FOR_IMAGE, images(&[11])),
        (
            IMAGE_ACTIONS,
            Reply::Json(200, json!({"actions": [action(9, "create_image", "running", 0)]})),
        ),
    ]);
    let made = create_image(&fake.client()).await.unwrap();
    assert_eq!(
        (made.origin, made.resource.id, made.actions.len()),
        (Origin::Adopted, ImageId(11), 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_lock_after_a_lost_snapshot_is_looked_behind_and_not_waited_out() {
    let look = || (LOOK_FOR_IMAGE, images(&[]));
    let fake = Fake::script([
        (SNAPSHOT, Reply::NoAnswer),
        look(),
        look(),
        look(),
        look(),
        // Waiting for the lock and sending it again would make a second snapshot.
        (SNAPSHOT, Reply::error(423, "locked")),
        (LOOK_FOR_IMAGE, images(&[11])),
        (IMAGE_ACTIONS, nothing("actions")),
    ]);
    assert_eq!(create_image(&fake.client()).await.unwrap().resource.id, ImageId(11));
}

#[tokio::test(start_paused = true)]
async fn a_lock_before_any_loss_is_waited_out() {
    let fake = Fake::script([
        (SNAPSHOT, Reply::error(423, "locked")),
        (SNAPSHOT, Reply::error(423, "locked")),
        (SNAPSHOT, snapshot(11)),
    ]);
    assert_eq!(create_image(&fake.client()).await.unwrap().origin, Origin::Created);
}

#[tokio::test(start_paused = true)]
async fn of_two_snapshots_with_one_nonce_one_stays() {
    let look = || (LOOK_FOR_IMAGE, images(&[]));
    let fake = Fake::script([
        (SNAPSHOT, Reply::NoAnswer),
        look(),
        look(),
        look(),
        look(),
        (SNAPSHOT, snapshot(12)),
        (LOOK_FOR_IMAGE, images(&[11, 12])),
        ("DELETE /images/12", Reply::Json(204, Value::Null)),
        (IMAGE_ACTIONS, nothing("actions")),
    ]);
    assert_eq!(create_image(&fake.client()).await.unwrap().resource.id, ImageId(11));
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_without_its_nonce_is_refused() {
    let wish = CreateImage::new("leap");
    let nonce = Label::new("nonce", "n1").unwrap();
    let error =
        Fake::script([]).client().create_image(ServerId(7), &wish, &nonce).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

const ATTACH: &str = "POST /volumes/5/actions/attach";
const VOLUME_ACTIONS: &str = "GET /volumes/5/actions?sort=id:asc&page=1&per_page=50";

fn volume(server: Option<u64>) -> Reply {
    Reply::Json(
        200,
        json!({"volume": {"id": 5, "name": "v", "status": "available", "server": server}}),
    )
}

#[tokio::test(start_paused = true)]
async fn a_lost_attach_is_found_running_or_done_or_is_sent_again() {
    let attach = || action(9, "attach_volume", "running", 0);
    let running = Reply::Json(200, json!({"actions": [attach()]}));
    let fake = Fake::script([(ATTACH, Reply::NoAnswer), (VOLUME_ACTIONS, running)]);
    assert_eq!(fake.client().attach_volume(VolumeId(5), ServerId(7)).await.unwrap().len(), 1);

    let fake = Fake::script([
        (ATTACH, Reply::NoAnswer),
        (VOLUME_ACTIONS, nothing("actions")),
        ("GET /volumes/5", volume(Some(7))),
    ]);
    assert_eq!(fake.client().attach_volume(VolumeId(5), ServerId(7)).await.unwrap(), []);

    let fake = Fake::script([
        (ATTACH, Reply::NoAnswer),
        (VOLUME_ACTIONS, nothing("actions")),
        ("GET /volumes/5", volume(None)),
        (ATTACH, Reply::Json(201, json!({"action": attach()}))),
        (VOLUME_ACTIONS, Reply::Json(200, json!({"actions": [attach()]}))),
    ]);
    assert_eq!(fake.client().attach_volume(VolumeId(5), ServerId(7)).await.unwrap().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_volume_on_another_server_is_an_error() {
    let fake = Fake::script([
        (ATTACH, Reply::error(422, "volume_already_attached")),
        (VOLUME_ACTIONS, nothing("actions")),
        ("GET /volumes/5", volume(Some(8))),
    ]);
    let error = fake.client().attach_volume(VolumeId(5), ServerId(7)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}
