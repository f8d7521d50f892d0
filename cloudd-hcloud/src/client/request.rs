//! Requests as values.

use std::fmt;
use std::sync::Arc;

use reqwest::Method;
use serde::Serialize;

/// A request to the API. Its debug output contains only the length of the body.
#[derive(Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    /// The path after the endpoint; starts with a slash.
    pub(super) path: String,
    /// The query in order; a list repeats its key.
    pub(super) query: Vec<(&'static str, String)>,
    pub(super) body: Option<String>,
    /// The operation for errors and logs, such as `create server cloudd-7f3a`.
    pub(super) operation: String,
    pub(super) idempotency: Idempotency,
    /// A text that must not appear in errors.
    pub(super) secret: Option<Arc<str>>,
}

/// Whether a request may be sent again when it is unknown whether the previous one took effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idempotency {
    /// Sending it twice has the same effect as sending it once.
    Idempotent,
    /// It could take effect twice: the caller must look up the outcome first.
    VerifyFirst,
    /// Like `VerifyFirst`, after a previous response was lost: a lock may belong to that request.
    Reissue,
}

impl Request {
    pub(super) fn get(path: impl Into<String>, operation: impl Into<String>) -> Self {
        Self::new(Method::GET, path, operation)
    }

    /// The request that replaces the labels of a resource.
    pub(super) fn set_labels(
        path: impl Into<String>,
        operation: impl Into<String>,
        labels: &crate::schema::Labels,
    ) -> Self {
        Self::new(Method::PUT, path, operation).json(&serde_json::json!({ "labels": labels }))
    }

    /// A second DELETE is answered with 404, which counts as success.
    pub(super) fn delete(path: impl Into<String>, operation: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, operation)
    }

    /// A POST that may be repeated.
    pub(super) fn post(path: impl Into<String>, operation: impl Into<String>) -> Self {
        Self::new(Method::POST, path, operation)
    }

    /// A POST that creates something, so that it must not be repeated blindly.
    pub(super) fn create(
        path: impl Into<String>,
        operation: impl Into<String>,
        body: &impl Serialize,
    ) -> Self {
        let request = Self::new(Method::POST, path, operation).json(body);
        Self { idempotency: Idempotency::VerifyFirst, ..request }
    }

    fn new(method: Method, path: impl Into<String>, operation: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            operation: operation.into(),
            idempotency: Idempotency::Idempotent,
            secret: None,
        }
    }

    pub(super) fn query(mut self, key: &'static str, value: impl ToString) -> Self {
        self.query.push((key, value.to_string()));
        self
    }

    /// Sets a JSON body. The bodies are types of this crate whose serialization cannot fail: string
    /// keys and finite numbers.
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
            .field("idempotency", &self.idempotency)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_does_not_contain_the_body() {
        let body = serde_json::json!({"user_data": "hidden"});
        let request = Request::create("/servers", "create server", &body).secret(Some("hidden"));
        assert!(!format!("{request:?}").contains("hidden"));
    }
}
