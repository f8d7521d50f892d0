//! An answer, before it has rate limit and correlation headers.

use serde_json::Value;

/// Status, body, and the headers which only some answers have.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reply {
    pub status: u16,
    pub body: Option<Value>,
    /// Printed over several lines, as the live API does for an unknown route.
    pub pretty: bool,
    /// The `Link` header of a page.
    pub link: Option<String>,
}

impl Reply {
    pub(crate) fn json(status: u16, body: Value) -> Self {
        Self { status, body: Some(body), pretty: false, link: None }
    }

    pub(crate) fn ok(body: Value) -> Self {
        Self::json(200, body)
    }

    pub(crate) fn created(body: Value) -> Self {
        Self::json(201, body)
    }

    /// 204, without a body.
    pub(crate) fn gone() -> Self {
        Self { status: 204, body: None, pretty: false, link: None }
    }

    /// The body's bytes and its media type.
    pub(crate) fn rendered(&self) -> Option<(String, &'static str)> {
        let body = self.body.as_ref()?;
        Some(if self.pretty {
            (format!("{body:#}\n"), "application/json; charset=UTF-8")
        } else {
            (body.to_string(), "application/json")
        })
    }
}
