//! Tests of waiting for servers, in virtual time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloudd_core::provider::ErrorKind;
use serde_json::json;
use tokio::time::Instant;

use super::fake::{Fake, Reply, server};
use crate::schema::{Selector, Server, ServerId, ServerStatus};
use crate::{Client, Error};

const MINUTE: Duration = Duration::from_secs(60);

/// Waits for up to ten minutes until a server is off.
async fn off(client: &Client, id: u64) -> Result<Server, Error> {
    let selector = Selector::new().exists("build");
    let off = [ServerStatus::Off];
    client.wait_for_server(ServerId(id), &selector, &off, MINUTE, 10 * MINUTE).await
}

/// Replies to reads of one server with one status after the other, and then always with the last.
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
    let server = off(&fake.client(), 7).await.unwrap();
    assert_eq!(server.status, ServerStatus::Off);
    assert_eq!(fake.requests(), ["GET /servers/7"; 4]);
}

#[tokio::test(start_paused = true)]
async fn several_servers_are_read_with_one_list_until_all_are_found() {
    let fake = Fake::new(|request| {
        let page: u64 =
            request.query.iter().find(|(key, _)| *key == "page").unwrap().1.parse().unwrap();
        // Servers 1 to 200, 50 on a page.
        let ids = (page - 1) * 50 + 1..=page * 50;
        let items: Vec<_> = ids.map(|id| server(id, "off", "b")).collect();
        Reply::Json(200, json!({"servers": items, "meta": {"pagination": {"next_page": page + 1}}}))
    });
    let client = fake.client();
    let (one, two, three) = tokio::join!(off(&client, 3), off(&client, 40), off(&client, 70));
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
async fn a_deleted_server_ends_the_wait() {
    let fake = statuses(&["running", "gone", "gone"]);
    let error = off(&fake.client(), 7).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Gone);
    assert_eq!(error.to_string(), "wait for server 7: the server does not exist any more");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_missing_from_the_list_is_read_by_its_id() {
    // It has lost its label, or has moved to another page.
    let fake = Fake::new(|request| match request.path.as_str() {
        "/servers" => Reply::Json(200, json!({"servers": [server(8, "off", "b")], "meta": {}})),
        "/servers/7" => Reply::Json(200, json!({"server": server(7, "off", "b")})),
        path => panic!("unexpected {path}"),
    });
    let client = fake.client();
    let (seven, eight) = tokio::join!(off(&client, 7), off(&client, 8));
    assert!(seven.is_ok() && eight.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_on_is_a_timeout() {
    let fake = statuses(&["running"]);
    let begin = Instant::now();
    let error = off(&fake.client(), 7).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.to_string(), "wait for server 7: not off after 600s; the status is running");
    assert_eq!(begin.elapsed(), 10 * MINUTE);
}

#[tokio::test(start_paused = true)]
async fn a_wait_survives_an_outage() {
    let turn = AtomicUsize::new(0);
    let fake = Fake::new(move |_| match turn.fetch_add(1, Ordering::Relaxed) {
        0..4 => Reply::NoResponse,
        _ => Reply::Json(200, json!({"server": server(7, "off", "b")})),
    });
    off(&fake.client(), 7).await.unwrap();
}
