//! A server that gives scripted responses and records the requests.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use serde_json::{Value, json};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::schema::{Label, Labels};
use crate::{Client, Token};

/// A token of the usual form. It contains no word of a test message, so that a search for it is
/// reliable.
pub(super) const TOKEN: &str = "Zq3vT8mKx1Rb6Wn0Yc5Jd9Hs2Lf7Gp4Zq3vT8mKx1Rb6Wn0Yc5Jd9Hs2Lf7Gp4ab";

/// One of the API's examples.
pub(super) fn example(name: &str) -> Value {
    let path = format!("{}/tests/wire/examples/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

pub(super) fn answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body).insert_header("X-Correlation-Id", "c0ffee")
}

pub(super) fn error(status: u16, code: &str) -> ResponseTemplate {
    answer(status, &json!({"error": {"code": code, "message": "for the test", "details": null}}))
}

/// A client whose pauses are a hundred times shorter.
pub(super) fn client(endpoint: &str) -> Client {
    client_with(endpoint, Duration::from_secs(10))
}

/// The same with this request timeout.
pub(super) fn client_with(endpoint: &str, request_timeout: Duration) -> Client {
    Client::builder(Token::new(TOKEN).unwrap())
        .endpoint(endpoint)
        .request_timeout(request_timeout)
        .clock_speed(100.0)
        .build()
        .unwrap()
}

/// The request timeout of tests with a late response, and the time after which that response
/// arrives.
pub(super) const IMPATIENT: Duration = Duration::from_millis(1000);
pub(super) const LATE: Duration = Duration::from_millis(2500);

pub(super) fn label() -> Label {
    Label::new("cloudd/build", "7f3a").unwrap()
}

pub(super) fn labels() -> Labels {
    Labels::from([("cloudd/build".to_owned(), "7f3a".to_owned())])
}

/// A received request.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Seen {
    /// `METHOD path?query`, encoded as sent.
    pub(super) line: String,
    pub(super) body: Option<Value>,
}

pub(super) struct Api {
    server: MockServer,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Api {
    /// A server that gives one response after the other, and then always 599.
    pub(super) async fn answering(answers: impl IntoIterator<Item = ResponseTemplate>) -> Self {
        record_logs();
        let server = MockServer::start().await;
        let seen = Arc::new(Mutex::new(Vec::new()));
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        let noted = Arc::clone(&seen);
        let respond = move |request: &Request| {
            noted.lock().unwrap().push(see(request));
            answers.lock().unwrap().pop_front().unwrap_or_else(|| ResponseTemplate::new(599))
        };
        Mock::given(any()).respond_with(respond).mount(&server).await;
        Self { server, seen }
    }

    pub(super) fn client(&self) -> Client {
        client(&self.endpoint())
    }

    pub(super) fn endpoint(&self) -> String {
        format!("{}/v1", self.server.uri())
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.seen().into_iter().map(|seen| seen.line).collect()
    }
}

/// Checks the headers that every request has, and returns the rest of it.
fn see(request: &Request) -> Seen {
    let header =
        |name: &str| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let mut flaws = Vec::new();
    if header("authorization") != Some(format!("Bearer {TOKEN}")) {
        flaws.push("authorization");
    }
    if !header("user-agent").is_some_and(|agent| agent.starts_with("cloudd-hcloud/")) {
        flaws.push("user-agent");
    }
    if header("content-type") != (!request.body.is_empty()).then(|| "application/json".to_owned()) {
        flaws.push("content-type");
    }
    let query = request.url.query().map(|query| format!("?{query}")).unwrap_or_default();
    let line = format!("{} {}{query}{}", request.method, request.url.path(), flaws.join(" BAD "));
    let body = (!request.body.is_empty()).then(|| serde_json::from_slice(&request.body).unwrap());
    Seen { line, body }
}

static LOGS: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Records the log lines of all crates at all levels.
pub(super) fn record_logs() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(|| Logs)
            .init();
    });
}

pub(super) fn logs() -> String {
    String::from_utf8_lossy(&LOGS.lock().unwrap()).into_owned()
}

struct Logs;

impl Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOGS.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
