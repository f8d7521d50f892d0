//! The body of an error response.

use serde::Deserialize;
use serde_json::Value;

use super::open_enum::open_enum;

open_enum! {
    /// The code of an error response. Programs branch on the code, never on the message.
    pub enum ApiCode {
        JsonError = "json_error",
        Unauthorized = "unauthorized",
        TokenReadonly = "token_readonly",
        Forbidden = "forbidden",
        Maintenance = "maintenance",
        ResourceLimitExceeded = "resource_limit_exceeded",
        NotFound = "not_found",
        MethodNotAllowed = "method_not_allowed",
        UniquenessError = "uniqueness_error",
        Conflict = "conflict",
        DeprecatedApiEndpoint = "deprecated_api_endpoint",
        ResourceUnavailable = "resource_unavailable",
        InvalidInput = "invalid_input",
        ServiceError = "service_error",
        UnsupportedError = "unsupported_error",
        PlacementError = "placement_error",
        NoSpaceLeftInLocation = "no_space_left_in_location",
        InvalidServerType = "invalid_server_type",
        ServerNotStopped = "server_not_stopped",
        Locked = "locked",
        Protected = "protected",
        RateLimitExceeded = "rate_limit_exceeded",
        ServerError = "server_error",
        BadGateway = "bad_gateway",
        Unavailable = "unavailable",
        Timeout = "timeout",
        VolumeAlreadyAttached = "volume_already_attached",
        LimitExceededError = "limit_exceeded_error",
    }
}

/// A field of the request that the API rejected, or a limit that is reached.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct FieldError {
    /// The field's name in the request; for a limit, the limit's name.
    pub name: String,
    /// What is wrong with it; may be empty.
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub messages: Vec<String>,
}

impl FieldError {
    pub(crate) fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self { name: name.into(), messages: vec![message.into()] }
    }
}

/// `{"error": {…}}`.
#[derive(Deserialize)]
pub(crate) struct ErrorBody {
    pub(crate) error: ErrorObject,
}

#[derive(Deserialize)]
pub(crate) struct ErrorObject {
    pub(crate) code: ApiCode,
    #[serde(default, deserialize_with = "super::lenient::or_default")]
    pub(crate) message: String,
    /// An object, `null`, `{}` or missing, for every code.
    #[serde(default)]
    details: Value,
}

impl ErrorObject {
    /// The fields or limits named in the details; none if the details have another shape.
    pub(crate) fn fields(&self) -> Vec<FieldError> {
        ["fields", "limits"]
            .iter()
            .filter_map(|key| self.details.get(key)?.as_array())
            .flatten()
            .filter_map(|field| serde_json::from_value(field.clone()).ok())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(details: &str) -> Vec<FieldError> {
        let text =
            format!(r#"{{"error":{{"code":"invalid_input","message":"m","details":{details}}}}}"#);
        serde_json::from_str::<ErrorBody>(&text).unwrap().error.fields()
    }

    #[test]
    fn refused_fields_and_exceeded_limits_are_named() {
        let size = FieldError::new("size", "must be at least 10");
        assert_eq!(
            fields(r#"{"fields":[{"name":"size","messages":["must be at least 10"]}]}"#),
            [size]
        );
        let name = FieldError { name: "name".to_owned(), messages: Vec::new() };
        assert_eq!(fields(r#"{"fields":[{"name":"name"}]}"#), [name]);
        let limit = FieldError { name: "server_limit".to_owned(), messages: Vec::new() };
        assert_eq!(fields(r#"{"limits":[{"name":"server_limit"}]}"#), [limit]);
    }

    #[test]
    fn details_of_any_other_shape_name_nothing() {
        for details in [
            "null",
            "{}",
            "[]",
            "7",
            r#""text""#,
            r#"{"fields":null}"#,
            r#"{"fields":[3,null,{}]}"#,
        ] {
            assert_eq!(fields(details), [], "{details}");
        }
    }

    #[test]
    fn an_error_without_message_and_details_is_read() {
        let body: ErrorBody = serde_json::from_str(r#"{"error":{"code":"moon_phase"}}"#).unwrap();
        assert_eq!(body.error.code, ApiCode::Other("moon_phase".to_owned()));
        assert_eq!(body.error.fields(), []);
    }
}
