//! The simulator counts requests, and how late a client noticed what had ended.

use std::time::Duration;

use cloudd_tests::hcloud_sim::Faults;
use serde_json::Value;

use super::client::{Project, server};

#[tokio::test]
async fn requests_are_counted_by_route_and_status() {
    let project = Project::new();
    let id = project.server("a").await;
    for _ in 0..3 {
        project.get(&format!("/servers/{id}")).await.ok();
    }
    project.get("/servers/1").await;
    project.get("/nothing").await;
    project.sim.set_faults(Faults::parse("1:reset").expect("a spec"));
    project.send("GET", "/servers", &Value::Null).await.expect_err("reset");
    let stats = project.sim.stats();
    assert_eq!(stats.requests, 6);
    assert_eq!(stats.by_route["GET /servers/{id}"], 4);
    assert_eq!(stats.requests_to("GET /servers"), 4);
    assert_eq!(stats.requests_to("POST "), 1);
    assert_eq!((stats.by_status[&200], stats.by_status[&404]), (3, 2));
}

#[tokio::test]
async fn the_delay_is_from_the_end_to_the_first_answer_that_shows_it() {
    let project = Project::new();
    let made = project.post("/servers", server("a")).await;
    let create = made.created()["action"]["id"].as_u64().expect("an id");
    let start = made.body["next_actions"][0]["id"].as_u64().expect("an id");
    project.pass(9);
    project.get(&format!("/actions?id={create}&id={start}")).await.ok();
    project.pass(1);
    project.pass_millis(500); // created half a second ago
    project.get(&format!("/actions?id={create}&id={start}")).await.ok();
    project.pass(8); // started three and a half seconds ago
    project.get(&format!("/actions/{start}")).await.ok();
    project.pass(8);
    project.get(&format!("/actions/{start}")).await.ok();

    let stats = project.sim.stats();
    let delays: Vec<_> =
        stats.ended.iter().map(|ended| (ended.what.as_str(), ended.delay())).collect();
    let millis = |n| Some(Duration::from_millis(n));
    assert_eq!(delays, [("create_server", millis(500)), ("start_server", millis(3500))]);
    assert_eq!(stats.mean_delay(), millis(2000));
    assert_eq!(stats.unseen().count(), 0);
}

#[tokio::test]
async fn a_power_off_is_seen_in_the_servers_status() {
    let project = Project::new();
    let id = project.server("a").await;
    project.post(&format!("/servers/{id}/actions/shutdown"), Value::Null).await.created();
    project.pass(10); // signalled nine seconds ago, off four seconds ago
    let unseen = project.sim.stats();
    assert!(unseen.unseen().any(|ended| ended.what == "power_off"));
    project.get("/servers").await.ok();
    let stats = project.sim.stats();
    let off = stats.ended.iter().find(|ended| ended.what == "power_off").expect("an end");
    assert_eq!((off.id, off.delay()), (id, Some(Duration::from_secs(4))));
}
