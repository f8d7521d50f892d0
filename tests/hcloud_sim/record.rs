//! The record: every exchange, no token.

use std::fs::{self, File};

use cloudd_tests::hcloud_sim::{Faults, HcloudSim};
use serde_json::{Value, json};

use super::client::{Project, server};

#[tokio::test]
async fn every_exchange_is_a_line_and_no_token_is_in_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("record.jsonl");
    let builder = HcloudSim::builder()
        .record(File::create(&path).expect("a file"))
        .faults(Faults::parse("4:reset@after; 5:status=502").expect("a spec"));
    let project = Project::with(builder);
    project.get("/servers?label_selector=a%3Db&page=1").await.ok();
    project.post("/servers", server("a")).await.created();
    // A token where none belongs, and a wrong one.
    let misplaced = json!({"name": "k", "public_key": HcloudSim::TOKEN});
    project.post("/ssh_keys", misplaced).await;
    project.send("GET", "/servers", &Value::Null).await.expect_err("reset");
    project.get("/servers").await;
    let project = project.token("a-wrong-token-somebody-pasted");
    project.get("/images?name=a-wrong-token-somebody-pasted").await;

    let text = fs::read_to_string(&path).expect("a record");
    assert!(!text.contains(HcloudSim::TOKEN), "{text}");
    assert!(!text.contains("a-wrong-token"), "{text}");
    assert!(!text.to_lowercase().contains("authorization"), "{text}");
    let lines: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let column = |key: &str| lines.iter().map(|line| line[key].clone()).collect::<Vec<_>>();
    assert_eq!(column("call"), [1, 2, 3, 4, 5, 6]);
    assert_eq!(column("method"), ["GET", "POST", "POST", "GET", "GET", "GET"]);
    assert_eq!(
        column("status"),
        [json!(200), json!(201), json!(422), Value::Null, json!(502), json!(401)]
    );

    let (list, create) = (&lines[0], &lines[1]);
    assert_eq!(list["path"], "/v1/servers");
    assert_eq!(list["query"], "label_selector=a%3Db&page=1");
    assert_eq!(list["request_body"], Value::Null);
    assert_eq!(list["response_headers"]["ratelimit-remaining"], "3599");
    assert_eq!(create["request_body"], server("a"));
    assert_eq!(create["request_headers"]["content-type"], "application/json");
    assert_eq!(create["response_body"]["server"]["name"], "a");
    assert_eq!(lines[2]["request_body"]["public_key"], "<token>");
    assert_eq!(lines[3]["fault"], "Reset After");
    assert!(lines[4]["response_body"].as_str().is_some_and(|page| page.starts_with("<html>")));
}

#[tokio::test]
async fn a_token_of_one_letter_does_not_spoil_the_record() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("record.jsonl");
    let record = File::create(&path).expect("a file");
    let project = Project::with(HcloudSim::builder().token("T").record(record)).token("T");
    project.post("/servers", server("Tower")).await.created();
    let text = fs::read_to_string(&path).expect("a record");
    assert!(!text.contains("Bearer"), "{text}");
    let line: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(line["method"], "POST");
    assert_eq!(line["request_body"]["name"], "Tower");
}
