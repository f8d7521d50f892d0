//! Scripted faults do what they say, and nothing else.

use std::error::Error;
use std::io;
use std::time::{Duration, Instant};

use cloudd_tests::hcloud_sim::{Faults, HcloudSim};
use serde_json::{Value, json};

use super::client::{Project, server};

fn project(spec: &str) -> Project {
    Project::with(HcloudSim::builder().faults(Faults::parse(spec).expect("a spec")))
}

/// Whether the server of a request exists after a fault.
async fn after(spec: &str) -> (Result<(u16, String), reqwest::Error>, usize) {
    let project = project(spec);
    let sent = project.send("POST", "/servers", &server("a")).await;
    let answer = sent.map(|answer| (answer.status, answer.text));
    let made = project.sim.inventory().servers.len();
    // The next call is not struck.
    project.get("/servers").await.ok();
    (answer, made)
}

fn is_reset(error: &reqwest::Error) -> bool {
    let mut source = error.source();
    while let Some(inner) = source {
        if inner
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::ConnectionReset)
        {
            return true;
        }
        source = inner.source();
    }
    false
}

#[tokio::test]
async fn a_reset_before_the_effect_leaves_nothing_and_after_it_everything() {
    for (when, expected) in [("before", 0), ("after", 1)] {
        let (answer, made) = after(&format!("1:reset@{when}")).await;
        let error = answer.expect_err("no answer");
        assert!(is_reset(&error), "{when}: {error:?}");
        assert_eq!(made, expected, "{when}");
    }
}

#[tokio::test]
async fn a_held_request_is_never_answered_and_has_its_effect_or_not() {
    for (when, expected) in [("before", 0), ("after", 1)] {
        let project = project(&format!("1:hold@{when}"));
        let wish = server("a");
        tokio::select! {
            answer = project.send("POST", "/servers", &wish) => panic!("{:?}", answer.is_ok()),
            () = project.sim.held() => {}
        }
        assert_eq!(project.sim.inventory().servers.len(), expected, "{when}");
        // The next call is not struck.
        project.get("/servers").await.ok();
    }
}

#[tokio::test]
async fn an_error_is_the_apis_own_with_its_headers() {
    for (when, expected) in [("before", 0), ("after", 1)] {
        let project = project(&format!("1:error=conflict@{when}"));
        let answer = project.post("/servers", server("a")).await;
        assert_eq!(answer.error(), (409, "conflict"));
        assert_eq!(answer.header("ratelimit-remaining"), "3599");
        assert_eq!(answer.header("x-correlation-id").len(), 16);
        assert_eq!(project.sim.inventory().servers.len(), expected, "{when}");
    }
}

#[tokio::test]
async fn a_scripted_429_says_that_nothing_is_left() {
    let project = project("1:error=rate_limit_exceeded");
    let answer = project.get("/servers").await;
    assert_eq!(answer.error(), (429, "rate_limit_exceeded"));
    assert_eq!(answer.header("ratelimit-remaining"), "0");
}

#[tokio::test]
async fn a_gateways_status_comes_with_a_page() {
    for (when, expected) in [("before", 0), ("after", 1)] {
        let (answer, made) = after(&format!("1:status=502@{when}")).await;
        let (status, page) = answer.expect("an answer");
        assert_eq!((status, made), (502, expected), "{when}");
        assert!(page.starts_with("<html>"), "{page}");
    }
}

#[tokio::test]
async fn garbage_is_no_json() {
    let (answer, made) = after("1:garbage").await;
    let (status, body) = answer.expect("an answer");
    assert_eq!((status, made), (200, 1));
    assert!(serde_json::from_str::<Value>(&body).is_err(), "{body}");
}

#[tokio::test]
async fn a_delay_is_real_time_and_the_answer_true() {
    let project = project("1:delay=300ms");
    let asked = Instant::now();
    project.post("/servers", server("a")).await.created();
    assert!(asked.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn a_request_has_its_effect_also_when_the_client_stops_waiting() {
    let project = project("1:delay=30s");
    let body = server("a");
    let mut asking = Box::pin(project.send("POST", "/servers", &body));
    let mut waits = 0;
    while project.sim.inventory().servers.is_empty() {
        let asked = tokio::time::timeout(Duration::from_millis(10), &mut asking).await;
        asked.expect_err("the answer is half a minute late");
        waits += 1;
        assert!(waits < 2000, "no effect");
    }
    drop(asking);
    project.get("/servers").await.ok();
    assert_eq!(project.sim.inventory().servers.len(), 1);
}

#[tokio::test]
async fn an_action_can_be_made_to_fail() {
    for (route, path, body) in [
        ("POST /servers", "/servers".to_owned(), server("b")),
        (
            "POST /volumes",
            "/volumes".to_owned(),
            json!({"name": "v", "size": 10, "location": "fsn1"}),
        ),
        (
            "POST /servers/*/actions/create_image",
            "/servers/ID/actions/create_image".to_owned(),
            json!({}),
        ),
        (
            "POST /servers/*/actions/poweroff",
            "/servers/ID/actions/poweroff".to_owned(),
            Value::Null,
        ),
    ] {
        let project = project("");
        let id = project.server("a").await;
        project
            .sim
            .set_faults(Faults::parse(&format!("{route}#1:action=unknown_error")).expect("a spec"));
        let answer = project.post(&path.replace("ID", &id.to_string()), body).await;
        let body = answer.created();
        project.pass(100);
        let mut actions = vec![body["action"]["id"].clone()];
        actions
            .extend(body["next_actions"].as_array().into_iter().flatten().map(|a| a["id"].clone()));
        for action in actions {
            let action = project.get(&format!("/actions/{action}")).await;
            let action = &action.ok()["action"];
            assert_eq!(action["status"], "error", "{path} {action}");
            assert_eq!(action["error"]["code"], "unknown_error");
        }
    }
}

#[tokio::test]
async fn a_failed_create_image_leaves_an_unavailable_image() {
    let project = project("POST /servers/*/actions/create_image:action=action_failed");
    let image = project.snapshot(json!({})).await;
    let shown = project.get(&format!("/images/{image}")).await;
    assert_eq!(shown.ok()["image"]["status"], "unavailable");
    assert_eq!(project.delete(&format!("/images/{image}")).await.status, 204);
}

#[tokio::test]
async fn clients_cannot_script_faults_with_a_header() {
    let project = Project::new();
    let answer = reqwest::Client::new()
        .get(format!("{}/servers", project.sim.endpoint()))
        .bearer_auth(HcloudSim::TOKEN)
        .header("x-hcloud-sim-fault", "before conflict")
        .send();
    assert_eq!(answer.await.expect("an answer").status(), 200);
}
