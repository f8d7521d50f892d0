//! Failures that only real HTTP has.

use cloudd_hcloud::client::Origin;
use cloudd_hcloud::schema::{CreateVolume, LocationRef, ServerId, VolumeId, VolumePlace};
use cloudd_hcloud::{ErrorKind, Token};
use serde_json::json;
use wiremock::ResponseTemplate;

use super::support::{
    Api, IMPATIENT, LATE, answer, client, client_with, error, example, labels, mine,
};

fn html(status: u16) -> ResponseTemplate {
    let body = "<html><head><title>502 Bad Gateway</title></head></html>";
    ResponseTemplate::new(status).set_body_raw(body, "text/html")
}

fn volume() -> CreateVolume {
    CreateVolume::new("cache-a1", 10, VolumePlace::Location(LocationRef::name("fsn1")))
        .labels(labels())
}

#[tokio::test]
async fn a_gateway_that_answers_with_html_is_asked_again() {
    let api = Api::answering([html(502), html(504), answer(200, &example("server"))]).await;
    assert!(api.client().server(ServerId(90017)).await.is_ok());
    assert_eq!(api.lines().len(), 3);
}

#[tokio::test]
async fn html_is_never_part_of_an_error() {
    let api = Api::answering(std::iter::repeat_with(|| html(502)).take(6)).await;
    let error = api.client().server(ServerId(90017)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "read server 90017: an answer without a reason (bad_gateway; HTTP 502; 6 attempts)",
    );
}

#[tokio::test]
async fn a_create_behind_a_failing_gateway_is_looked_for() {
    let mut found = example("volume");
    found["volume"]["labels"] = json!({"cloudd/build": "7f3a"});
    let list = json!({"volumes": [found["volume"]]});
    let api =
        Api::answering([html(502), answer(200, &list), answer(200, &json!({"actions": []}))]).await;
    let made = api.client().create_volume(&volume(), &mine()).await.unwrap();
    assert_eq!((made.origin, made.resource.id), (Origin::Adopted, VolumeId(80005)));
    assert_eq!(api.lines()[1], "GET /v1/volumes?name=cache-a1&sort=id%3Aasc&page=1&per_page=50");
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_lost() {
    let late = answer(201, &example("volume-create")).set_delay(LATE);
    let nothing = || answer(200, &json!({"volumes": []}));
    let api =
        Api::answering([late, nothing(), answer(201, &example("volume-create")), nothing()]).await;
    let client = client_with(&api.endpoint(), IMPATIENT);
    assert!(client.create_volume(&volume(), &mine()).await.is_ok());
    assert_eq!(api.lines().iter().filter(|line| *line == "POST /v1/volumes").count(), 2);
}

#[tokio::test]
async fn nobody_at_home_is_a_connection_error_and_nothing_was_sent() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = client(&format!("http://127.0.0.1:{port}/v1"))
        .create_volume(&volume(), &mine())
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connection, 6));
    assert!(
        error.to_string().starts_with("create volume cache-a1: the API was not reached"),
        "{error}"
    );
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = Api::answering([answer(200, &example("server"))]).await;
    let redirect =
        ResponseTemplate::new(302).insert_header("Location", "http://127.0.0.1:9/v1/servers/90017");
    let api = Api::answering([redirect]).await;
    let error = api.client().server(ServerId(90017)).await.unwrap_err();
    assert_eq!((error.kind(), error.status()), (ErrorKind::Refused, Some(302)));
    assert!(elsewhere.lines().is_empty());
}

#[tokio::test]
async fn details_of_any_shape_are_taken() {
    for details in [json!(null), json!({}), json!([]), json!({"fields": null}), json!("text")] {
        let body = json!({"error": {"code": "invalid_input", "message": "m", "details": details}});
        let api = Api::answering([answer(422, &body)]).await;
        let error = api.client().server(ServerId(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.fields().is_empty());
    }
}

#[tokio::test]
async fn a_read_only_token_is_refused_at_the_first_write() {
    for (status, code) in [(401, "token_readonly"), (403, "forbidden")] {
        let api = Api::answering([error(status, code)]).await;
        let error = api.client().create_volume(&volume(), &mine()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        assert_eq!(api.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_malformed_token_sends_nothing() {
    assert_eq!(Token::new("with\nbreak").unwrap_err().kind(), ErrorKind::Config);
}
