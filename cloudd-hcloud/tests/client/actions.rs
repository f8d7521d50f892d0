//! Tests of waiting for actions, in virtual time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloudd_core::provider::ErrorKind;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::fake::{Fake, Reply, action};
use crate::schema::{Action, ActionStatus};

fn read(action: &Value) -> Action {
    serde_json::from_value(action.clone()).unwrap()
}

fn running(id: u64, command: &str) -> Action {
    read(&action(id, command, "running", 0))
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Replies with one list of actions after the other, and then always with the last.
fn answers(lists: Vec<Vec<Value>>) -> Fake {
    let turn = AtomicUsize::new(0);
    Fake::new(move |_| {
        let turn = turn.fetch_add(1, Ordering::Relaxed).min(lists.len() - 1);
        Reply::Json(200, json!({"actions": lists[turn]}))
    })
}

#[tokio::test(start_paused = true)]
async fn an_action_that_has_ended_needs_no_request() {
    let fake = Fake::script([]);
    let done = read(&action(1, "create_volume", "success", 100));
    let ended = fake.client().wait([done], minutes(1)).await.unwrap();
    assert_eq!(ended.len(), 1);
    assert!(fake.client().wait([], minutes(1)).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn actions_that_run_one_after_the_other_are_polled_once_each() {
    let begin = Instant::now();
    let fake = Fake::new(move |request| {
        let status = |id| if begin.elapsed().as_secs() >= id { "success" } else { "running" };
        let ids = request.query.iter().map(|(_, id)| id.parse().unwrap());
        let actions: Vec<_> = ids.map(|id| action(id, "x", status(id), 0)).collect();
        Reply::Json(200, json!({ "actions": actions }))
    });
    // The ids are the seconds in which the actions end.
    let actions = [running(10, "create_server"), running(15, "x"), running(20, "start_server")];
    let ended = fake.client().wait(actions, minutes(5)).await.unwrap();
    assert_eq!(ended.iter().map(|action| action.id.0).collect::<Vec<_>>(), [10, 15, 20]);
    assert!(ended.iter().all(Action::is_ended));
    assert!(begin.elapsed() < Duration::from_secs(21), "{:?}", begin.elapsed());
    assert_eq!(
        fake.requests(),
        ["GET /actions?id=10&id=15&id=20", "GET /actions?id=15&id=20", "GET /actions?id=20"],
    );
}

#[tokio::test(start_paused = true)]
async fn changes_of_the_progress_are_reported() {
    let at = |progress| vec![action(1, "create_image", "running", progress)];
    let done = vec![action(1, "create_image", "success", 100)];
    let fake = answers(vec![at(0), at(40), at(40), at(70), done]);
    let heard = Mutex::new(Vec::new());
    let on_progress =
        |action: &Action| heard.lock().unwrap().push((action.progress, action.status.clone()));
    let actions = [running(1, "create_image")];
    fake.client().wait_with_progress(actions, minutes(10), on_progress).await.unwrap();
    let running = |progress| (progress, ActionStatus::Running);
    assert_eq!(
        heard.into_inner().unwrap(),
        [running(0), running(40), running(70), (100, ActionStatus::Success),]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_action_ends_the_wait_with_its_code_and_message() {
    let failed =
        vec![action(1, "create_server", "success", 100), action(2, "start_server", "error", 10)];
    let fake = answers(vec![failed]);
    let actions = [running(1, "create_server"), running(2, "start_server")];
    let error = fake.client().wait(actions, minutes(10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(
        error.to_string(),
        "wait for start_server (action 2): Action failed (action_failed)"
    );
}

#[tokio::test(start_paused = true)]
async fn an_action_that_failed_before_the_wait_ends_it_at_once() {
    let fake = Fake::script([]);
    let failed = read(&action(1, "create_server", "error", 0));
    let error = fake.client().wait([failed], minutes(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
}

#[tokio::test(start_paused = true)]
async fn an_action_that_the_api_does_not_know_any_more_ends_the_wait() {
    let fake = answers(vec![vec![]]);
    let error = fake.client().wait([running(1, "start_server")], minutes(10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone);
    assert_eq!(fake.requests().len(), 2, "it is missing twice");
}

#[tokio::test(start_paused = true)]
async fn an_action_that_is_missing_once_is_polled_again() {
    let done = vec![action(1, "start_server", "success", 100)];
    let fake = answers(vec![vec![], done]);
    fake.client().wait([running(1, "start_server")], minutes(10)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_action_that_does_not_end_is_a_timeout() {
    let fake = answers(vec![vec![action(1, "create_image", "running", 30)]]);
    let begin = Instant::now();
    let error = fake.client().wait([running(1, "create_image")], minutes(5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(
        error.to_string(),
        "wait for create_image (action 1): not ended after 300s, at 30 %"
    );
    assert_eq!(begin.elapsed(), minutes(5));
}

#[tokio::test(start_paused = true)]
async fn a_wait_survives_an_outage() {
    let turn = AtomicUsize::new(0);
    let fake = Fake::new(move |_| match turn.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::NoResponse,
        1 => Reply::error(502, "bad_gateway"),
        2 => Reply::TimedOut,
        3 => Reply::error(429, "rate_limit_exceeded"),
        4 => Reply::Json(200, json!("garbage")),
        _ => Reply::Json(200, json!({"actions": [action(1, "start_server", "success", 100)]})),
    });
    fake.client().wait([running(1, "start_server")], minutes(10)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outage_until_the_deadline_is_the_source_of_the_timeout() {
    let fake = Fake::new(|_| Reply::NoResponse);
    let error = fake.client().wait([running(1, "start_server")], minutes(10)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "read actions: there was no response");
    assert!(fake.requests().len() < 50, "{} requests in ten minutes", fake.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_revoked_token_ends_every_wait() {
    let fake = Fake::new(|_| Reply::error(401, "unauthorized"));
    let client = fake.client();
    let wait = |id| client.wait([running(id, "start_server")], minutes(10));
    let (one, two) = tokio::join!(wait(1), wait(2));
    assert_eq!(one.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert_eq!(two.unwrap_err().kind(), ErrorKind::Unauthorized);
}

#[tokio::test(start_paused = true)]
async fn waits_share_their_requests_of_25_ids_each() {
    let fake = Fake::new(|request| {
        assert!(request.query.len() <= 25);
        let ids = request.query.iter().map(|(_, id)| id.parse().unwrap());
        Reply::Json(
            200,
            json!({"actions": ids.map(|id| action(id, "x", "success", 100)).collect::<Vec<_>>()}),
        )
    });
    let client = fake.client();
    let waits: Vec<_> = (1..=100)
        .map(|id| {
            let client = client.clone();
            tokio::spawn(async move { client.wait([running(id, "x")], minutes(1)).await })
        })
        .collect();
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
    assert_eq!(fake.requests().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn two_waits_for_one_action_share_their_requests() {
    let fake = answers(vec![vec![action(1, "x", "success", 100)]]);
    let client = fake.client();
    let wait = || client.wait([running(1, "x")], minutes(1));
    let (one, two) = tokio::join!(wait(), wait());
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_stops_polling_its_actions_only() {
    let fake = Fake::new(|request| {
        let ids = request.query.iter().map(|(_, id)| id.parse().unwrap());
        let status = |id| if id == 2 { "success" } else { "running" };
        Reply::Json(
            200,
            json!({"actions": ids.map(|id| action(id, "x", status(id), 0)).collect::<Vec<_>>()}),
        )
    });
    let client = fake.client();
    let cancelled = client.wait([running(1, "x")], minutes(60));
    assert!(tokio::time::timeout(Duration::from_secs(2), cancelled).await.is_err());
    client.wait([running(2, "x")], minutes(1)).await.unwrap();
    tokio::time::sleep(minutes(10)).await;
    assert_eq!(fake.requests(), ["GET /actions?id=2"]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_hangs_delays_only_its_own_actions() {
    let fake = Fake::new(|request| {
        let ids: Vec<u64> = request.query.iter().map(|(_, id)| id.parse().unwrap()).collect();
        if ids.contains(&1) {
            return Reply::TimedOut;
        }
        Reply::Json(
            200,
            json!({"actions": ids.iter().map(|id| action(*id, "x", "success", 100)).collect::<Vec<_>>()}),
        )
    });
    let client = fake.client();
    let hung = client.wait([running(1, "x")], minutes(1));
    let later = async {
        // The request for the first action runs.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let begin = Instant::now();
        client.wait([running(2, "x")], minutes(1)).await.unwrap();
        begin.elapsed()
    };
    let (hung, waited) = tokio::join!(hung, later);
    assert_eq!(hung.unwrap_err().kind(), ErrorKind::Timeout);
    assert!(waited < Duration::from_secs(6), "{waited:?}");
}

/// A client may outlive the runtime in which its driver runs.
#[test]
fn a_wait_survives_the_end_of_the_runtime_of_the_driver() {
    let fake = answers(vec![vec![action(1, "x", "success", 100)]]);
    let client = fake.client();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let wait = || client.wait([running(1, "x")], minutes(60));
    let moment = Duration::from_millis(1);

    let (first, second) = (runtime(), runtime());
    // The wait starts the driver in the first runtime.
    let mut one = Box::pin(wait());
    first.block_on(async { tokio::time::timeout(moment, &mut one).await.unwrap_err() });
    let mut two = Box::pin(wait());
    second.block_on(async { tokio::time::timeout(moment, &mut two).await.unwrap_err() });
    drop(one);
    drop(first);
    assert!(second.block_on(two).is_ok());
}
