//! Reading for all, in virtual time.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;
use crate::client::testing::{Fake, LATENCY, Reply, server};
use crate::client::{ImageFilter, ServerFilter};
use crate::schema::Selector;
use crate::{Client, ErrorKind};

/// An API with one server more at each read.
fn growing() -> Fake {
    let reads = AtomicU64::new(0);
    Fake::new(move |_| {
        let count = reads.fetch_add(1, Ordering::Relaxed) + 1;
        let servers: Vec<_> = (1..=count).map(|id| server(id, "running", "b")).collect();
        Reply::Json(200, json!({"servers": servers, "meta": {}}))
    })
}

async fn count(client: &Client, max_age: Duration) -> usize {
    client.shared_servers(&ServerFilter::new(), max_age).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_who_ask_at_once_cause_two_reads() {
    let fake = growing();
    let client = fake.client();
    let asks: Vec<_> = (0..100)
        .map(|_| {
            let client = client.clone();
            tokio::spawn(async move { count(&client, Duration::ZERO).await })
        })
        .collect();
    for ask in asks {
        ask.await.unwrap();
    }
    assert!(fake.requests().len() <= 2, "{} reads", fake.requests().len());
}

#[tokio::test(start_paused = true)]
async fn nobody_gets_an_answer_that_is_older_than_the_question() {
    let fake = growing();
    let client = fake.client();
    let early = count(&client, Duration::ZERO);
    let late = async {
        // The first read is under way, and may have been answered already.
        tokio::time::sleep(LATENCY * 3 / 4).await;
        count(&client, Duration::ZERO).await
    };
    let (early, late) = tokio::join!(early, late);
    assert_eq!((early, late), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn who_takes_an_older_answer_gets_it_without_a_read() {
    let fake = growing();
    let client = fake.client();
    let minute = Duration::from_secs(60);
    assert_eq!(count(&client, minute).await, 1);
    tokio::time::sleep(minute / 2).await;
    assert_eq!(count(&client, minute).await, 1);
    assert_eq!(count(&client, minute / 3).await, 2);
    tokio::time::sleep(2 * minute).await;
    assert_eq!(count(&client, minute).await, 3);
}

#[tokio::test(start_paused = true)]
async fn different_questions_are_read_apart() {
    let fake = Fake::new(|request| {
        let key = request.path.trim_start_matches('/').to_owned();
        Reply::Json(200, json!({key: []}))
    });
    let client = fake.client();
    let (all, any) = (ServerFilter::new(), ImageFilter::new());
    let ours = ServerFilter::new().selector(Selector::new().exists("build"));
    let (all, ours, images) = tokio::join!(
        client.shared_servers(&all, Duration::ZERO),
        client.shared_servers(&ours, Duration::ZERO),
        client.shared_images(&any, Duration::ZERO),
    );
    assert!(all.is_ok() && ours.is_ok() && images.is_ok());
    assert_eq!(fake.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_and_not_kept() {
    let fake = Fake::script([
        ("GET /pricing", Reply::error(403, "forbidden")),
        ("GET /pricing", Reply::Json(200, json!({"pricing": {"currency": "EUR"}}))),
    ]);
    let client = fake.client();
    let hour = Duration::from_secs(3600);
    let error = client.shared_pricing(hour).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Forbidden);
    assert_eq!(client.shared_pricing(hour).await.unwrap().currency, "EUR");
    assert_eq!(client.shared_pricing(hour).await.unwrap().currency, "EUR");
}

/// A client may outlive the runtime in which its reader runs.
#[test]
fn a_read_is_begun_again_when_the_runtime_of_the_reader_is_gone() {
    let fake = growing();
    let client = fake.client();
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let moment = Duration::from_millis(1);
    let mut one = Box::pin(count(&client, Duration::ZERO));
    first.block_on(async { tokio::time::timeout(moment, &mut one).await.unwrap_err() });
    let mut two = Box::pin(count(&client, Duration::ZERO));
    second.block_on(async { tokio::time::timeout(moment, &mut two).await.unwrap_err() });
    drop(one);
    drop(first);
    assert!(second.block_on(two) > 0);
}
