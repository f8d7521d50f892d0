//! The request quota and the project's limits.

use cloudd_tests::hcloud_sim::{HcloudSim, Quotas};
use serde_json::json;

use super::client::{Project, server};

fn quota(answer: &super::client::Answer) -> (u64, u64, u64) {
    let number = |name| answer.header(name).parse().expect("a number");
    (number("ratelimit-limit"), number("ratelimit-remaining"), number("ratelimit-reset"))
}

#[tokio::test]
async fn every_answer_says_what_is_left_and_the_bucket_refills_by_the_second() {
    let project = Project::new();
    let (limit, remaining, reset) = quota(&project.get("/servers").await);
    assert_eq!((limit, remaining), (3600, 3599));
    let (_, _, later) = quota(&project.get("/nothing").await);
    assert_eq!(later, reset + 1);
    project.pass(2);
    let (_, remaining, _) = quota(&project.delete("/servers/1").await);
    assert_eq!(remaining, 3599);
}

#[tokio::test]
async fn an_empty_bucket_answers_429_until_a_moment_has_passed() {
    let project = Project::with(HcloudSim::builder().rate_limit(60));
    for left in (0..60).rev() {
        let answer = project.get("/servers").await;
        answer.ok();
        assert_eq!(quota(&answer).1, left);
    }
    let empty = project.get("/servers").await;
    assert_eq!(empty.error(), (429, "rate_limit_exceeded"));
    assert_eq!(quota(&empty).1, 0);
    // A refused write has no effect.
    assert_eq!(project.post("/servers", server("a")).await.error().0, 429);
    assert_eq!(project.sim.inventory().servers, []);
    // A request a minute comes back, long before the bucket is full.
    project.pass(59);
    assert_eq!(project.get("/servers").await.status, 429);
    project.pass(1);
    project.get("/servers").await.ok();
    assert_eq!(project.get("/servers").await.status, 429);
}

#[tokio::test]
async fn a_full_project_takes_no_more() {
    let quotas = Quotas { servers: 1, volumes: 1, snapshots: 1, ..Quotas::default() };
    let project = Project::with(HcloudSim::builder().quotas(quotas));
    let source = project.server("a").await;
    project.volume("v").await;
    let path = format!("/servers/{source}/actions/create_image");
    project.post(&path, json!({})).await.created();
    project.pass(75);
    for (path, body, limit) in [
        ("/servers", server("b"), "server_limit"),
        ("/volumes", json!({"name": "w", "size": 10, "location": "fsn1"}), "volume_limit"),
        (path.as_str(), json!({}), "snapshot_limit"),
    ] {
        let answer = project.post(path, body).await;
        assert_eq!(answer.error(), (403, "resource_limit_exceeded"), "{path}");
        assert_eq!(answer.body["error"]["details"]["limits"][0]["name"], limit);
    }
}
