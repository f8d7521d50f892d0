//! A request, parsed as far as every handler needs it.

use serde_json::{Map, Value};
use wiremock::Request;

use super::{ApiError, Code, Fields};

/// One request to the API.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub method: String,
    /// Segments after `/v1`; `None` for a path outside of it.
    pub path: Option<Vec<String>>,
    pub query: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// What stands behind `Bearer` in the Authorization header.
    pub token: Option<String>,
    /// What matched the `{}` of the route.
    pub params: Vec<String>,
    /// Scheme, host and port the client used, for `Link`.
    pub origin: String,
}

impl Call {
    pub(crate) fn new(request: &Request) -> Self {
        let header = |name: &str| {
            let value = request.headers.get(name)?;
            value.to_str().ok().map(ToOwned::to_owned)
        };
        let mut segments = request.url.path().trim_start_matches('/').split('/');
        let version = segments.next();
        Self {
            method: request.method.to_string(),
            path: (version == Some("v1")).then(|| segments.map(ToOwned::to_owned).collect()),
            query: request.url.query_pairs().into_owned().collect(),
            body: request.body.clone(),
            token: header("authorization")
                .and_then(|value| value.strip_prefix("Bearer ").map(ToOwned::to_owned)),
            params: Vec::new(),
            origin: format!("http://{}", header("host").unwrap_or_default()),
        }
    }

    /// The first value of a query parameter.
    pub(crate) fn query(&self, name: &str) -> Option<&str> {
        let found = self.query.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Every value of a repeatable query parameter.
    pub(crate) fn query_all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> + 'a {
        self.query.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The id in the path.
    pub(crate) fn id(&self) -> Result<u64, ApiError> {
        self.numeric_param(0)
    }

    /// A numeric part of the path: names are not looked up there.
    pub(crate) fn numeric_param(&self, index: usize) -> Result<u64, ApiError> {
        self.params
            .get(index)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| ApiError::field("id", "must be an integer"))
    }

    /// The JSON body.
    pub(crate) fn fields(&self) -> Result<Fields, ApiError> {
        match serde_json::from_slice(&self.body) {
            Ok(Value::Object(map)) => Ok(Fields::new(map)),
            Ok(_) => Err(ApiError::new(Code::JSON_ERROR, "body must be a JSON object")),
            Err(_) => Err(ApiError::new(Code::JSON_ERROR, "body is not valid JSON")),
        }
    }

    /// The JSON body of an action which needs none.
    pub(crate) fn fields_or_none(&self) -> Result<Fields, ApiError> {
        if self.body.is_empty() { Ok(Fields::new(Map::new())) } else { self.fields() }
    }
}
