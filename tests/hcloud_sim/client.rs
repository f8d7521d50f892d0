//! A plain HTTP client, and a project whose time the test moves.

use std::sync::Arc;
use std::time::Duration;

use cloudd_tests::hcloud_sim::{HcloudSim, ManualClock, SimBuilder};
use reqwest::header::HeaderMap;
use reqwest::{Client, Method};
use serde_json::{Value, json};

/// Public keys that differ.
pub(crate) const KEYS: [&str; 2] = [
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKSSJFjjkgFiOE4vORopcaGcoVY4H0D3y29Hb9shn0E+ one",
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJ1aWxkLWV4YW1wbGUta2V5LW9ubHktZmFrZTAw two",
];

/// A simulator with a clock that stands still.
pub(crate) struct Project {
    pub(crate) sim: HcloudSim,
    clock: Arc<ManualClock>,
    http: Client,
    token: String,
}

/// An answer of the API.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// Null when there is no JSON in it.
    pub(crate) body: Value,
}

impl Project {
    pub(crate) fn new() -> Self {
        Self::with(HcloudSim::builder())
    }

    pub(crate) fn with(builder: SimBuilder) -> Self {
        let clock = Arc::new(ManualClock::default());
        let sim = builder.clock(clock.clone()).start().expect("a free port");
        let http = Client::builder().no_proxy().build().expect("a client");
        Self { sim, clock, http, token: HcloudSim::TOKEN.to_owned() }
    }

    /// The same simulator with another token.
    pub(crate) fn token(mut self, token: &str) -> Self {
        token.clone_into(&mut self.token);
        self
    }

    /// Lets this many seconds pass.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Lets so many milliseconds pass.
    pub(crate) fn pass_millis(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Sends a request; an error when no answer comes.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        body: &Value,
    ) -> reqwest::Result<Answer> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let mut request = self.http.request(method, format!("{}{path}", self.sim.endpoint()));
        if !self.token.is_empty() {
            request = request.bearer_auth(&self.token);
        }
        if !body.is_null() {
            request = request.json(body);
        }
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or_default();
        Ok(Answer { status, headers, text, body })
    }

    /// Sends a body that may be no JSON.
    pub(crate) async fn send_raw(&self, method: &str, path: &str, body: &'static str) -> Answer {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let request = self.http.request(method, format!("{}{path}", self.sim.endpoint()));
        let request = request.bearer_auth(&self.token).body(body);
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.expect("a body");
        let body = serde_json::from_str(&text).unwrap_or_default();
        Answer { status, headers, text, body }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &Value::Null).await.expect("an answer")
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, &body).await.expect("an answer")
    }

    pub(crate) async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, &body).await.expect("an answer")
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &Value::Null).await.expect("an answer")
    }

    /// Makes a volume in fsn1 and waits for it.
    pub(crate) async fn volume(&self, name: &str) -> u64 {
        let made =
            self.post("/volumes", json!({"name": name, "size": 10, "location": "fsn1"})).await;
        self.pass(5);
        made.created()["volume"]["id"].as_u64().expect("an id")
    }

    /// Makes an x86 server in fsn1 and waits until it runs.
    pub(crate) async fn server(&self, name: &str) -> u64 {
        let made = self.post("/servers", server(name)).await;
        self.pass(15);
        made.created()["server"]["id"].as_u64().expect("an id")
    }

    /// Makes a server and a snapshot of it, and waits for that.
    pub(crate) async fn snapshot(&self, labels: Value) -> u64 {
        let server = self.server(&format!("source-{}", self.sim.inventory().servers.len())).await;
        let path = format!("/servers/{server}/actions/create_image");
        let made = self.post(&path, json!({"labels": labels})).await;
        self.pass(75);
        made.created()["image"]["id"].as_u64().expect("an id")
    }
}

impl Answer {
    /// The body of a 201.
    pub(crate) fn created(&self) -> &Value {
        assert_eq!(self.status, 201, "{}", self.text);
        &self.body
    }

    /// The body of a 200.
    pub(crate) fn ok(&self) -> &Value {
        assert_eq!(self.status, 200, "{}", self.text);
        &self.body
    }

    /// Status and error code.
    pub(crate) fn error(&self) -> (u16, &str) {
        (self.status, self.body["error"]["code"].as_str().unwrap_or_default())
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("no header {name}"));
        value.to_str().expect("text")
    }
}

/// The smallest request for a server.
pub(crate) fn server(name: &str) -> Value {
    json!({"name": name, "server_type": "cx23", "image": "fedora-43", "location": "fsn1"})
}

/// Ids of the entries of a list.
pub(crate) fn ids(list: &Value) -> Vec<u64> {
    let entries = list.as_array().expect("a list");
    entries.iter().map(|entry| entry["id"].as_u64().expect("an id")).collect()
}

/// Status and progress of an action.
pub(crate) async fn action(project: &Project, action: &Value) -> (String, u64) {
    let answer = project.get(&format!("/actions/{}", action["id"])).await;
    let action = &answer.ok()["action"];
    let status = action["status"].as_str().expect("a status").to_owned();
    (status, action["progress"].as_u64().expect("a number"))
}
