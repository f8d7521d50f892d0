//! The error of the API client.

use std::fmt;
use std::sync::Arc;

use cloudd_core::provider::{self, ErrorKind};

use crate::schema::{ApiCode, FieldError};

/// A failed request to the Hetzner Cloud API.
///
/// Displays as `OPERATION: MESSAGE (DETAILS)`; the cause is in `source()` and not repeated. It
/// contains neither the token nor user data, passwords or private keys: they are removed from the
/// texts of the API.
#[derive(Debug, Clone)]
pub struct Error(Box<Inner>);

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
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(
        kind: ErrorKind,
        operation: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            operation: operation.into(),
            message: message.into(),
            code: None,
            status: None,
            fields: Vec::new(),
            correlation_id: None,
            attempts: 0,
            source: None,
        }))
    }

    /// Invalid input, found before anything is sent.
    pub(crate) fn invalid_field(field: &str, message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, "check input", "invalid input")
            .with_fields(vec![FieldError::new(field, message)])
    }

    /// An error response of the API.
    pub(crate) fn from_code(
        operation: &str,
        code: ApiCode,
        status: u16,
        message: impl Into<String>,
    ) -> Self {
        Self::new(kind_of(&code), operation, message).with_code(code).with_status(status)
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    pub(crate) fn with_operation(mut self, operation: impl Into<String>) -> Self {
        self.0.operation = operation.into();
        self
    }

    pub(crate) fn with_code(mut self, code: ApiCode) -> Self {
        self.0.code = Some(code);
        self
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.0.status = Some(status);
        self
    }

    pub(crate) fn with_fields(mut self, fields: Vec<FieldError>) -> Self {
        self.0.fields = fields;
        self
    }

    pub(crate) fn with_correlation_id(mut self, id: Option<String>) -> Self {
        self.0.correlation_id = id;
        self
    }

    pub(crate) fn with_attempts(mut self, attempts: u32) -> Self {
        self.0.attempts = attempts;
        self
    }

    pub(crate) fn with_source(
        mut self,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// The kind of the failure, which a program branches on.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The failed operation, such as `create server cloudd-7f3a`.
    #[must_use]
    pub fn operation(&self) -> &str {
        &self.0.operation
    }

    /// The explanation of the API or of this crate.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The error code of the API, such as `resource_limit_exceeded`, if the API responded.
    #[must_use]
    pub fn code(&self) -> Option<&ApiCode> {
        self.0.code.as_ref()
    }

    /// The HTTP status, if there was a response.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    /// The invalid fields of the request, or the limits that are reached.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.0.fields
    }

    /// The id of the failed request, which Hetzner's support asks for.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.0.correlation_id.as_deref()
    }

    /// The number of times the request was sent; 0 if nothing was sent.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    /// Whether the same request may succeed later without any change. The client has already
    /// retried it.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        // For a read, an unreadable response (`OutcomeUnknown`) had no effect.
        self.0.kind.is_transient()
            || self.0.kind == ErrorKind::OutcomeUnknown
            || matches!(self.0.code, Some(ApiCode::Maintenance | ApiCode::ServerError))
    }

    /// Whether the location has no capacity for the server type or volume; another one may have.
    pub(crate) fn is_out_of_capacity(&self) -> bool {
        matches!(
            self.0.code,
            Some(
                ApiCode::ResourceUnavailable
                    | ApiCode::PlacementError
                    | ApiCode::NoSpaceLeftInLocation
            )
        )
    }

    /// Whether the account must not use the location, which the API reports as if the location had no
    /// capacity. There is no code for it; the message is `server location disabled`.
    pub(crate) fn is_location_disabled(&self) -> bool {
        let message = self.0.message.to_ascii_lowercase();
        self.is_out_of_capacity() && message.contains("location disabled")
    }

    /// Whether the quota of primary IPs is used up: the limit is `primary_ip_limit`, and the message
    /// `Primary IP limit exceeded`. Details can be missing.
    fn is_primary_ip_quota(&self) -> bool {
        let names = self.0.fields.iter().map(|field| field.name.as_str());
        let mut texts = names.chain([self.0.message.as_str()]).map(str::to_ascii_lowercase);
        self.0.code == Some(ApiCode::ResourceLimitExceeded)
            && texts.any(|text| text.contains("primary_ip") || text.contains("primary ip"))
    }

    /// Whether an action of the API failed, as opposed to a request.
    pub(crate) fn is_failed_action(&self) -> bool {
        self.0.kind == ErrorKind::Failed && self.0.status.is_none()
    }

    /// What a person can do about it.
    fn hint(&self) -> Option<&'static str> {
        Some(match self.0.code.as_ref()? {
            ApiCode::Unauthorized => "check HCLOUD_TOKEN",
            ApiCode::TokenReadonly | ApiCode::Forbidden => {
                "the token must belong to the project and allow writing"
            }
            ApiCode::Protected => "remove the deletion protection",
            _ if self.is_primary_ip_quota() => {
                "delete primary IPs that no server uses, ask Hetzner for a higher limit, or use \
                 servers without IPv4: Addresses::Ipv6"
            }
            ApiCode::ResourceLimitExceeded | ApiCode::LimitExceededError => {
                "delete something or ask Hetzner for a higher limit"
            }
            ApiCode::Maintenance => "try again in some minutes",
            ApiCode::DeprecatedApiEndpoint => "update cloudd-hcloud",
            _ if self.is_location_disabled() => {
                "a location that is disabled is a limit of the account: use another location, or ask \
                 Hetzner to enable it"
            }
            _ if self.is_out_of_capacity() => "try another location or server type",
            _ => return None,
        })
    }

    /// The message with fields, code and status.
    fn explanation(&self, more: impl IntoIterator<Item = String>) -> String {
        let inner = &self.0;
        let mut details: Vec<_> = inner
            .fields
            .iter()
            .map(|field| match field.messages.as_slice() {
                [] => field.name.clone(),
                messages => format!("{}: {}", field.name, messages.join(", ")),
            })
            .collect();
        details.extend(inner.code.as_ref().map(ToString::to_string));
        details.extend(inner.status.map(|status| format!("HTTP {status}")));
        details.extend(more);
        match details.as_slice() {
            [] => inner.message.clone(),
            details => format!("{} ({})", inner.message, details.join("; ")),
        }
    }
}

fn kind_of(code: &ApiCode) -> ErrorKind {
    match code {
        ApiCode::Unauthorized | ApiCode::TokenReadonly | ApiCode::Forbidden => {
            ErrorKind::Unauthorized
        }
        ApiCode::ResourceLimitExceeded | ApiCode::LimitExceededError => ErrorKind::QuotaExceeded,
        ApiCode::NotFound => ErrorKind::NotFound,
        ApiCode::UniquenessError => ErrorKind::AlreadyExists,
        ApiCode::Conflict | ApiCode::Locked => ErrorKind::Busy,
        ApiCode::DeprecatedApiEndpoint => ErrorKind::Unsupported,
        ApiCode::ResourceUnavailable
        | ApiCode::PlacementError
        | ApiCode::NoSpaceLeftInLocation
        | ApiCode::Maintenance => ErrorKind::Unavailable,
        ApiCode::InvalidInput | ApiCode::JsonError => ErrorKind::InvalidInput,
        ApiCode::Protected => ErrorKind::Protected,
        ApiCode::RateLimitExceeded => ErrorKind::RateLimited,
        ApiCode::BadGateway | ApiCode::Unavailable | ApiCode::Timeout => ErrorKind::Connection,
        _ => ErrorKind::Failed,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.correlation_id().map(|id| format!("correlation id {id}"));
        let attempts = (self.0.attempts > 1).then(|| format!("{} attempts", self.0.attempts));
        write!(f, "{}: {}", self.0.operation, self.explanation(id.into_iter().chain(attempts)))
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn std::error::Error + 'static))
    }
}

impl From<Error> for provider::Error {
    fn from(error: Error) -> Self {
        let mut converted = Self::new(error.kind(), error.operation())
            .with_message(error.explanation([]))
            .with_attempts(error.attempts().max(1));
        if let Some(id) = error.correlation_id() {
            converted = converted.with_correlation_id(id);
        }
        if let Some(hint) = error.hint() {
            converted = converted.with_hint(hint);
        }
        match error.0.source {
            Some(source) => converted.with_source(source),
            None => converted,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_contains_operation_message_fields_code_and_correlation_id() {
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
    fn an_error_without_details_has_no_brackets() {
        let error = Error::new(ErrorKind::InvalidInput, "read HCLOUD_TOKEN", "not set");
        assert_eq!(error.to_string(), "read HCLOUD_TOKEN: not set");
    }

    #[test]
    fn the_source_is_kept_and_not_repeated_in_the_text() {
        let error = Error::new(ErrorKind::Connection, "list servers", "the API was not reached")
            .with_source(std::io::Error::other("cable cut"));
        assert!(!error.to_string().contains("cable"), "{error}");
        assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "cable cut");
        let converted = provider::Error::from(error);
        assert_eq!(std::error::Error::source(&converted).unwrap().to_string(), "cable cut");
    }

    #[test]
    fn the_provider_error_contains_the_details_and_a_hint() {
        let error =
            Error::from_code("create server s", ApiCode::ResourceUnavailable, 412, "sold out")
                .with_correlation_id(Some("c0ffee".to_owned()))
                .with_attempts(2);
        let converted = provider::Error::from(error);
        assert_eq!(converted.kind(), ErrorKind::Unavailable);
        assert_eq!(
            converted.to_string(),
            "create server s: sold out (resource_unavailable; HTTP 412) after 2 attempts \
             (correlation id c0ffee); try another location or server type",
        );
    }

    #[test]
    fn limits_of_an_account_have_hints_of_their_own_though_details_may_be_missing() {
        let hint = |code, message: &str, limits: &[&str]| {
            let limits = limits.iter().map(|name| FieldError::new(*name, "")).collect();
            let error = Error::from_code("create server s", code, 403, message).with_fields(limits);
            provider::Error::from(error).to_string()
        };
        let limit = ApiCode::ResourceLimitExceeded;
        for (message, limits) in
            [("Primary IP limit exceeded", &[][..]), ("limit exceeded", &["primary_ip_limit"])]
        {
            let text = hint(limit.clone(), message, limits);
            assert!(text.contains("Addresses::Ipv6"), "{text}");
        }
        let text = hint(limit, "server limit exceeded", &["server_limit"]);
        assert!(text.contains("delete something") && !text.contains("Ipv6"), "{text}");
        let text = hint(ApiCode::ResourceUnavailable, "server location disabled", &[]);
        assert!(text.contains("limit of the account"), "{text}");
    }

    #[test]
    fn a_failing_gateway_is_a_connection_error_and_a_failing_api_is_not() {
        let kind = |code| Error::from_code("x", code, 500, "m").kind();
        assert_eq!(kind(ApiCode::BadGateway), ErrorKind::Connection);
        assert_eq!(kind(ApiCode::ServerError), ErrorKind::Failed);
    }
}
