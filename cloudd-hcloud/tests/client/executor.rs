//! Tests of carrying out requests: retries, errors and pages.

use cloudd_core::provider::ErrorKind;
use serde_json::json;
use tokio::time::Instant;

use super::fake::{Fake, Reply, TOKEN, server};
use crate::client::ServerFilter;
use crate::schema::{CreateServer, ImageId, Label, Labels, ServerId};

#[tokio::test(start_paused = true)]
async fn a_read_survives_transient_failures() {
    let fake = Fake::script([
        ("GET /servers/7", Reply::NotSent),
        ("GET /servers/7", Reply::NoResponse),
        ("GET /servers/7", Reply::error(502, "bad_gateway")),
        ("GET /servers/7", Reply::error(429, "rate_limit_exceeded")),
        ("GET /servers/7", Reply::error(423, "locked")),
        ("GET /servers/7", Reply::Json(200, json!({"server": server(7, "off", "b")}))),
    ]);
    assert_eq!(fake.client().server(ServerId(7)).await.unwrap().id, ServerId(7));
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_read_contains_the_number_of_attempts() {
    let fake = Fake::new(|_| Reply::NoResponse);
    let begin = Instant::now();
    let error = fake.client().server(ServerId(7)).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connection, 6));
    assert_eq!(error.to_string(), "read server 7: there was no response (6 attempts)");
    // 31 s of pauses, which are shortened at random by up to a half.
    assert!((15..=32).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn permanent_failures_are_not_retried() {
    for (status, code, kind) in [
        (401, "unauthorized", ErrorKind::Unauthorized),
        (403, "forbidden", ErrorKind::Unauthorized),
        (404, "not_found", ErrorKind::NotFound),
        (422, "invalid_input", ErrorKind::InvalidInput),
    ] {
        let fake = Fake::new(move |_| Reply::error(status, code));
        let error = fake.client().server(ServerId(7)).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (kind, 1));
        assert_eq!(error.correlation_id(), Some("c0ffee"));
    }
}

#[tokio::test(start_paused = true)]
async fn deleting_a_deleted_resource_succeeds() {
    let gone = Fake::new(|_| Reply::error(404, "not_found"));
    assert_eq!(gone.client().delete_server(ServerId(7)).await.unwrap(), None);
    let repeated = Fake::script([
        ("DELETE /servers/7", Reply::NoResponse),
        ("DELETE /servers/7", Reply::error(404, "not_found")),
    ]);
    assert_eq!(repeated.client().delete_server(ServerId(7)).await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_404_without_a_code_does_not_count_as_deleted() {
    let not_the_api = Fake::new(|_| Reply::Json(404, json!("<html>")));
    let error = not_the_api.client().delete_server(ServerId(7)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
}

#[tokio::test(start_paused = true)]
async fn invalid_input_is_rejected_without_any_request() {
    let fake = Fake::script([]);
    let label = Label::new("build", "b").unwrap();
    let body = |name: &str| CreateServer::new(name, ImageId(1)).placement("cx23", "fsn1");
    let labels = Labels::from([("build".to_owned(), "not a label value".to_owned())]);
    for (body, field) in [
        (body("under_score"), "name"),
        (body("s").labels(labels), "labels"),
        (body("s").user_data("x".repeat(40_000)), "user_data"),
    ] {
        let error = fake.client().create_server(&body, &label).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::InvalidInput, 0));
        assert_eq!(error.fields()[0].name, field);
    }
}

#[tokio::test(start_paused = true)]
async fn all_pages_are_read_and_an_item_that_moved_is_returned_once() {
    let page = |ids: &[u64], next: Option<u32>| {
        let servers: Vec<_> = ids.iter().map(|id| server(*id, "running", "b")).collect();
        // `last_page` and `total_entries` may be null.
        let pagination =
            json!({"page": 1, "next_page": next, "last_page": null, "total_entries": null});
        Reply::Json(200, json!({"servers": servers, "meta": {"pagination": pagination}}))
    };
    let fake = Fake::script([
        ("GET /servers?sort=id:asc&page=1&per_page=50", page(&[1, 2], Some(2))),
        ("GET /servers?sort=id:asc&page=2&per_page=50", page(&[2, 3], Some(3))),
        ("GET /servers?sort=id:asc&page=3&per_page=50", page(&[], None)),
    ]);
    let servers = fake.client().servers(&ServerFilter::new()).await.unwrap();
    assert_eq!(servers.iter().map(|server| server.id.0).collect::<Vec<_>>(), [1, 2, 3]);
}

#[tokio::test(start_paused = true)]
async fn page_numbers_that_do_not_increase_are_an_error() {
    let fake = Fake::new(|_| {
        Reply::Json(200, json!({"servers": [], "meta": {"pagination": {"next_page": 1}}}))
    });
    let error = fake.client().servers(&ServerFilter::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn debug_output_of_a_client_hides_the_token() {
    let client = Fake::script([]).client();
    assert!(!format!("{client:?}").contains(&TOKEN[..8]));
}
