//! The exact requests of every method of the client.

use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use super::support::{Api, Seen, answer, example, label, labels};
use crate::client::{DeleteProtection, ImageFilter, ServerFilter, SshKeyFilter, VolumeFilter};
use crate::schema::{
    ActionId, Addresses, Architecture, CreateImage, CreateServer, CreateSshKey, CreateVolume,
    ImageId, ImageStatus, ImageType, Labels, Selector, ServerId, ServerStatus, SshKeyId, VolumeId,
};

/// Checks that a call sends exactly this request, and returns its result.
async fn sends<T, F>(
    answer: ResponseTemplate,
    line: &str,
    body: Option<Value>,
    call: impl FnOnce(crate::Client) -> F,
) -> T
where
    F: Future<Output = Result<T, crate::Error>>,
{
    let api = Api::answering([answer]).await;
    let result = call(api.client()).await;
    assert_eq!(api.seen(), [Seen { line: line.to_owned(), body }]);
    result.unwrap()
}

fn ok(name: &str) -> ResponseTemplate {
    answer(200, &example(name))
}

fn created(name: &str) -> ResponseTemplate {
    answer(201, &example(name))
}

fn list(key: &str) -> ResponseTemplate {
    answer(200, &json!({key: []}))
}

#[tokio::test]
async fn creating_a_server() {
    let body_of_create = CreateServer::new("worker-a1", ImageId(512_345_678))
        .placement("cx23", "fsn1")
        .ssh_key(SshKeyId(30002))
        .volume(VolumeId(80005))
        .user_data("#cloud-config\n{\"runcmd\":[\"echo ä\"]}")
        .addresses(Addresses::Ipv6)
        .labels(labels())
        .stopped();
    let body = json!({
        "name": "worker-a1", "server_type": "cx23", "image": 512_345_678, "location": "fsn1", "ssh_keys": [30002],
        "volumes": [80005], "automount": false, "user_data": "#cloud-config\n{\"runcmd\":[\"echo ä\"]}",
        "public_net": {"enable_ipv4": false, "enable_ipv6": true}, "labels": {"cloudd/build": "7f3a"},
        "start_after_create": false,
    });
    let made =
        sends(created("server-create"), "POST /v1/servers", Some(body), |client| async move {
            client.create_server(&body_of_create, &label()).await
        })
        .await;
    assert_eq!(made.resource.id, ServerId(90017));
    assert_eq!(made.actions.iter().map(|action| action.id.0).collect::<Vec<_>>(), [60001, 60002]);
}

#[tokio::test]
async fn reading_listing_and_changing_servers() {
    sends(ok("server"), "GET /v1/servers/90017", None, |client| async move {
        client.server(ServerId(90017)).await
    })
    .await;
    let filter = ServerFilter::new()
        .selector(Selector::new().equals("cloudd/build", "7f3a").exists("cloudd/phase"))
        .status(ServerStatus::Running)
        .status(ServerStatus::Off);
    let line = "GET /v1/servers?label_selector=cloudd%2Fbuild%3D7f3a%2Ccloudd%2Fphase&status=running&status=off\
                &sort=id%3Aasc&page=1&per_page=50";
    sends(list("servers"), line, None, |client| async move { client.servers(&filter).await }).await;
    let body = json!({"labels": {"cloudd/build": "7f3a"}});
    sends(ok("server"), "PUT /v1/servers/90017", Some(body), |client| async move {
        client.set_server_labels(ServerId(90017), &labels()).await
    })
    .await;
}

#[tokio::test]
async fn power() {
    let action = || created("action-running");
    let id = ServerId(90017);
    sends(action(), "POST /v1/servers/90017/actions/poweron", None, |client| async move {
        client.power_on(id).await
    })
    .await;
    sends(action(), "POST /v1/servers/90017/actions/poweroff", None, |client| async move {
        client.power_off(id).await
    })
    .await;
}

#[tokio::test]
async fn deleting() {
    let deletion =
        sends(ok("server-delete"), "DELETE /v1/servers/90017", None, |client| async move {
            client.delete_server(ServerId(90017)).await
        })
        .await;
    assert_eq!(deletion.unwrap().id, ActionId(60009));
    let empty = || ResponseTemplate::new(204);
    sends(empty(), "DELETE /v1/volumes/5", None, |client| async move {
        client.delete_volume(VolumeId(5)).await
    })
    .await;
    sends(empty(), "DELETE /v1/images/5", None, |client| async move {
        client.delete_image(ImageId(5)).await
    })
    .await;
    sends(empty(), "DELETE /v1/ssh_keys/5", None, |client| async move {
        client.delete_ssh_key(SshKeyId(5)).await
    })
    .await;
}

#[tokio::test]
async fn volumes() {
    let body_of_create = CreateVolume::new("cache-a1", 10, "fsn1").labels(labels());
    let body = json!({"name": "cache-a1", "size": 10, "location": "fsn1", "labels": {"cloudd/build": "7f3a"}});
    sends(created("volume-create"), "POST /v1/volumes", Some(body), |client| async move {
        client.create_volume(&body_of_create, &label()).await
    })
    .await;
    sends(ok("volume"), "GET /v1/volumes/80005", None, |client| async move {
        client.volume(VolumeId(80005)).await
    })
    .await;
    let line = "GET /v1/volumes?name=cache-a1&sort=id%3Aasc&page=1&per_page=50";
    sends(list("volumes"), line, None, |client| async move {
        client.volumes(&VolumeFilter::new().name("cache-a1")).await
    })
    .await;
    let body = json!({"labels": {}});
    sends(ok("volume"), "PUT /v1/volumes/80005", Some(body), |client| async move {
        client.set_volume_labels(VolumeId(80005), &Labels::new()).await
    })
    .await;
}

#[tokio::test]
async fn images() {
    let body_of_create = CreateImage::new("cloudd base 7f3a").labels(labels());
    let body = json!({"type": "snapshot", "description": "cloudd base 7f3a", "labels": {"cloudd/build": "7f3a"}});
    sends(
        created("image-create"),
        "POST /v1/servers/90017/actions/create_image",
        Some(body),
        |client| async move { client.create_image(ServerId(90017), &body_of_create, &label()).await },
    )
    .await;
    sends(
        ok("image"),
        "GET /v1/images/7",
        None,
        |client| async move { client.image(ImageId(7)).await },
    )
    .await;
    let filter = ImageFilter::new()
        .kind(ImageType::Snapshot)
        .kind(ImageType::Backup)
        .status(ImageStatus::Available)
        .selector(&label())
        .architecture(Architecture::Arm);
    let line = "GET /v1/images?type=snapshot&type=backup&status=available&label_selector=cloudd%2Fbuild%3D7f3a\
                &architecture=arm&sort=id%3Aasc&page=1&per_page=50";
    sends(list("images"), line, None, |client| async move { client.images(&filter).await }).await;
    let body = json!({"labels": {"cloudd/build": "7f3a"}});
    sends(ok("image"), "PUT /v1/images/7", Some(body), |client| async move {
        client.set_image_labels(ImageId(7), &labels()).await
    })
    .await;
    let line = "POST /v1/images/7/actions/change_protection";
    sends(created("action-running"), line, Some(json!({"delete": true})), |client| async move {
        client.protect_image(ImageId(7), DeleteProtection::On).await
    })
    .await;
}

#[tokio::test]
async fn ssh_keys() {
    let body_of_create =
        CreateSshKey::new("cloudd-7f3a", "ssh-ed25519 AAAA cloudd").labels(labels());
    let body = json!({
        "name": "cloudd-7f3a", "public_key": "ssh-ed25519 AAAA cloudd", "labels": {"cloudd/build": "7f3a"},
    });
    sends(created("ssh_key"), "POST /v1/ssh_keys", Some(body), |client| async move {
        client.create_ssh_key(&body_of_create, &label()).await
    })
    .await;
    let line = "GET /v1/ssh_keys?name=k&sort=id%3Aasc&page=1&per_page=50";
    sends(list("ssh_keys"), line, None, |client| async move {
        client.ssh_keys(&SshKeyFilter::new().name("k")).await
    })
    .await;
    sends(ok("ssh_key"), "GET /v1/ssh_keys/7", None, |client| async move {
        client.ssh_key(SshKeyId(7)).await
    })
    .await;
    let body = json!({"labels": {"cloudd/build": "7f3a"}});
    sends(ok("ssh_key"), "PUT /v1/ssh_keys/7", Some(body), |client| async move {
        client.set_ssh_key_labels(SshKeyId(7), &labels()).await
    })
    .await;
}

#[tokio::test]
async fn server_types_and_prices() {
    let types =
        answer(200, &json!({"server_types": [example("server_type")["server_type"]], "meta": {}}));
    let line = "GET /v1/server_types?page=1&per_page=50";
    let types = sends(types, line, None, |client| async move { client.server_types().await }).await;
    assert_eq!(types[0].name, "cx23");
    let prices = answer(200, &json!({"pricing": {"currency": "EUR"}}));
    let prices =
        sends(prices, "GET /v1/pricing", None, |client| async move { client.pricing().await })
            .await;
    assert_eq!(prices.currency, "EUR");
}
