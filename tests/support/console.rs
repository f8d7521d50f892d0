//! A person who changes the project by hand, with plain requests to the simulated API.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::Value;

use crate::hcloud_sim::HcloudSim;

/// The project's console.
#[derive(Debug)]
pub struct Console {
    http: reqwest::Client,
    endpoint: String,
}

impl Console {
    /// The console of a simulated project.
    #[must_use]
    pub fn new(sim: &HcloudSim) -> Self {
        Self { http: reqwest::Client::new(), endpoint: sim.endpoint() }
    }

    /// Sends a request and returns the body of the response; null if there is none. While the
    /// resource is locked, the request is repeated.
    ///
    /// # Panics
    /// When the API does not respond, or with an error.
    pub async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Value {
        let url = format!("{}{path}", self.endpoint);
        loop {
            let request = self.http.request(method.clone(), &url).bearer_auth(HcloudSim::TOKEN);
            let request = if let Some(body) = body { request.json(body) } else { request };
            let response = request.send().await.expect("a response");
            let (status, text) = (response.status(), response.text().await.expect("a body"));
            if status != StatusCode::LOCKED {
                assert!(status.is_success(), "{path}: {status} {text}");
                return serde_json::from_str(&text).unwrap_or_default();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The ids of all objects of a list, such as `/volumes`.
    pub async fn ids(&self, path: &str) -> Vec<u64> {
        let body = self.send(Method::GET, path, None).await;
        let items = body[path.trim_start_matches('/')].as_array().cloned().unwrap_or_default();
        items.iter().filter_map(|item| item["id"].as_u64()).collect()
    }
}
