//! Tests of shared reads, in virtual time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cloudd_core::provider::ErrorKind;
use serde_json::json;
use tokio::time::sleep;

use super::fake::{Fake, LATENCY, Reply};
use crate::Client;
use crate::client::ImageFilter;
use crate::schema::Selector;

/// An API with one more image at each read.
fn growing() -> Fake {
    let reads = AtomicU64::new(0);
    Fake::new(move |_| {
        let count = reads.fetch_add(1, Ordering::Relaxed) + 1;
        let image = |id| json!({"id": id, "type": "snapshot", "status": "available"});
        Reply::Json(200, json!({"images": (1..=count).map(image).collect::<Vec<_>>()}))
    })
}

async fn count(client: &Client, max_age: Duration) -> usize {
    client.cached_images(&ImageFilter::new(), max_age).await.unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn a_hundred_concurrent_callers_cause_two_reads() {
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
async fn a_call_during_a_read_does_not_get_its_result() {
    let fake = growing();
    let client = fake.client();
    let early = count(&client, Duration::ZERO);
    let late = async {
        // The API may have answered the first read already.
        sleep(LATENCY * 3 / 4).await;
        count(&client, Duration::ZERO).await
    };
    let (early, late) = tokio::join!(early, late);
    assert_eq!((early, late), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_kept_result_is_used_up_to_its_maximum_age() {
    let fake = growing();
    let client = fake.client();
    let minute = Duration::from_secs(60);
    assert_eq!(count(&client, minute).await, 1);
    sleep(minute / 2).await;
    assert_eq!(count(&client, minute).await, 1);
    assert_eq!(count(&client, minute / 3).await, 2);
    sleep(2 * minute).await;
    assert_eq!(count(&client, minute).await, 3);
}

#[tokio::test(start_paused = true)]
async fn different_filters_are_read_separately() {
    let fake = growing();
    let client = fake.client();
    let own = ImageFilter::new().selector(Selector::new().exists("build"));
    let all = ImageFilter::new();
    let (all, own) = tokio::join!(
        client.cached_images(&all, Duration::ZERO),
        client.cached_images(&own, Duration::ZERO),
    );
    assert!(all.is_ok() && own.is_ok());
    assert_eq!(fake.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_not_kept() {
    let fake = Fake::script([
        ("GET /pricing", Reply::error(403, "forbidden")),
        ("GET /pricing", Reply::Json(200, json!({"pricing": {"currency": "EUR"}}))),
    ]);
    let client = fake.client();
    let hour = Duration::from_secs(3600);
    let error = client.cached_pricing(hour).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(client.cached_pricing(hour).await.unwrap().currency, "EUR");
    assert_eq!(client.cached_pricing(hour).await.unwrap().currency, "EUR");
}

/// A client may outlive the runtime in which its reader runs.
#[test]
fn a_read_is_repeated_when_the_runtime_of_the_reader_ends() {
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
