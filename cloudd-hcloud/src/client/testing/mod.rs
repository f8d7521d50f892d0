//! An API that is a function, for tests in virtual time.

mod cloud;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

pub(super) use self::cloud::{Cloud, STAGES};
use super::Client;
use super::core::Core;
use super::quota::Report;
use super::request::Request;
use super::retry::Jitter;
use super::transport::{Response, SendError, Transport};
use super::tuning::Tuning;

pub(super) const TOKEN: &str = "k7Jq0ZbN4x9sVt2LwYp8k7Jq0ZbN4x9sVt2LwYp8k7Jq0ZbN4x9sVt2LwYp8abcd";

/// How long every answer takes.
pub(super) const LATENCY: Duration = Duration::from_millis(100);

/// What comes back of a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Json(u16, Value),
    Limited(u16, Value, Report),
    NotSent,
    NoAnswer,
    TimedOut,
}

impl Reply {
    pub(super) fn error(status: u16, code: &str) -> Self {
        Self::Json(
            status,
            json!({"error": {"code": code, "message": "for the test", "details": null}}),
        )
    }
}

/// An API that answers with what a function says, and notes what it was asked.
#[derive(Clone)]
pub(super) struct Fake {
    inner: Arc<Inner>,
}

struct Inner {
    answer: Box<dyn Fn(&Request) -> Reply + Send + Sync>,
    requests: Mutex<Vec<String>>,
}

impl Fake {
    pub(super) fn new(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self { inner: Arc::new(Inner { answer: Box::new(answer), requests: Mutex::default() }) }
    }

    /// Answers one request after the other, and fails the test at the first that is not expected.
    pub(super) fn script(replies: impl IntoIterator<Item = (&'static str, Reply)>) -> Self {
        let replies: Mutex<std::collections::VecDeque<_>> =
            Mutex::new(replies.into_iter().collect());
        Self::new(move |request| {
            let (expected, reply) =
                replies.lock().unwrap().pop_front().expect("a request after the last expected one");
            assert_eq!(line(request), expected);
            reply
        })
    }

    pub(super) fn client(&self) -> Client {
        self.client_with(Tuning::default())
    }

    pub(super) fn client_with(&self, tuning: Tuning) -> Client {
        Client::with(Core::new(self.clone(), tuning, Jitter::fixed(0.5), TOKEN.into()))
    }

    /// The requests so far, as `METHOD path?query`.
    pub(super) fn requests(&self) -> Vec<String> {
        self.inner.requests.lock().unwrap().clone()
    }
}

impl fmt::Debug for Fake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fake")
    }
}

#[async_trait]
impl Transport for Fake {
    async fn send(&self, request: &Request) -> Result<Response, SendError> {
        self.inner.requests.lock().unwrap().push(line(request));
        tokio::time::sleep(LATENCY / 2).await;
        let reply = (self.inner.answer)(request);
        tokio::time::sleep(LATENCY / 2).await;
        let cause = || Box::new(std::io::Error::other("for the test"));
        let (status, body, report) = match reply {
            Reply::Json(status, body) => (status, body, None),
            Reply::Limited(status, body, report) => (status, body, Some(report)),
            Reply::NotSent => return Err(SendError::NotSent(cause())),
            Reply::NoAnswer => return Err(SendError::NoAnswer(cause())),
            Reply::TimedOut => {
                tokio::time::sleep(Tuning::default().request_timeout).await;
                return Err(SendError::TimedOut(cause()));
            }
        };
        Ok(Response {
            status,
            report,
            correlation_id: Some("c0ffee".to_owned()),
            body: body.to_string().into_bytes(),
        })
    }
}

fn line(request: &Request) -> String {
    let query: Vec<_> = request.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{} {}{mark}{}", request.method, request.path, query.join("&"))
}

/// An action object.
pub(super) fn action(id: u64, command: &str, status: &str, progress: u8) -> Value {
    let error =
        (status == "error").then(|| json!({"code": "action_failed", "message": "Action failed"}));
    json!({
        "id": id, "command": command, "status": status, "progress": progress, "error": error,
        "started": "2026-11-20T09:00:00Z", "finished": null, "resources": [{"id": 7, "type": "server"}],
    })
}

/// A server object, with a label `build=<build>`.
pub(super) fn server(id: u64, status: &str, build: &str) -> Value {
    json!({"id": id, "name": format!("s{id}"), "status": status, "labels": BTreeMap::from([("build", build)])})
}
