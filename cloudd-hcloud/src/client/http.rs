//! Sending a request over HTTP once.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use cloudd_core::provider::ErrorKind;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use super::endpoint::Endpoint;
use super::rate_limit::RateLimit;
use super::request::Request;
use super::token::Token;
use crate::Error;

/// Sends one request and returns its response. A trait, so that tests can run in virtual time.
#[async_trait]
pub(super) trait Transport: fmt::Debug + Send + Sync + 'static {
    async fn send(&self, request: &Request) -> Result<Response, SendError>;
}

/// A response of any status. Its debug output contains only the length of the body.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) rate_limit: Option<RateLimit>,
    pub(super) correlation_id: Option<String>,
    pub(super) body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body", &format_args!("[{} bytes]", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// There is no complete response.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The request cannot have taken effect.
    #[error("the API was not reached")]
    NotSent(#[source] Cause),
    /// The request may have taken effect.
    #[error("there was no response")]
    NoResponse(#[source] Cause),
    /// The request may have taken effect; the request timeout has passed.
    #[error("there was no response within the request timeout")]
    TimedOut(#[source] Cause),
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The transport over HTTP.
#[derive(Debug)]
pub(super) struct Http {
    http: reqwest::Client,
    endpoint: Endpoint,
    authorization: HeaderValue,
}

impl Http {
    pub(super) fn new(
        endpoint: Endpoint,
        token: &Token,
        user_agent: &str,
        timeout: Duration,
    ) -> Result<Self, Error> {
        let error = |what| Error::new(ErrorKind::InvalidInput, "set up the HTTP client", what);
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.as_str()))
            .map_err(|_| error("the token is not a valid header value"))?;
        // Keeps the token out of debug output and logs of the HTTP libraries.
        authorization.set_sensitive(true);
        let mut http = reqwest::Client::builder();
        if !endpoint.is_encrypted() {
            // A proxy would see the token, also that for an endpoint on this machine.
            http = http.no_proxy();
        }
        let http = http
            .user_agent(user_agent)
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            // A request over a connection that the API is closing would lose its response.
            .pool_idle_timeout(Duration::from_secs(20))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|source| error("the HTTP client cannot be set up").with_source(source))?;
        Ok(Self { http, endpoint, authorization })
    }
}

#[async_trait]
impl Transport for Http {
    async fn send(&self, request: &Request) -> Result<Response, SendError> {
        let url = self.endpoint.url(&request.path, &request.query);
        let mut builder = self
            .http
            .request(request.method.clone(), url)
            .header(AUTHORIZATION, self.authorization.clone());
        if let Some(body) = &request.body {
            builder = builder.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        let response = builder.send().await.map_err(classify)?;
        let status = response.status().as_u16();
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let rate_limit = RateLimit::from_headers(header);
        let correlation_id = header("x-correlation-id").map(str::to_owned);
        let body = read_body(response).await?;
        Ok(Response { status, rate_limit, correlation_id, body })
    }
}

/// The longest body that is read, in bytes. A page of 50 servers has about 200 KB.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Reads a body of at most [`MAX_BODY`].
async fn read_body(mut response: reqwest::Response) -> Result<Vec<u8>, SendError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(classify)? {
        if body.len().saturating_add(chunk.len()) > MAX_BODY {
            let cause = format!("the response is longer than {MAX_BODY} bytes");
            return Err(SendError::NoResponse(cause.into()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn classify(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    let (not_sent, timed_out) = (error.is_connect() || error.is_builder(), error.is_timeout());
    let cause = Box::new(error);
    match (not_sent, timed_out) {
        (true, _) => SendError::NotSent(cause),
        (false, true) => SendError::TimedOut(cause),
        (false, false) => SendError::NoResponse(cause),
    }
}
