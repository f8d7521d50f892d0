//! Watching servers, in virtual time.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::json;

use super::*;
use crate::client::testing::{Fake, Reply, server};

const MINUTE: Duration = Duration::from_secs(60);

fn selector() -> Selector {
    Selector::new().exists("build")
}

/// Answers the reads of one server with one status after the other, and goes on with the last.
fn statuses(list: &'static [&'static str]) -> Fake {
    let turn = AtomicUsize::new(0);
    Fake::new(move |_| {
        let turn = turn.fetch_add(1, Ordering::Relaxed).min(list.len() - 1);
        match list[turn] {
            "gone" => Reply::error(404, "not_found"),
            status => Reply::Json(200, json!({"server": server(7, status, "b")})),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn a_single_server_is_read_by_its_id() {
    let fake = statuses(&["running", "running", "stopping", "off"]);
    let mut watch = fake.client().watch_server(ServerId(7), &selector(), MINUTE);
    let server = watch.until(&ServerStatus::Off, 10 * MINUTE).await.unwrap();
    assert_eq!(server.status, ServerStatus::Off);
    assert_eq!(fake.requests(), ["GET /servers/7"; 4]);
}

#[tokio::test(start_paused = true)]
async fn changes_are_told_one_by_one() {
    let fake = statuses(&["running", "running", "stopping", "off"]);
    let mut watch = fake.client().watch_server(ServerId(7), &selector(), MINUTE);
    let mut heard = Vec::new();
    for _ in 0..3 {
        heard.push(watch.changed(10 * MINUTE).await.unwrap().status);
    }
    assert_eq!(heard, [ServerStatus::Running, ServerStatus::Stopping, ServerStatus::Off]);
}

#[tokio::test(start_paused = true)]
async fn several_servers_are_one_list_and_its_pages_are_turned_until_all_are_found() {
    let fake = Fake::new(|request| {
        let page: u64 =
            request.query.iter().find(|(key, _)| *key == "page").unwrap().1.parse().unwrap();
        // Servers 1 to 200, 50 on a page.
        let ids = (page - 1) * 50 + 1..=page * 50;
        let items: Vec<_> = ids.map(|id| server(id, "off", "b")).collect();
        Reply::Json(200, json!({"servers": items, "meta": {"pagination": {"next_page": page + 1}}}))
    });
    let client = fake.client();
    let watch = |id| {
        let mut watch = client.watch_server(ServerId(id), &selector(), MINUTE);
        async move { watch.until(&ServerStatus::Off, 10 * MINUTE).await }
    };
    let (one, two, three) = tokio::join!(watch(3), watch(40), watch(70));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(
        fake.requests(),
        [
            "GET /servers?label_selector=build&sort=id:asc&page=1&per_page=50",
            "GET /servers?label_selector=build&sort=id:asc&page=2&per_page=50",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_gone_ends_the_watch() {
    let fake = statuses(&["running", "gone", "gone"]);
    let mut watch = fake.client().watch_server(ServerId(7), &selector(), MINUTE);
    let error = watch.until(&ServerStatus::Off, 10 * MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Vanished);
    assert_eq!(error.to_string(), "watch server 7: the server is gone");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_in_no_list_but_there_is_not_gone() {
    // It lost its label, or changed pages while they were turned.
    let fake = Fake::new(|request| match request.path.as_str() {
        "/servers" => Reply::Json(200, json!({"servers": [server(8, "off", "b")], "meta": {}})),
        "/servers/7" => Reply::Json(200, json!({"server": server(7, "off", "b")})),
        path => panic!("unexpected {path}"),
    });
    let client = fake.client();
    let watch = |id| {
        let mut watch = client.watch_server(ServerId(id), &selector(), MINUTE);
        async move { watch.until(&ServerStatus::Off, 10 * MINUTE).await }
    };
    let (seven, eight) = tokio::join!(watch(7), watch(8));
    assert!(seven.is_ok() && eight.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_on_meets_the_deadline() {
    let fake = statuses(&["running"]);
    let begin = Instant::now();
    let mut watch = fake.client().watch_server(ServerId(7), &selector(), MINUTE);
    let error = watch.until(&ServerStatus::Off, 10 * MINUTE).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Deadline);
    assert_eq!(error.to_string(), "watch server 7: not off after 600s but running");
    assert_eq!(begin.elapsed(), 10 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn who_knows_better_makes_the_watch_look_sooner() {
    let begin = Instant::now();
    let fake = Fake::new(move |_| {
        let status = if begin.elapsed() >= Duration::from_secs(23) { "off" } else { "running" };
        Reply::Json(200, json!({"server": server(7, status, "b")}))
    });
    let mut watch = fake.client().watch_server(ServerId(7), &selector(), 10 * MINUTE);
    let hurry = watch.hurry();
    let guest = async {
        tokio::time::sleep(Duration::from_secs(20)).await;
        hurry.expect_within(Duration::from_secs(3));
    };
    let (off, ()) = tokio::join!(watch.until(&ServerStatus::Off, 20 * MINUTE), guest);
    off.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(24), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_waited_out() {
    let turn = AtomicUsize::new(0);
    let fake = Fake::new(move |_| match turn.fetch_add(1, Ordering::Relaxed) {
        0..4 => Reply::NoAnswer,
        _ => Reply::Json(200, json!({"server": server(7, "off", "b")})),
    });
    let mut watch = fake.client().watch_server(ServerId(7), &selector(), MINUTE);
    watch.until(&ServerStatus::Off, 10 * MINUTE).await.unwrap();
}
