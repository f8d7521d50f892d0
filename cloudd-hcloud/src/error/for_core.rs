//! What an error of Hetzner's means to the image builder.

use cloudd_core::provider;

use super::{Error, ErrorKind};
use crate::schema::ApiCode;

impl From<Error> for provider::Error {
    fn from(error: Error) -> Self {
        let (kind, hint) = meaning(&error);
        let mut core = Self::new(kind, error.operation())
            .with_message(error.explanation())
            .with_attempts(error.attempts().max(1));
        if let Some(id) = error.correlation_id() {
            core = core.with_correlation_id(id);
        }
        if let Some(hint) = hint {
            core = core.with_hint(hint);
        }
        match error.inner.source {
            Some(source) => core.with_source(source),
            None => core,
        }
    }
}

/// The kind for the builder, and what the reader can do.
fn meaning(error: &Error) -> (provider::ErrorKind, Option<&'static str>) {
    use provider::ErrorKind as Core;
    let gateway =
        matches!(error.code(), Some(ApiCode::BadGateway | ApiCode::Unavailable | ApiCode::Timeout));
    match error.kind() {
        ErrorKind::Config | ErrorKind::InvalidInput => (Core::InvalidInput, None),
        ErrorKind::Unauthorized => (Core::Unauthorized, Some("check HCLOUD_TOKEN")),
        ErrorKind::Forbidden => {
            (Core::Unauthorized, Some("the token must belong to the project and allow writing"))
        }
        ErrorKind::NotFound => (Core::NotFound, None),
        ErrorKind::AlreadyExists => (Core::AlreadyExists, None),
        ErrorKind::Locked | ErrorKind::Conflict => (Core::Busy, None),
        ErrorKind::Protected => (Core::Protected, Some("lift the deletion protection")),
        ErrorKind::LimitReached => {
            (Core::QuotaExceeded, Some("free something or ask Hetzner for a higher limit"))
        }
        ErrorKind::NoCapacity => (Core::Unavailable, Some("try another location or server type")),
        ErrorKind::Maintenance => (Core::Unavailable, Some("try again in some minutes")),
        ErrorKind::Removed => (Core::Unsupported, Some("a newer cloudd-hcloud may know better")),
        ErrorKind::RateLimited => (Core::RateLimited, None),
        ErrorKind::Server if gateway => (Core::Connection, None),
        ErrorKind::Connection => (Core::Connection, None),
        ErrorKind::AnswerLost | ErrorKind::Protocol => (Core::OutcomeUnknown, None),
        ErrorKind::ActionMissing | ErrorKind::Vanished => (Core::Gone, None),
        ErrorKind::Deadline => (Core::Timeout, None),
        ErrorKind::Server | ErrorKind::ActionFailed | ErrorKind::Refused => (Core::Failed, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builder_hears_what_failed_why_and_what_to_do() {
        let error =
            Error::from_code("create server s", ApiCode::ResourceUnavailable, 412, "sold out")
                .with_correlation_id(Some("c0ffee".to_owned()))
                .with_attempts(2);
        let core = provider::Error::from(error);
        assert_eq!(core.kind(), provider::ErrorKind::Unavailable);
        assert_eq!(
            core.to_string(),
            "create server s: sold out (resource_unavailable; HTTP 412) after 2 attempts \
             (correlation id c0ffee); try another location or server type",
        );
    }

    #[test]
    fn the_cause_stays_the_cause() {
        let error = Error::new(ErrorKind::Connection, "list servers", "the API was not reached")
            .with_source(std::io::Error::other("cable cut"));
        let core = provider::Error::from(error);
        assert!(core.kind().is_transient());
        assert_eq!(std::error::Error::source(&core).unwrap().to_string(), "cable cut");
    }

    #[test]
    fn a_gateway_is_a_matter_of_connection_and_a_lost_answer_is_not() {
        let of = |kind, code| {
            let error = Error::from_code("x", code, 500, "m").with_kind(kind);
            provider::Error::from(error).kind()
        };
        use provider::ErrorKind as Core;
        assert_eq!(of(ErrorKind::Server, ApiCode::BadGateway), Core::Connection);
        assert_eq!(of(ErrorKind::Server, ApiCode::ServerError), Core::Failed);
        assert_eq!(of(ErrorKind::AnswerLost, ApiCode::BadGateway), Core::OutcomeUnknown);
    }
}
