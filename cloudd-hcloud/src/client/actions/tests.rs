//! Waiting for actions, in virtual time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::client::testing::{Cloud, Fake, Reply, action};
use crate::schema::{CreateServer, IdOrName, ImageId, Label};

fn read(action: &Value) -> Action {
    serde_json::from_value(action.clone()).unwrap()
}

fn running(id: u64, command: &str) -> Action {
    read(&action(id, command, "running", 0))
}

fn minutes(minutes: u64) -> Duration {
    Duration::from_secs(60 * minutes)
}

/// Answers with one list of actions after the other, and goes on with the last.
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
    let ended = fake.client().wait(ActionWait::new([done], minutes(1))).await.unwrap();
    assert_eq!(ended.len(), 1);
    assert!(fake.client().wait(ActionWait::new([], minutes(1))).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_create_waits_for_its_next_actions_too() {
    let cloud = Cloud::new(3600);
    let client = cloud.fake.client();
    let wish = CreateServer::new("s", IdOrName::name("cx23"), ImageId(1));
    let made = client.create_server(&wish, &Label::new("build", "b").unwrap()).await.unwrap();
    let ended = client.wait(ActionWait::new(made.actions, minutes(5))).await.unwrap();
    assert_eq!(
        ended.iter().map(|action| action.command.as_str()).collect::<Vec<_>>(),
        ["create_server", "attach_volume", "start_server"],
    );
    assert!(ended.iter().all(Action::is_ended));
    let late = cloud.ended(ended[2].id);
    assert!(late < Duration::from_secs(1), "{late:?}");
    assert_eq!(
        cloud.fake.requests().len(),
        1 + 3,
        "one question an action: {:?}",
        cloud.fake.requests()
    );
}

#[tokio::test(start_paused = true)]
async fn progress_is_passed_on_when_it_changes() {
    let at = |progress| vec![action(1, "create_image", "running", progress)];
    let done = vec![action(1, "create_image", "success", 100)];
    let fake = answers(vec![at(0), at(40), at(40), at(70), done]);
    let heard = Mutex::new(Vec::new());
    let wait = ActionWait::new([running(1, "create_image")], minutes(10)).on_progress(|action| {
        heard.lock().unwrap().push((action.progress, action.status.clone()));
    });
    fake.client().wait(wait).await.unwrap();
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
    let wait =
        ActionWait::new([running(1, "create_server"), running(2, "start_server")], minutes(10));
    let error = fake.client().wait(wait).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ActionFailed);
    assert_eq!(
        error.to_string(),
        "wait for start_server (action 2): Action failed (action_failed)"
    );
}

#[tokio::test(start_paused = true)]
async fn an_action_that_had_failed_before_the_wait_ends_it_at_once() {
    let fake = Fake::script([]);
    let failed = read(&action(1, "create_server", "error", 0));
    let error = fake.client().wait(ActionWait::new([failed], minutes(1))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ActionFailed);
}

#[tokio::test(start_paused = true)]
async fn an_action_that_is_not_known_any_more_ends_the_wait() {
    let fake = answers(vec![vec![]]);
    let error = fake
        .client()
        .wait(ActionWait::new([running(1, "start_server")], minutes(10)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ActionMissing);
    assert_eq!(fake.requests().len(), 2, "asked once more before that is believed");
}

#[tokio::test(start_paused = true)]
async fn an_action_that_is_missing_once_is_asked_about_again() {
    let done = vec![action(1, "start_server", "success", 100)];
    let fake = answers(vec![vec![], done]);
    fake.client().wait(ActionWait::new([running(1, "start_server")], minutes(10))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_action_that_does_not_end_meets_its_deadline() {
    let fake = answers(vec![vec![action(1, "create_image", "running", 30)]]);
    let begin = Instant::now();
    let error = fake
        .client()
        .wait(ActionWait::new([running(1, "create_image")], minutes(5)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(
        error.to_string(),
        "wait for create_image (action 1): not ended after 300s, at 30 %"
    );
    assert_eq!(begin.elapsed(), minutes(5));
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out() {
    let turn = AtomicUsize::new(0);
    let fake = Fake::new(move |_| match turn.fetch_add(1, Ordering::Relaxed) {
        0 => Reply::NoAnswer,
        1 => Reply::error(502, "bad_gateway"),
        2 => Reply::TimedOut,
        3 => Reply::error(429, "rate_limit_exceeded"),
        4 => Reply::Json(200, json!("garbage")),
        _ => Reply::Json(200, json!({"actions": [action(1, "start_server", "success", 100)]})),
    });
    fake.client().wait(ActionWait::new([running(1, "start_server")], minutes(10))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_outage_until_the_deadline_is_named_as_the_reason() {
    let fake = Fake::new(|_| Reply::NoAnswer);
    let error = fake
        .client()
        .wait(ActionWait::new([running(1, "start_server")], minutes(10)))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause, "read actions: no answer came back");
    assert!(fake.requests().len() < 50, "{} questions in ten minutes", fake.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_withdrawn_ends_every_wait() {
    let fake = Fake::new(|_| Reply::error(401, "unauthorized"));
    let client = fake.client();
    let wait = |id| client.wait(ActionWait::new([running(id, "start_server")], minutes(10)));
    let (one, two) = tokio::join!(wait(1), wait(2));
    assert_eq!(one.unwrap_err().kind(), ErrorKind::Unauthorized);
    assert_eq!(two.unwrap_err().kind(), ErrorKind::Unauthorized);
}

#[tokio::test(start_paused = true)]
async fn waits_share_their_questions_25_ids_each() {
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
            tokio::spawn(async move {
                client.wait(ActionWait::new([running(id, "x")], minutes(1))).await
            })
        })
        .collect();
    for wait in waits {
        wait.await.unwrap().unwrap();
    }
    assert_eq!(fake.requests().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn two_waits_for_one_action_are_one_question() {
    let fake = answers(vec![vec![action(1, "x", "success", 100)]]);
    let client = fake.client();
    let wait = || client.wait(ActionWait::new([running(1, "x")], minutes(1)));
    let (one, two) = tokio::join!(wait(), wait());
    assert!(one.is_ok() && two.is_ok());
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_wait_stops_asking_and_disturbs_nobody() {
    let fake = Fake::new(|request| {
        let ids = request.query.iter().map(|(_, id)| id.parse().unwrap());
        let status = |id| if id == 2 { "success" } else { "running" };
        Reply::Json(
            200,
            json!({"actions": ids.map(|id| action(id, "x", status(id), 0)).collect::<Vec<_>>()}),
        )
    });
    let client = fake.client();
    let cancelled = client.wait(ActionWait::new([running(1, "x")], minutes(60)));
    assert!(tokio::time::timeout(Duration::from_secs(2), cancelled).await.is_err());
    client.wait(ActionWait::new([running(2, "x")], minutes(1))).await.unwrap();
    tokio::time::sleep(minutes(10)).await;
    assert_eq!(fake.requests(), ["GET /actions?id=2"]);
}

#[tokio::test(start_paused = true)]
async fn a_question_that_hangs_delays_only_what_it_asks_about() {
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
    let hung = client.wait(ActionWait::new([running(1, "x")], minutes(1)));
    let later = async {
        // The question about the first one is on its way.
        tokio::time::sleep(Duration::from_secs(6)).await;
        let begin = Instant::now();
        client.wait(ActionWait::new([running(2, "x")], minutes(1))).await.unwrap();
        begin.elapsed()
    };
    let (hung, waited) = tokio::join!(hung, later);
    assert_eq!(hung.unwrap_err().kind(), ErrorKind::Deadline);
    assert!(waited < Duration::from_secs(6), "{waited:?}");
}

/// A client may outlive the runtime in which its driver runs.
#[test]
fn a_wait_goes_on_when_the_runtime_of_the_driver_is_gone() {
    let fake = answers(vec![vec![action(1, "x", "success", 100)]]);
    let client = fake.client();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let wait = || client.wait(ActionWait::new([running(1, "x")], minutes(60)));
    let moment = Duration::from_millis(1);

    let (first, second) = (runtime(), runtime());
    // Polling the wait in the first runtime starts the driver there.
    let mut one = Box::pin(wait());
    first.block_on(async { tokio::time::timeout(moment, &mut one).await.unwrap_err() });
    let mut two = Box::pin(wait());
    second.block_on(async { tokio::time::timeout(moment, &mut two).await.unwrap_err() });
    drop(one);
    drop(first);
    assert!(second.block_on(two).is_ok());
}
