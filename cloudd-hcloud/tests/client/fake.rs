//! An API that is a function, for tests in virtual time.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use crate::client::executor::Executor;
use crate::client::http::{Response, SendError, Transport};
use crate::client::request::Request;
use crate::client::timing::Timing;
use crate::client::{Client, Token};

pub(super) const TOKEN: &str = "k7Jq0ZbN4x9sVt2LwYp8k7Jq0ZbN4x9sVt2LwYp8k7Jq0ZbN4x9sVt2LwYp8abcd";

/// The duration of every request.
pub(super) const LATENCY: Duration = Duration::from_millis(100);

/// The result of a request.
#[derive(Debug, Clone)]
pub(super) enum Reply {
    Json(u16, Value),
    Text(u16, String),
    NotSent,
    NoResponse,
    TimedOut,
}

impl Reply {
    pub(super) fn error(status: u16, code: &str) -> Self {
        let error = json!({"code": code, "message": "for the test", "details": null});
        Self::Json(status, json!({ "error": error }))
    }
}

/// An API that replies with what a function returns, and records the requests.
#[derive(Clone)]
pub(super) struct Fake {
    inner: Arc<Inner>,
}

struct Inner {
    reply: Box<dyn Fn(&Request) -> Reply + Send + Sync>,
    requests: Mutex<Vec<String>>,
}

impl Fake {
    pub(super) fn new(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self { inner: Arc::new(Inner { reply: Box::new(reply), requests: Mutex::default() }) }
    }

    /// Replies to one request after the other. Panics at the first that is not the expected one.
    pub(super) fn script(replies: impl IntoIterator<Item = (&'static str, Reply)>) -> Self {
        let replies: Mutex<VecDeque<_>> = Mutex::new(replies.into_iter().collect());
        Self::new(move |request| {
            let (expected, reply) =
                replies.lock().unwrap().pop_front().expect("a request after the last expected one");
            assert_eq!(line(request), expected);
            reply
        })
    }

    pub(super) fn client(&self) -> Client {
        let token = Token::new(TOKEN).unwrap();
        Client::with(Executor::new(self.clone(), token, Timing::default()))
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
        let reply = (self.inner.reply)(request);
        tokio::time::sleep(LATENCY / 2).await;
        let cause = || Box::new(std::io::Error::other("for the test"));
        let (status, body) = match reply {
            Reply::Json(status, body) => (status, body.to_string().into_bytes()),
            Reply::Text(status, body) => (status, body.into_bytes()),
            Reply::NotSent => return Err(SendError::NotSent(cause())),
            Reply::NoResponse => return Err(SendError::NoResponse(cause())),
            Reply::TimedOut => {
                tokio::time::sleep(Duration::from_secs(30)).await;
                return Err(SendError::TimedOut(cause()));
            }
        };
        let correlation_id = Some("c0ffee".to_owned());
        Ok(Response { status, rate_limit: None, correlation_id, body })
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

/// A server object with the label `build=<build>`.
pub(super) fn server(id: u64, status: &str, build: &str) -> Value {
    json!({"id": id, "name": format!("s{id}"), "status": status, "labels": BTreeMap::from([("build", build)])})
}
