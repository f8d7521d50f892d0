//! Tokens, and what is answered without a good one.

use cloudd_tests::hcloud_sim::HcloudSim;
use serde_json::json;

use super::client::{Project, server};

#[tokio::test]
async fn a_wrong_token_is_unauthorized_in_compact_json() {
    for token in ["", "wrong"] {
        let project = Project::new().token(token);
        let answer = project.get("/servers").await;
        assert_eq!(answer.error(), (401, "unauthorized"));
        assert!(!answer.text.contains('\n'), "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn an_unknown_path_needs_no_token_and_is_printed_over_lines() {
    let project = Project::new().token("");
    for path in ["/nothing", "/servers/1/actions/explode", "/servers/", ""] {
        let answer = project.send("POST", path, &json!({})).await.expect("an answer");
        assert_eq!(answer.error(), (404, "not_found"), "{path}");
        assert_eq!(answer.body["error"]["message"], "api route not found");
        assert!(answer.text.contains("\n  \"error\""), "{}", answer.text);
        assert_eq!(answer.header("content-type"), "application/json; charset=UTF-8");
    }
}

#[tokio::test]
async fn a_wrong_method_is_refused_after_the_token_is_known() {
    let stranger = Project::new().token("");
    assert_eq!(stranger.delete("/servers").await.error(), (401, "unauthorized"));
    let project = Project::new();
    assert_eq!(project.delete("/servers").await.error(), (405, "method_not_allowed"));
}

#[tokio::test]
async fn a_read_only_token_reads_and_writes_nothing() {
    let builder = HcloudSim::builder().token("full").read_only_token("reader");
    let project = Project::with(builder).token("reader");
    project.get("/servers").await.ok();
    let refused = project.post("/servers", server("a")).await;
    assert_eq!(refused.error(), (401, "token_readonly"));
    assert_eq!(project.sim.inventory().servers, []);
}

#[tokio::test]
async fn every_answer_has_a_correlation_id_of_its_own() {
    let project = Project::new();
    let mut seen = std::collections::BTreeSet::new();
    for path in ["/servers", "/servers", "/servers/1", "/nothing"] {
        let answer = project.get(path).await;
        let id = answer.header("x-correlation-id").to_owned();
        assert_eq!(id.len(), 16, "{id}");
        assert!(seen.insert(id));
    }
}

#[tokio::test]
async fn datacenters_and_the_list_of_all_actions_are_gone() {
    let project = Project::new();
    for path in ["/datacenters", "/datacenters/1", "/actions", "/actions?status=running"] {
        let answer = project.get(path).await;
        assert_eq!(answer.error(), (410, "deprecated_api_endpoint"), "{path}");
        let announcement = answer.body["error"]["details"]["announcement"].as_str();
        assert!(announcement.is_some_and(|url| url.starts_with("https://")), "{path}");
    }
}
