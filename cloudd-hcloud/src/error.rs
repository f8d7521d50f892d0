//! What can go wrong, in one public type.

mod for_core;

use std::fmt;
use std::sync::Arc;

use crate::schema::{ApiCode, FieldError};

/// Why something at Hetzner did not work.
///
/// Holds what a report to Hetzner or to cloudd needs, and never the token, user data, a password or
/// a private key: texts of the API are searched for them before they get in here.
#[derive(Debug, Clone)]
pub struct Error {
    inner: Box<Inner>,
}

#[derive(Debug, Clone)]
struct Inner {
    kind: ErrorKind,
    operation: String,
    message: String,
    code: Option<ApiCode>,
    status: Option<u16>,
    fields: Vec<FieldError>,
    correlation_id: Option<String>,
    attempts: u32,
    source: Option<Source>,
}

type Source = Arc<dyn std::error::Error + Send + Sync>;

/// What kind of failure an [`Error`] is; what to do about it follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Token or endpoint are missing or malformed. Nothing was sent.
    Config,
    /// The API does not know the token.
    Unauthorized,
    /// The token may not do this: most often a read-only token.
    Forbidden,
    /// There is no such resource.
    NotFound,
    /// The request is against the rules; [`Error::fields`] names the fields.
    InvalidInput,
    /// A name or fingerprint is taken, and not by the caller.
    AlreadyExists,
    /// Another action works on the resource, for longer than the policy waits.
    Locked,
    /// The resource is protected from deletion.
    Protected,
    /// The resource changed meanwhile, again and again.
    Conflict,
    /// A limit of the account or project is reached; [`Error::fields`] names it.
    LimitReached,
    /// Sold out here and now: another location or server type may do.
    NoCapacity,
    /// The API is being maintained.
    Maintenance,
    /// The API removed the feature.
    Removed,
    /// The quota stayed used up for longer than the policy waits.
    RateLimited,
    /// The API failed.
    Server,
    /// The API was not reached.
    Connection,
    /// A change was sent and no answer came: it may have happened or not. Only what may not be sent
    /// twice ends like this.
    AnswerLost,
    /// The API answered something that is none of its answers.
    Protocol,
    /// An action ended in failure.
    ActionFailed,
    /// The API does not know an action any more.
    ActionMissing,
    /// A server that was waited for is gone.
    Vanished,
    /// The deadline passed.
    Deadline,
    /// The resource's state does not allow it, or the code is not known here.
    Refused,
}

impl ErrorKind {
    fn of_code(code: &ApiCode) -> Self {
        match code {
            ApiCode::Unauthorized => Self::Unauthorized,
            ApiCode::TokenReadonly | ApiCode::Forbidden => Self::Forbidden,
            ApiCode::Maintenance => Self::Maintenance,
            ApiCode::ResourceLimitExceeded | ApiCode::LimitExceededError => Self::LimitReached,
            ApiCode::NotFound => Self::NotFound,
            ApiCode::UniquenessError => Self::AlreadyExists,
            ApiCode::Conflict => Self::Conflict,
            ApiCode::DeprecatedApiEndpoint => Self::Removed,
            ApiCode::ResourceUnavailable
            | ApiCode::PlacementError
            | ApiCode::NoSpaceLeftInLocation => Self::NoCapacity,
            ApiCode::InvalidInput | ApiCode::JsonError => Self::InvalidInput,
            ApiCode::Locked => Self::Locked,
            ApiCode::Protected => Self::Protected,
            ApiCode::RateLimitExceeded => Self::RateLimited,
            ApiCode::ServerError
            | ApiCode::BadGateway
            | ApiCode::Unavailable
            | ApiCode::Timeout => Self::Server,
            _ => Self::Refused,
        }
    }
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            inner: Box::new(Inner {
                kind,
                operation: operation.into(),
                message: message.into(),
                code: None,
                status: None,
                fields: Vec::new(),
                correlation_id: None,
                attempts: 0,
                source: None,
            }),
        }
    }

    /// Bad input, found before anything was sent.
    pub(crate) fn invalid(field: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, "check input", "invalid input")
            .with_fields(vec![FieldError::new(field, message)])
    }

    /// An error answer of the API.
    pub(crate) fn from_code(
        operation: &str,
        code: ApiCode,
        status: u16,
        message: impl Into<String>,
    ) -> Self {
        let mut error = Self::new(ErrorKind::of_code(&code), operation, message);
        error.inner.code = Some(code);
        error.with_status(status)
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.inner.kind = kind;
        self
    }

    pub(crate) fn with_operation(mut self, operation: impl Into<String>) -> Self {
        self.inner.operation = operation.into();
        self
    }

    pub(crate) fn with_message(mut self, message: impl Into<String>) -> Self {
        self.inner.message = message.into();
        self
    }

    pub(crate) fn with_code(mut self, code: ApiCode) -> Self {
        self.inner.code = Some(code);
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.inner.status = Some(status);
        self
    }

    pub(crate) fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.inner.fields = fields;
        self
    }

    pub(crate) fn with_correlation_id(mut self, id: Option<String>) -> Self {
        self.inner.correlation_id = id;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.inner.attempts = attempts;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.inner.source = Some(Arc::new(source));
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.inner.kind
    }

    /// What was being done, such as `create server cloudd-7f3a`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.inner.operation
    }

    /// What the API or this crate says about it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.inner.message
    }

    /// The API's code, if it answered with an error.
    #[must_use]
    pub fn code(&self) -> Option<&ApiCode> {
        self.inner.code.as_ref()
    }

    /// The HTTP status, if there was an answer.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.inner.status
    }

    /// The fields that are invalid or taken, or the limits that are reached.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.inner.fields
    }

    /// What Hetzner's support finds the request by.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.inner.correlation_id.as_deref()
    }

    /// How often the request was sent; 0 if nothing was.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.inner.attempts
    }

    /// Whether the same may work later, unchanged. The client has already tried for as long as its
    /// policy says.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self.inner.kind,
            ErrorKind::Locked
                | ErrorKind::Conflict
                | ErrorKind::Maintenance
                | ErrorKind::RateLimited
                | ErrorKind::Server
                | ErrorKind::Connection
                | ErrorKind::Protocol
        )
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut notes = self.notes();
        notes.extend(self.correlation_id().map(|id| format!("correlation id {id}")));
        if self.inner.attempts > 1 {
            notes.push(format!("{} attempts", self.inner.attempts));
        }
        write!(f, "{}: {}", self.inner.operation, with_notes(&self.inner.message, &notes))
    }
}

impl Error {
    /// Message, fields, code and status.
    fn explanation(&self) -> String {
        with_notes(&self.inner.message, &self.notes())
    }

    fn notes(&self) -> Vec<String> {
        let inner = &self.inner;
        let mut notes = Vec::new();
        for field in &inner.fields {
            notes.push(match field.messages.as_slice() {
                [] => field.name.clone(),
                messages => format!("{}: {}", field.name, messages.join(", ")),
            });
        }
        notes.extend(inner.code.as_ref().map(ToString::to_string));
        notes.extend(inner.status.map(|status| format!("HTTP {status}")));
        notes
    }
}

fn with_notes(message: &str, notes: &[String]) -> String {
    match notes {
        [] => message.to_owned(),
        notes => format!("{message} ({})", notes.join("; ")),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.inner.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_failed_why_and_where_to_ask() {
        let error = Error::from_code(
            "create volume v",
            ApiCode::InvalidInput,
            422,
            "invalid input in field 'size'",
        )
        .with_fields(vec![FieldError::new("size", "must be at least 10")])
        .with_correlation_id(Some("c0ffee".to_owned()))
        .with_attempts(2);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(
            error.to_string(),
            "create volume v: invalid input in field 'size' (size: must be at least 10; invalid_input; HTTP 422; \
             correlation id c0ffee; 2 attempts)",
        );
    }

    #[test]
    fn a_plain_error_has_no_brackets() {
        let error = Error::new(ErrorKind::Config, "read HCLOUD_TOKEN", "not set");
        assert_eq!(error.to_string(), "read HCLOUD_TOKEN: not set");
    }

    #[test]
    fn the_source_is_not_repeated_in_the_text() {
        let error = Error::new(ErrorKind::Connection, "list servers", "the API was not reached")
            .with_source(std::io::Error::other("cable cut"));
        assert!(!error.to_string().contains("cable"), "{error}");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "cable cut");
    }
}
