//! Reading responses, and the failure of one attempt.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use cloudd_core::provider::ErrorKind;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::http::{Response, SendError};
use super::redact::redact;
use super::request::Request;
use super::token::Token;
use crate::Error;
use crate::schema::{
    Action, ApiCode, ErrorBody, FieldError, Image, Pricing, Server, ServerType, SshKey, Volume,
};

/// Reads the body of a successful response.
pub(super) type Read<A> = fn(&[u8]) -> Result<A, Unreadable>;

/// A body that does not have the documented shape. The description does not quote the body, which
/// may contain a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unreadable(&'static str);

impl From<serde_json::Error> for Unreadable {
    fn from(error: serde_json::Error) -> Self {
        Self(match error.classify() {
            serde_json::error::Category::Eof => "the response ends too early",
            serde_json::error::Category::Data => "the response does not have the expected shape",
            _ => "the response is not JSON",
        })
    }
}

/// An object that the API wraps as `{"key": object}`.
pub(super) trait Object: DeserializeOwned {
    const KEY: &'static str;
}

/// An object that the API lists as `{"key": [object, …], "meta": …}`.
pub(super) trait Listed: Object {
    const LIST_KEY: &'static str;

    /// Whether the list takes the parameter `sort`.
    const SORTABLE: bool = true;

    fn number(&self) -> u64;
}

macro_rules! listed {
    ($($type:ty: $key:literal, $list_key:literal, $($constant:ident = $value:literal,)? |$it:ident| $number:expr;)+) => {$(
        impl Object for $type {
            const KEY: &'static str = $key;
        }

        impl Listed for $type {
            const LIST_KEY: &'static str = $list_key;
            $(const $constant: bool = $value;)?

            fn number(&self) -> u64 {
                let $it = self;
                $number
            }
        }
    )+};
}

listed! {
    Action: "action", "actions", |it| it.id.0;
    Image: "image", "images", |it| it.id.0;
    Server: "server", "servers", |it| it.id.0;
    ServerType: "server_type", "server_types", SORTABLE = false, |it| it.id;
    SshKey: "ssh_key", "ssh_keys", |it| it.id.0;
    Volume: "volume", "volumes", |it| it.id.0;
}

impl Object for Pricing {
    const KEY: &'static str = "pricing";
}

/// One page of a list.
#[derive(Debug)]
pub(super) struct Page<T> {
    pub(super) items: Vec<T>,
    pub(super) next: Option<u32>,
}

/// Reads `{"key": object}`.
pub(super) fn object<T: Object>(body: &[u8]) -> Result<T, Unreadable> {
    field(&mut serde_json::from_slice(body)?, T::KEY)
}

/// Reads `{"key": [object, …], "meta": …}`.
pub(super) fn page<T: Listed>(body: &[u8]) -> Result<Page<T>, Unreadable> {
    let mut body: Map<String, Value> = serde_json::from_slice(body)?;
    let items = field(&mut body, T::LIST_KEY)?;
    // `last_page` and `total_entries` may be null on a list that has more pages.
    let next = body.get("meta").and_then(|meta| meta.pointer("/pagination/next_page")?.as_u64());
    Ok(Page { items, next: next.and_then(|next| next.try_into().ok()) })
}

/// A resource that was created, or that the caller had created before.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct CreateOutcome<T> {
    pub(crate) resource: T,
    /// The actions that must end before the resource can be used, in order: those of the response,
    /// or all actions of the resource so far if it existed.
    pub(crate) actions: Vec<Action>,
    /// The resource was found by its label, after a lost response or because its name was taken.
    pub(crate) was_existing: bool,
}

impl<T> CreateOutcome<T> {
    pub(super) fn existing(resource: T, actions: Vec<Action>) -> Self {
        Self { resource, actions, was_existing: true }
    }
}

/// Reads `{"key": object, "action": …, "next_actions": […]}`. A root password beside them is
/// dropped.
pub(super) fn created<T: Object>(body: &[u8]) -> Result<CreateOutcome<T>, Unreadable> {
    let mut body: Map<String, Value> = serde_json::from_slice(body)?;
    let resource = field(&mut body, T::KEY)?;
    let action: Option<Action> = field(&mut body, "action")?;
    let next_actions: Option<Vec<Action>> = field(&mut body, "next_actions")?;
    let actions = action.into_iter().chain(next_actions.unwrap_or_default()).collect();
    Ok(CreateOutcome { resource, actions, was_existing: false })
}

/// Reads the response to a DELETE: an action or nothing, which differs by resource and has changed
/// before, so that other JSON counts as nothing. A body that is not JSON is not a response of the
/// API: the resource may still exist.
pub(super) fn deletion(body: &[u8]) -> Result<Option<Action>, Unreadable> {
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    let body: Value = serde_json::from_slice(body)?;
    Ok(body.get(Action::KEY).and_then(|action| Action::deserialize(action).ok()))
}

fn field<T: DeserializeOwned>(body: &mut Map<String, Value>, key: &str) -> Result<T, Unreadable> {
    Ok(serde_json::from_value(body.remove(key).unwrap_or_default())?)
}

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request cannot have taken effect.
    NotSent(SendError),
    /// The request may have taken effect.
    NoResponse(SendError),
    /// The request took effect, but its response cannot be read.
    Unreadable { status: u16, correlation_id: Option<String>, source: Unreadable },
    /// The API responded with an error.
    Rejected(Rejection),
}

/// An error response. Its texts may contain secrets until they are redacted.
pub(super) struct Rejection {
    pub(super) code: ApiCode,
    status: u16,
    message: String,
    fields: Vec<FieldError>,
    correlation_id: Option<String>,
}

impl std::fmt::Debug for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rejection").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Reads the result of one attempt.
pub(super) fn interpret<A>(
    read: Read<A>,
    result: Result<Response, SendError>,
) -> Result<A, Failure> {
    let response = match result {
        Ok(response) => response,
        Err(error @ SendError::NotSent(_)) => return Err(Failure::NotSent(error)),
        Err(error) => return Err(Failure::NoResponse(error)),
    };
    let Response { status, correlation_id, body, .. } = response;
    if (200..300).contains(&status) {
        return read(&body).map_err(|source| Failure::Unreadable {
            status,
            correlation_id,
            source,
        });
    }
    // Gateways respond with HTML or without a body.
    let error = serde_json::from_slice::<ErrorBody>(&body).map(|body| body.error);
    Err(Failure::Rejected(match error {
        Ok(error) => {
            let fields = error.fields();
            Rejection { code: error.code, status, message: error.message, fields, correlation_id }
        }
        Err(_) => Rejection {
            code: code_of(status),
            status,
            message: "the response contains no reason".to_owned(),
            fields: Vec::new(),
            correlation_id,
        },
    }))
}

/// The code for a response without one.
fn code_of(status: u16) -> ApiCode {
    match status {
        400 | 422 => ApiCode::InvalidInput,
        401 => ApiCode::Unauthorized,
        403 => ApiCode::Forbidden,
        405 => ApiCode::MethodNotAllowed,
        409 => ApiCode::Conflict,
        410 => ApiCode::DeprecatedApiEndpoint,
        423 => ApiCode::Locked,
        429 => ApiCode::RateLimitExceeded,
        500 => ApiCode::ServerError,
        502 => ApiCode::BadGateway,
        503 => ApiCode::Unavailable,
        504 => ApiCode::Timeout,
        // A 404 without a code does not come from the API, and must not count as "already deleted".
        other => ApiCode::Other(format!("http_{other}")),
    }
}

impl Failure {
    /// The error for the caller. The token and the request's secret are removed from the API's
    /// texts.
    pub(super) fn into_error(self, request: &Request, token: &Token, attempts: u32) -> Error {
        let mut secrets = vec![token.as_str()];
        secrets.extend(request.secret.as_deref());
        let clean = |text: &str| redact(text, &secrets);
        let operation = request.operation.as_str();
        let error = match self {
            Self::NotSent(source) | Self::NoResponse(source) => {
                Error::new(ErrorKind::Connection, operation, source.to_string()).with_source(source)
            }
            Self::Unreadable { status, correlation_id, source } => {
                Error::new(ErrorKind::OutcomeUnknown, operation, source.to_string())
                    .with_status(status)
                    .with_correlation_id(correlation_id.as_deref().map(clean))
            }
            Self::Rejected(rejection) => {
                let fields = rejection.fields.iter().map(|field| FieldError {
                    name: clean(&field.name),
                    messages: field.messages.iter().map(|message| clean(message)).collect(),
                });
                let code = match rejection.code {
                    ApiCode::Other(text) => ApiCode::Other(clean(&text)),
                    known => known,
                };
                Error::from_code(operation, code, rejection.status, clean(&rejection.message))
                    .with_fields(fields.collect())
                    .with_correlation_id(rejection.correlation_id.as_deref().map(clean))
            }
        };
        error.with_attempts(attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "k7Jq0ZbN4x9sVt2LwYp8k7Jq0ZbN4x9sVt2LwYp8k7Jq0ZbN4x9sVt2LwYp8abcd";

    fn error<A: std::fmt::Debug>(read: Read<A>, status: u16, body: &str) -> Error {
        let request = Request::get("/servers/7", "read server 7")
            .secret(Some("#cloud-config with a private key"));
        let correlation_id = Some("c0ffee".to_owned());
        let response =
            Response { status, rate_limit: None, correlation_id, body: body.as_bytes().to_vec() };
        let token = Token::new(TOKEN).unwrap();
        interpret(read, Ok(response)).unwrap_err().into_error(&request, &token, 1)
    }

    #[test]
    fn an_error_response_becomes_an_error_with_its_details() {
        let body = r#"{"error":{"code":"invalid_input","message":"invalid input in field 'size'",
            "details":{"fields":[{"name":"size","messages":["must be at least 10"]}]}}}"#;
        let error = error(object::<Server>, 422, body);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!((error.status(), error.correlation_id()), (Some(422), Some("c0ffee")));
        assert_eq!(error.fields()[0].name, "size");
    }

    #[test]
    fn the_status_decides_when_there_is_no_code() {
        for (status, kind) in [
            (401, ErrorKind::Unauthorized),
            (403, ErrorKind::Unauthorized),
            (409, ErrorKind::Busy),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Failed),
            (502, ErrorKind::Connection),
            (504, ErrorKind::Connection),
            (404, ErrorKind::Failed),
            (302, ErrorKind::Failed),
        ] {
            for body in
                ["", "<html><body>Bad Gateway</body></html>", r#"{"error":"text"}"#, "[]", "null"]
            {
                let error = error(object::<Server>, status, body);
                assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{status} {body}");
                assert!(!error.to_string().contains("html"), "{error}");
            }
        }
    }

    #[test]
    fn secrets_are_removed_from_all_texts_of_an_error_response() {
        let body = format!(
            r#"{{"error":{{"code":"odd {TOKEN}","message":"got #cloud-config with a private key","details":
            {{"fields":[{{"name":"{TOKEN}","messages":["Bearer {TOKEN}"]}}]}}}}}}"#
        );
        let error = error(object::<Server>, 422, &body);
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.contains("[redacted]"), "{text}");
            assert!(!text.contains(&TOKEN[..20]) && !text.contains("private key"), "{text}");
        }
    }

    #[test]
    fn an_unreadable_response_is_not_quoted() {
        for body in [r#""hunter2""#, r#"{"server":"hunter2"}"#, r#"{"hunter2"#] {
            let error = error(object::<Server>, 201, body);
            assert_eq!(error.kind(), ErrorKind::OutcomeUnknown);
            assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        }
    }

    #[test]
    fn a_deletion_is_answered_with_an_action_or_with_nothing() {
        let running = br#"{"action":{"id":1,"command":"delete_server","status":"running"}}"#;
        assert_eq!(deletion(running).unwrap().unwrap().id.0, 1);
        for body in ["", "{}", "null"] {
            assert_eq!(deletion(body.as_bytes()).unwrap(), None, "{body}");
        }
        assert!(deletion(b"<html>").is_err(), "the resource may still exist");
    }

    #[test]
    fn a_create_names_its_action_and_the_next_ones_in_order() {
        let action = |id: u8| format!(r#"{{"id":{id},"command":"x","status":"running"}}"#);
        let object = r#""ssh_key":{"id":7}"#;
        let body = format!(
            r#"{{{object},"action":{},"next_actions":[{},{}],"root_password":"hunter2"}}"#,
            action(1),
            action(2),
            action(3),
        );
        let created = created::<SshKey>;
        let outcome = created(body.as_bytes()).unwrap();
        assert_eq!(outcome.actions.iter().map(|action| action.id.0).collect::<Vec<_>>(), [1, 2, 3]);
        assert!(!format!("{outcome:?}").contains("hunter2"));
        let with_nulls = format!(r#"{{{object},"action":null,"next_actions":null}}"#);
        for body in [format!("{{{object}}}"), with_nulls] {
            assert_eq!(created(body.as_bytes()).unwrap().actions, []);
        }
    }

    #[test]
    fn the_next_page_is_read_from_its_field_only() {
        for (meta, next) in [
            ("null", None),
            (r#"{"pagination":null}"#, None),
            (r#"{"pagination":{"page":1,"next_page":null,"last_page":3}}"#, None),
            (r#"{"pagination":{"page":1,"next_page":2,"last_page":null}}"#, Some(2)),
        ] {
            let body = format!(r#"{{"servers":[],"meta":{meta}}}"#);
            assert_eq!(page::<Server>(body.as_bytes()).unwrap().next, next, "{meta}");
        }
        assert_eq!(page::<Server>(br#"{"servers":[]}"#).unwrap().next, None);
    }
}
