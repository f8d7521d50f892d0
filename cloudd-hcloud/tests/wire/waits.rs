//! Waiting over HTTP.

use std::time::Duration;

use serde_json::{Value, json};

use super::support::{Api, answer, example};
use crate::schema::{Action, Selector, ServerId, ServerStatus};

const SOON: Duration = Duration::from_secs(10);

fn action(id: u64, status: &str) -> Value {
    let mut action = example("action-running")["action"].clone();
    (action["id"], action["status"]) = (json!(id), json!(status));
    action
}

fn read(action: Value) -> Action {
    serde_json::from_value(action).unwrap()
}

#[tokio::test]
async fn actions_are_polled_together_with_a_repeated_key() {
    let list =
        |one, two| answer(200, &json!({"actions": [action(60001, one), action(60002, two)]}));
    let api = Api::answering([list("running", "running"), list("success", "success")]).await;
    let actions = [read(action(60001, "running")), read(action(60002, "running"))];
    let ended = api.client().wait(actions, SOON).await.unwrap();
    assert!(ended.iter().all(Action::is_ended));
    assert_eq!(api.lines(), ["GET /v1/actions?id=60001&id=60002"; 2]);
}

#[tokio::test]
async fn a_server_is_polled_until_it_is_off() {
    let server = |status: &str| {
        let mut server = example("server");
        server["server"]["status"] = json!(status);
        answer(200, &server)
    };
    let api =
        Api::answering([server("running"), server("a_status_of_next_year"), server("off")]).await;
    let selector = Selector::new().exists("cloudd/build");
    let (off, expected) = ([ServerStatus::Off], Duration::from_millis(50));
    let client = api.client();
    let server = client.wait_for_server(ServerId(90017), &selector, &off, expected, SOON);
    let server = server.await.unwrap();
    assert_eq!(server.status, ServerStatus::Off);
    assert_eq!(api.lines(), ["GET /v1/servers/90017"; 3]);
}
