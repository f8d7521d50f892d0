//! The API's errors: code, HTTP status, message, details.

use serde_json::{Value, json};

use super::Reply;

/// An error code and the HTTP status which goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Code(pub &'static str, pub u16);

impl Code {
    pub(crate) const JSON_ERROR: Self = Self("json_error", 400);
    pub(crate) const UNAUTHORIZED: Self = Self("unauthorized", 401);
    pub(crate) const TOKEN_READONLY: Self = Self("token_readonly", 401);
    pub(crate) const FORBIDDEN: Self = Self("forbidden", 403);
    pub(crate) const RESOURCE_LIMIT: Self = Self("resource_limit_exceeded", 403);
    pub(crate) const NOT_FOUND: Self = Self("not_found", 404);
    pub(crate) const METHOD: Self = Self("method_not_allowed", 405);
    pub(crate) const UNIQUENESS: Self = Self("uniqueness_error", 409);
    pub(crate) const DEPRECATED: Self = Self("deprecated_api_endpoint", 410);
    pub(crate) const UNAVAILABLE: Self = Self("resource_unavailable", 412);
    pub(crate) const INVALID_INPUT: Self = Self("invalid_input", 422);
    pub(crate) const SERVICE: Self = Self("service_error", 422);
    pub(crate) const UNSUPPORTED: Self = Self("unsupported_error", 422);
    pub(crate) const PLACEMENT: Self = Self("placement_error", 422);
    pub(crate) const NO_SPACE: Self = Self("no_space_left_in_location", 422);
    pub(crate) const SERVER_NOT_STOPPED: Self = Self("server_not_stopped", 422);
    pub(crate) const INVALID_TYPE: Self = Self("invalid_server_type", 422);
    pub(crate) const VOLUME_ATTACHED: Self = Self("volume_already_attached", 422);
    pub(crate) const LIMIT_EXCEEDED: Self = Self("limit_exceeded_error", 422);
    pub(crate) const LOCKED: Self = Self("locked", 423);
    pub(crate) const PROTECTED: Self = Self("protected", 423);
    pub(crate) const RATE_LIMIT: Self = Self("rate_limit_exceeded", 429);

    /// Every code the API documents, for scripting faults by name.
    const ALL: [Self; 31] = [
        Self::JSON_ERROR,
        Self::UNAUTHORIZED,
        Self::TOKEN_READONLY,
        Self::FORBIDDEN,
        Self::RESOURCE_LIMIT,
        Self::NOT_FOUND,
        Self::METHOD,
        Self::UNIQUENESS,
        Self::DEPRECATED,
        Self::UNAVAILABLE,
        Self::INVALID_INPUT,
        Self::SERVICE,
        Self::UNSUPPORTED,
        Self::PLACEMENT,
        Self::NO_SPACE,
        Self::SERVER_NOT_STOPPED,
        Self::INVALID_TYPE,
        Self::VOLUME_ATTACHED,
        Self::LIMIT_EXCEEDED,
        Self::LOCKED,
        Self::PROTECTED,
        Self::RATE_LIMIT,
        Self("maintenance", 403),
        Self("conflict", 409),
        Self("primary_ip_version_mismatch", 412),
        Self("primary_ip_assigned", 422),
        Self("primary_ip_datacenter_mismatch", 422),
        Self("server_error", 500),
        Self("bad_gateway", 502),
        Self("unavailable", 503),
        Self("timeout", 504),
    ];

    /// The documented code of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.0 == name)
    }
}

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ApiError {
    code: Code,
    message: String,
    details: Value,
}

impl ApiError {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), details: Value::Null }
    }

    /// `invalid_input` naming fields, each with what is wrong about it.
    pub(crate) fn fields(problems: &[(String, Vec<String>)]) -> Self {
        let names: Vec<_> = problems.iter().map(|(name, _)| format!("'{name}'")).collect();
        let plural = if names.len() == 1 { "" } else { "s" };
        let fields: Vec<_> = problems
            .iter()
            .map(|(name, messages)| json!({"name": name, "messages": messages}))
            .collect();
        Self {
            code: Code::INVALID_INPUT,
            message: format!("invalid input in field{plural} {}", names.join(", ")),
            details: json!({"fields": fields}),
        }
    }

    /// `invalid_input` about one field.
    pub(crate) fn field(name: &str, message: impl Into<String>) -> Self {
        Self::fields(&[(name.to_owned(), vec![message.into()])])
    }

    /// `invalid_input` as the live API gives it for what a reference does not lead to.
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { details: json!({}), ..Self::new(Code::INVALID_INPUT, message) }
    }

    pub(crate) fn not_found(what: &str, id: u64) -> Self {
        Self::new(Code::NOT_FOUND, format!("{what} with ID '{id}' not found"))
    }

    /// `uniqueness_error` naming its field.
    pub(crate) fn taken(what: &str, field: &str) -> Self {
        Self {
            details: json!({"fields": [{"name": field}]}),
            ..Self::new(Code::UNIQUENESS, format!("{what} {field} is already used"))
        }
    }

    /// `uniqueness_error` for a server's name, which comes with empty details on the live API.
    pub(crate) fn server_name_taken() -> Self {
        Self { details: json!({}), ..Self::new(Code::UNIQUENESS, "server name is already used") }
    }

    pub(crate) fn limit(name: &str) -> Self {
        Self {
            details: json!({"limits": [{"name": name}]}),
            ..Self::new(Code::RESOURCE_LIMIT, format!("{} reached", name.replace('_', " ")))
        }
    }

    pub(crate) fn locked(what: &str) -> Self {
        Self::new(Code::LOCKED, format!("cannot perform operation because {what} is locked"))
    }

    pub(crate) fn protected(what: &str) -> Self {
        Self::new(Code::PROTECTED, format!("{what} is protected"))
    }

    pub(crate) fn deprecated(message: &str, announcement: &str) -> Self {
        let url = format!("https://docs.hetzner.cloud/changelog#{announcement}");
        Self { details: json!({"announcement": url}), ..Self::new(Code::DEPRECATED, message) }
    }
}

impl From<ApiError> for Reply {
    fn from(error: ApiError) -> Self {
        let body = json!({"error": {
            "code": error.code.0, "message": error.message, "details": error.details,
        }});
        Self::json(error.code.1, body)
    }
}
