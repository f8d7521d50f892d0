//! Failures that occur only over HTTP.

use cloudd_core::provider::ErrorKind;
use serde_json::json;
use wiremock::ResponseTemplate;

use super::support::{
    Api, IMPATIENT, LATE, answer, client, client_with, error, example, label, labels,
};
use crate::Token;
use crate::schema::{CreateVolume, ServerId, VolumeId};

fn html(status: u16) -> ResponseTemplate {
    let body = "<html><head><title>502 Bad Gateway</title></head></html>";
    ResponseTemplate::new(status).set_body_raw(body, "text/html")
}

fn volume() -> CreateVolume {
    CreateVolume::new("cache-a1", 10, "fsn1").labels(labels())
}

#[tokio::test]
async fn a_response_of_html_from_a_gateway_is_retried() {
    let api = Api::answering([html(502), html(504), answer(200, &example("server"))]).await;
    assert!(api.client().server(ServerId(90017)).await.is_ok());
    assert_eq!(api.lines().len(), 3);
}

#[tokio::test]
async fn an_error_never_contains_html() {
    let api = Api::answering(std::iter::repeat_with(|| html(502)).take(6)).await;
    let error = api.client().server(ServerId(90017)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "read server 90017: the response contains no reason (bad_gateway; HTTP 502; 6 attempts)",
    );
}

#[tokio::test]
async fn a_create_behind_a_failing_gateway_is_looked_up() {
    let mut found = example("volume");
    found["volume"]["labels"] = json!({"cloudd/build": "7f3a"});
    let list = json!({"volumes": [found["volume"]]});
    let api =
        Api::answering([html(502), answer(200, &list), answer(200, &json!({"actions": []}))]).await;
    let made = api.client().create_volume(&volume(), &label()).await.unwrap();
    assert_eq!((made.was_existing, made.resource.id), (true, VolumeId(80005)));
    assert_eq!(api.lines()[1], "GET /v1/volumes?name=cache-a1&sort=id%3Aasc&page=1&per_page=50");
}

#[tokio::test]
async fn a_response_after_the_timeout_is_lost() {
    let late = answer(201, &example("volume-create")).set_delay(LATE);
    let nothing = || answer(200, &json!({"volumes": []}));
    let api =
        Api::answering([late, nothing(), answer(201, &example("volume-create")), nothing()]).await;
    let client = client_with(&api.endpoint(), IMPATIENT);
    assert!(client.create_volume(&volume(), &label()).await.is_ok());
    assert_eq!(api.lines().iter().filter(|line| *line == "POST /v1/volumes").count(), 2);
}

#[tokio::test]
async fn an_unreachable_api_is_a_connection_error() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let error = client(&format!("http://127.0.0.1:{port}/v1"))
        .create_volume(&volume(), &label())
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
    assert_eq!((error.kind(), error.status()), (ErrorKind::Failed, Some(302)));
    assert!(elsewhere.lines().is_empty());
}

#[tokio::test]
async fn details_of_any_shape_are_accepted() {
    for details in [json!(null), json!({}), json!([]), json!({"fields": null}), json!("text")] {
        let body = json!({"error": {"code": "invalid_input", "message": "m", "details": details}});
        let api = Api::answering([answer(422, &body)]).await;
        let error = api.client().server(ServerId(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.fields().is_empty());
    }
}

#[tokio::test]
async fn a_read_only_token_is_rejected_at_the_first_write() {
    for (status, code) in [(401, "token_readonly"), (403, "forbidden")] {
        let api = Api::answering([error(status, code)]).await;
        let error = api.client().create_volume(&volume(), &label()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert_eq!(api.lines().len(), 1);
    }
}

#[tokio::test]
async fn a_malformed_token_sends_nothing() {
    assert_eq!(Token::new("with\nbreak").unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_response_without_end_is_an_error() {
    let flood =
        || ResponseTemplate::new(200).set_body_raw(vec![b' '; 17 << 20], "application/json");
    let api = Api::answering(std::iter::repeat_with(flood).take(6)).await;
    let error = api.client().server(ServerId(90017)).await.unwrap_err();
    let mut report = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        report += &format!(": {cause}");
        source = cause.source();
    }
    assert!(report.contains("longer than 16777216 bytes"), "{report}");
}

#[tokio::test]
async fn a_list_without_end_is_an_error() {
    let pages = (2..).map(|next| {
        answer(200, &json!({"servers": [], "meta": {"pagination": {"next_page": next}}}))
    });
    let api = Api::answering(pages.take(1_100)).await;
    let error = api.client().servers(&crate::client::ServerFilter::new()).await.unwrap_err();
    assert!(error.to_string().contains("more pages"), "{error}");
    assert_eq!(api.lines().len(), 1_000);
}
