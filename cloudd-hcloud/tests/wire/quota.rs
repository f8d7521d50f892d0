//! The rate limit over HTTP.

use std::time::{Duration, Instant};

use wiremock::ResponseTemplate;

use super::support::{Api, TOKEN, answer, error, example};
use crate::schema::ServerId;
use crate::{Client, Token};

fn with_quota(answer: ResponseTemplate, remaining: &str) -> ResponseTemplate {
    answer
        .insert_header("RateLimit-Limit", "3600")
        .insert_header("RateLimit-Remaining", remaining)
        .insert_header("RateLimit-Reset", "1795165200")
}

#[tokio::test]
async fn what_is_left_can_be_read() {
    let api = Api::answering([with_quota(answer(200, &example("server")), "2345")]).await;
    let client = api.client();
    assert_eq!(client.rate_limit(), None);
    client.server(ServerId(90017)).await.unwrap();
    let quota = client.rate_limit().unwrap();
    assert_eq!(quota.limit, 3600);
    assert!((2345..2400).contains(&quota.remaining), "refilled a hundred times as fast: {quota:?}");
}

#[tokio::test]
async fn a_429_costs_seconds() {
    let refused = with_quota(error(429, "rate_limit_exceeded"), "0");
    let api = Api::answering([refused, with_quota(answer(200, &example("server")), "3")]).await;
    // The pauses are ten times shorter than those for the public API.
    let client = Client::builder(Token::new(TOKEN).unwrap())
        .endpoint(api.endpoint())
        .clock_speed(10.0)
        .build()
        .unwrap();
    let begin = Instant::now();
    client.server(ServerId(90017)).await.unwrap();
    let cost = begin.elapsed() * 10;
    assert!((Duration::from_secs(1)..Duration::from_secs(10)).contains(&cost), "{cost:?}");
}
