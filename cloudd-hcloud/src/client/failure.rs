//! Reading an answer, and what it means when there is none.

use std::sync::Arc;

use super::redact::clean;
use super::request::{Call, Request, Unreadable};
use super::transport::{Response, SendError};
use crate::schema::{ApiCode, ErrorBody, FieldError};
use crate::{Error, ErrorKind};

/// Why one attempt failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing can have happened at the API.
    NotSent(SendError),
    /// It may have happened.
    NoAnswer(SendError),
    /// It has happened, and the answer says so in a way that cannot be read.
    Unreadable { status: u16, correlation_id: Option<String>, why: Unreadable },
    /// The API said no.
    Refused(Refusal),
}

/// An error answer. The texts are as they came: not to be shown before they are cleaned.
pub(super) struct Refusal {
    pub(super) code: ApiCode,
    status: u16,
    message: String,
    fields: Vec<FieldError>,
    correlation_id: Option<String>,
}

impl std::fmt::Debug for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusal").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Reads what came back of one attempt.
pub(super) fn read<A>(call: &Call<A>, outcome: Result<Response, SendError>) -> Result<A, Failure> {
    let response = match outcome {
        Ok(response) => response,
        Err(error @ SendError::NotSent(_)) => return Err(Failure::NotSent(error)),
        Err(error) => return Err(Failure::NoAnswer(error)),
    };
    if !(200..300).contains(&response.status) {
        return Err(Failure::Refused(refusal(response)));
    }
    (call.read)(&response.body).map_err(|why| Failure::Unreadable {
        status: response.status,
        correlation_id: response.correlation_id,
        why,
    })
}

/// Reads an error answer. Gateways answer with HTML or nothing: then the status speaks.
fn refusal(response: Response) -> Refusal {
    let Response { status, correlation_id, body, .. } = response;
    match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(ErrorBody { error }) => {
            let fields = error.fields();
            Refusal { code: error.code, status, message: error.message, fields, correlation_id }
        }
        Err(_) => Refusal {
            code: code_of(status),
            status,
            message: "an answer without a reason".to_owned(),
            fields: Vec::new(),
            correlation_id,
        },
    }
}

/// The code that stands for a bare status.
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
        // A bare 404 comes from something that is not the API: it must not pass for "already
        // deleted".
        other => ApiCode::Other(format!("http_{other}")),
    }
}

impl Failure {
    /// The error for the caller. `token` and the request's own secret are taken out of every
    /// foreign text.
    pub(super) fn into_error(self, request: &Request, token: &Arc<str>, attempts: u32) -> Error {
        let mut secrets = vec![Arc::clone(token)];
        secrets.extend(request.secret.clone());
        let clean = |text: &str| clean(text, &secrets);
        let operation = request.operation.as_str();
        let error = match self {
            Self::NotSent(source) | Self::NoAnswer(source) => {
                Error::new(ErrorKind::Connection, operation, source.to_string()).with_source(source)
            }
            Self::Unreadable { status, correlation_id, why } => {
                Error::new(ErrorKind::Protocol, operation, why.to_string())
                    .with_status(status)
                    .with_correlation_id(correlation_id.as_deref().map(clean))
            }
            Self::Refused(refusal) => {
                let fields = refusal.fields.iter().map(|field| FieldError {
                    name: clean(&field.name),
                    messages: field.messages.iter().map(|message| clean(message)).collect(),
                });
                let code = match refusal.code {
                    ApiCode::Other(text) => ApiCode::Other(clean(&text)),
                    known => known,
                };
                Error::from_code(operation, code, refusal.status, clean(&refusal.message))
                    .with_fields(fields.collect())
                    .with_correlation_id(refusal.correlation_id.as_deref().map(clean))
            }
        };
        error.with_attempts(attempts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::request::Request;

    const TOKEN: &str = "k7Jq0ZbN4x9sVt2LwYp8k7Jq0ZbN4x9sVt2LwYp8k7Jq0ZbN4x9sVt2LwYp8abcd";

    fn refuse(status: u16, body: &str) -> Error {
        let request = Request::get("/servers/7", "read server 7")
            .secret(Some("#cloud-config with a private key"));
        let call = Call::<()> { request, read: |_| Ok(()) };
        let response = Response {
            status,
            report: None,
            correlation_id: Some("c0ffee".to_owned()),
            body: body.as_bytes().to_vec(),
        };
        read(&call, Ok(response)).unwrap_err().into_error(&call.request, &TOKEN.into(), 1)
    }

    #[test]
    fn an_error_answer_becomes_an_error_with_all_it_says() {
        let body = r#"{"error":{"code":"invalid_input","message":"invalid input in field 'size'",
            "details":{"fields":[{"name":"size","messages":["must be at least 10"]}]}}}"#;
        let error = refuse(422, body);
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!((error.status(), error.correlation_id()), (Some(422), Some("c0ffee")));
        assert_eq!(error.fields()[0].name, "size");
    }

    #[test]
    fn a_bare_status_speaks_for_itself() {
        for (status, kind) in [
            (401, ErrorKind::Unauthorized),
            (403, ErrorKind::Forbidden),
            (409, ErrorKind::Conflict),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Server),
            (502, ErrorKind::Server),
            (504, ErrorKind::Server),
            (404, ErrorKind::Refused),
            (302, ErrorKind::Refused),
        ] {
            for body in
                ["", "<html><body>Bad Gateway</body></html>", r#"{"error":"text"}"#, "[]", "null"]
            {
                let error = refuse(status, body);
                assert_eq!((error.kind(), error.status()), (kind, Some(status)), "{status} {body}");
                assert!(!error.to_string().contains("html"), "{error}");
            }
        }
    }

    #[test]
    fn an_answer_that_quotes_secrets_is_cleaned_everywhere() {
        let body = format!(
            r#"{{"error":{{"code":"odd {TOKEN}","message":"got #cloud-config with a private key","details":
            {{"fields":[{{"name":"{TOKEN}","messages":["Bearer {TOKEN}"]}}]}}}}}}"#
        );
        let error = refuse(422, &body);
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.contains("[redacted]"), "{text}");
            assert!(!text.contains(&TOKEN[..20]) && !text.contains("private key"), "{text}");
        }
    }

    #[test]
    fn an_answer_that_cannot_be_read_is_not_quoted() {
        let call = Call::<u8> {
            request: Request::get("/x", "read x"),
            read: |body| Ok(serde_json::from_slice(body)?),
        };
        let body = br#""hunter2""#.to_vec();
        let response = Response { status: 201, report: None, correlation_id: None, body };
        let failure = read(&call, Ok(response)).unwrap_err();
        let error = failure.into_error(&call.request, &TOKEN.into(), 1);
        assert_eq!(error.kind(), ErrorKind::Protocol);
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }
}
