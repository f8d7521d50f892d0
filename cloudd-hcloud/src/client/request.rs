//! A request, as a value.

use std::fmt;
use std::sync::Arc;

use reqwest::Method;
use serde::Serialize;

/// What is asked of the API. Made by the pure functions of [`calls`](super::calls), sent by a
/// [`Transport`](super::transport::Transport). Its debug output shows how long the body is, and
/// nothing of it.
pub(super) struct Request {
    pub(super) method: Method,
    /// Behind the endpoint, beginning with a slash.
    pub(super) path: String,
    /// In order; a list repeats its key.
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
    /// For errors and logs, such as `create server cloudd-7f3a`.
    pub(super) operation: String,
    pub(super) repeat: Repeat,
    /// What must never show up in an error.
    pub(super) secret: Option<Arc<str>>,
}

/// Whether a request may be sent again when nobody knows whether the first one arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Twice is the same as once.
    Freely,
    /// Twice would be two: first one must look what happened.
    AfterLooking,
    /// The same, and the answer to an earlier one was lost: a lock may be that one at work.
    AfterLoss,
}

impl Request {
    pub(super) fn get(path: impl Into<String>, operation: impl Into<String>) -> Self {
        Self::new(Method::GET, path, operation, Repeat::Freely)
    }

    pub(super) fn put(path: impl Into<String>, operation: impl Into<String>) -> Self {
        Self::new(Method::PUT, path, operation, Repeat::Freely)
    }

    /// The second DELETE answers 404, which is what was wanted.
    pub(super) fn delete(path: impl Into<String>, operation: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, operation, Repeat::Freely)
    }

    pub(super) fn post(
        path: impl Into<String>,
        operation: impl Into<String>,
        repeat: Repeat,
    ) -> Self {
        Self::new(Method::POST, path, operation, repeat)
    }

    fn new(
        method: Method,
        path: impl Into<String>,
        operation: impl Into<String>,
        repeat: Repeat,
    ) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            operation: operation.into(),
            repeat,
            secret: None,
        }
    }

    pub(super) fn query(mut self, key: &'static str, value: impl ToString) -> Self {
        self.query.push((key, value.to_string()));
        self
    }

    /// Adds a JSON body. The bodies are types of this crate whose serialization cannot fail: string
    /// keys, finite numbers.
    pub(super) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = Some(serde_json::to_string(body).unwrap_or_default());
        self
    }

    pub(super) fn secret(mut self, secret: Option<&str>) -> Self {
        self.secret = secret.map(Into::into);
        self
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = self.body.as_ref().map(|body| format!("[{} bytes]", body.len()));
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("body", &body)
            .field("operation", &self.operation)
            .field("repeat", &self.repeat)
            .finish_non_exhaustive()
    }
}

/// A request, and how its answer is read.
#[derive(Debug)]
pub(super) struct Call<A> {
    pub(super) request: Request,
    /// Reads the body of a successful answer.
    pub(super) read: Read<A>,
}

pub(super) type Read<A> = fn(&[u8]) -> Result<A, Unreadable>;

/// An answer that is none of the API's. Where it went wrong, never what stood there: it may be a
/// password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at line {line} column {column}")]
pub(super) struct Unreadable {
    problem: &'static str,
    line: usize,
    column: usize,
}

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        let problem = match error.classify() {
            serde_json::error::Category::Eof => "the answer ends too early",
            serde_json::error::Category::Data => "the answer has another shape than expected",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => {
                "the answer is not JSON"
            }
        };
        Self { problem, line: error.line(), column: error.column() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_shows_no_body() {
        let request = Request::post("/servers", "create server", Repeat::AfterLooking)
            .json(&serde_json::json!({"user_data": "hidden"}))
            .secret(Some("hidden"));
        assert!(!format!("{request:?}").contains("hidden"));
    }

    #[test]
    fn an_unreadable_answer_is_not_quoted() {
        #[derive(Debug, serde::Deserialize)]
        struct Answer {
            #[expect(dead_code, reason = "only its shape matters")]
            root_password: u8,
        }
        let error = serde_json::from_str::<Answer>(r#"{"root_password": "hunter2"}"#).unwrap_err();
        assert!(error.to_string().contains("hunter2"), "serde_json quotes: {error}");
        let unreadable = Unreadable::from(error);
        assert!(!format!("{unreadable} {unreadable:?}").contains("hunter2"), "{unreadable}");
    }
}
