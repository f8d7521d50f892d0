//! Carrying out calls: what is tried again, what is not, and what the error says.

use serde_json::json;
use tokio::time::Instant;

use crate::ErrorKind;
use crate::client::testing::{Fake, Reply, TOKEN, action};
use crate::client::{Deletion, ServerFilter};
use crate::schema::{ActionId, CreateServer, IdOrName, ImageId, Label, Labels, ServerId};

#[tokio::test(start_paused = true)]
async fn a_read_survives_passing_failures() {
    let fake = Fake::script([
        ("GET /actions/1", Reply::NotSent),
        ("GET /actions/1", Reply::NoAnswer),
        ("GET /actions/1", Reply::error(502, "bad_gateway")),
        ("GET /actions/1", Reply::error(429, "rate_limit_exceeded")),
        ("GET /actions/1", Reply::error(423, "locked")),
        (
            "GET /actions/1",
            Reply::Json(200, json!({"action": action(1, "start_server", "success", 100)})),
        ),
    ]);
    assert_eq!(fake.client().action(ActionId(1)).await.unwrap().id, ActionId(1));
}

#[tokio::test(start_paused = true)]
async fn a_read_that_keeps_failing_says_how_often_it_was_tried() {
    let fake = Fake::new(|_| Reply::NoAnswer);
    let begin = Instant::now();
    let error = fake.client().server(ServerId(7)).await.unwrap_err();
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Connection, 6));
    assert_eq!(error.to_string(), "read server 7: no answer came back (6 attempts)");
    // 31 s of pauses, shortened to three quarters, and six answers that did not come.
    assert_eq!(begin.elapsed().as_millis(), 23_250 + 600);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_helped_is_not_tried_again() {
    for (status, code, kind) in [
        (401, "unauthorized", ErrorKind::Unauthorized),
        (403, "forbidden", ErrorKind::Forbidden),
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
async fn deleting_what_is_gone_is_no_error() {
    let gone = Fake::new(|_| Reply::error(404, "not_found"));
    assert_eq!(gone.client().delete_server(ServerId(7)).await.unwrap(), Deletion::AlreadyGone);
    let repeated = Fake::script([
        ("DELETE /servers/7", Reply::NoAnswer),
        ("DELETE /servers/7", Reply::error(404, "not_found")),
    ]);
    assert_eq!(repeated.client().delete_server(ServerId(7)).await.unwrap(), Deletion::AlreadyGone);
}

#[tokio::test(start_paused = true)]
async fn a_bare_404_does_not_pass_for_deleted() {
    let not_the_api = Fake::new(|_| Reply::Json(404, json!("<html>")));
    let error = not_the_api.client().delete_server(ServerId(7)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_refused_without_any_request() {
    let fake = Fake::script([]);
    let mine = Label::new("build", "b").unwrap();
    let wish = |name: &str| CreateServer::new(name, IdOrName::name("cx23"), ImageId(1));
    let labels = Labels::from([("build".to_owned(), "not a label value".to_owned())]);
    for (wish, field) in [
        (wish("under_score"), "name"),
        (wish("s").labels(labels), "labels"),
        (wish("s").user_data("x".repeat(40_000)), "user_data"),
    ] {
        let error = fake.client().create_server(&wish, &mine).await.unwrap_err();
        assert_eq!((error.kind(), error.attempts()), (ErrorKind::InvalidInput, 0));
        assert_eq!(error.fields()[0].name, field);
    }
}

#[tokio::test(start_paused = true)]
async fn all_pages_are_read_and_an_item_that_moved_is_taken_once() {
    let page = |ids: &[u64], next: Option<u32>| {
        let servers: Vec<_> =
            ids.iter().map(|id| crate::client::testing::server(*id, "running", "b")).collect();
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
async fn pages_in_a_circle_end_in_an_error() {
    let fake = Fake::new(|_| {
        Reply::Json(200, json!({"servers": [], "meta": {"pagination": {"next_page": 1}}}))
    });
    let error = fake.client().servers(&ServerFilter::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn debug_output_of_a_client_hides_the_token() {
    let client = Fake::script([]).client();
    assert!(!format!("{client:?}").contains(&TOKEN[..8]));
}
