//! The record: one JSON line for each request and its answer, without tokens.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use hyper::HeaderMap;
use serde_json::{Map, Value, json};

/// A word shorter than this is looked for in the Authorization header only: `--token T` must not
/// take every T out of the record. Real tokens have 64 characters.
const SHORTEST: usize = 8;
/// What a token is replaced by, wherever it turns up.
const HIDDEN: &str = "<token>";

/// A request and its answer, as the client saw them.
pub(super) struct Exchange<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
    /// `None` when the connection was reset.
    pub answer: Option<(u16, &'a HeaderMap, &'a [u8])>,
    pub fault: Option<String>,
}

/// Writes exchanges down.
pub(super) struct Recorder {
    tokens: Vec<String>,
    out: Mutex<(u64, Box<dyn Write + Send>)>,
}

impl fmt::Debug for Recorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").finish_non_exhaustive()
    }
}

impl Recorder {
    pub(super) fn new(out: Box<dyn Write + Send>, tokens: Vec<String>) -> Self {
        Self { tokens, out: Mutex::new((0, out)) }
    }

    pub(super) fn write(&self, exchange: &Exchange<'_>) -> io::Result<()> {
        let mut guard = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let (calls, out) = &mut *guard;
        *calls += 1;
        let line = json!({
            "call": *calls,
            "method": exchange.method,
            "path": exchange.path,
            "query": exchange.query,
            "request_headers": headers(exchange.headers),
            "request_body": body(exchange.body),
            "status": exchange.answer.map(|(status, ..)| status),
            "response_headers": exchange.answer.map(|(_, of, _)| headers(of)),
            "response_body": exchange.answer.map(|(_, _, bytes)| body(bytes)),
            "fault": exchange.fault,
        });
        let mut line = line.to_string();
        let bearer = bearer(exchange.headers);
        let tokens = self.tokens.iter().chain(&bearer).filter(|token| token.len() >= SHORTEST);
        for token in tokens {
            line = line.replace(token.as_str(), HIDDEN);
        }
        writeln!(out, "{line}")?;
        out.flush()
    }
}

/// Headers in their order, without Authorization; a repeated one is a list.
fn headers(of: &HeaderMap) -> Map<String, Value> {
    let mut shown = Map::new();
    for name in of.keys().filter(|name| *name != hyper::header::AUTHORIZATION) {
        let values = of.get_all(name).iter();
        let mut values: Vec<_> =
            values.map(|v| json!(String::from_utf8_lossy(v.as_bytes()))).collect();
        let value = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
        shown.insert(name.to_string(), value);
    }
    shown
}

/// What a wrong token may leave in an error message has to be hidden as well.
fn bearer(of: &HeaderMap) -> Option<String> {
    let value = of.get(hyper::header::AUTHORIZATION)?.to_str().ok()?;
    let token = value.strip_prefix("Bearer ").unwrap_or(value).trim();
    (!token.is_empty()).then(|| token.to_owned())
}

/// JSON as JSON, anything else as text, nothing as null.
fn body(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(bytes).unwrap_or_else(|_| json!(String::from_utf8_lossy(bytes)))
}
