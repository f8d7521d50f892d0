//! Sending a request and receiving its answer, once.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};

use super::endpoint::Endpoint;
use super::quota::Report;
use super::request::Request;
use super::token::Token;
use crate::{Error, ErrorKind};

/// Carries one request there and its answer back. A seam, so that time and faults can be played in
/// tests.
#[async_trait]
pub(super) trait Transport: fmt::Debug + Send + Sync + 'static {
    async fn send(&self, request: &Request) -> Result<Response, SendError>;
}

/// An answer, whatever its status. Its debug output shows how long the body is, and nothing of it.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) report: Option<Report>,
    pub(super) correlation_id: Option<String>,
    pub(super) body: Vec<u8>,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("report", &self.report)
            .field("correlation_id", &self.correlation_id)
            .field("body", &format_args!("[{} bytes]", self.body.len()))
            .finish()
    }
}

/// No answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    /// The API was not reached: nothing can have happened there.
    #[error("the API was not reached")]
    NotSent(#[source] Cause),
    /// The request may have arrived, and no complete answer came back.
    #[error("no answer came back")]
    NoAnswer(#[source] Cause),
    /// As before, because the time was up.
    #[error("no answer in time")]
    TimedOut(#[source] Cause),
}

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Over HTTP.
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
        let error = |what: &str| Error::new(ErrorKind::Config, "set up the HTTP client", what);
        let mut authorization = HeaderValue::from_str(&token.bearer())
            .map_err(|_| error("the token does not fit a header"))?;
        // Keeps it out of the debug output and the logs of the libraries below.
        authorization.set_sensitive(true);
        let http = reqwest::Client::builder()
            .user_agent(user_agent)
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            // The API closes idle connections at some time; a request into a closing one is an
            // answer lost.
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
        let report = Report::from_headers(header);
        let correlation_id = header("x-correlation-id").map(str::to_owned);
        let body = response.bytes().await.map_err(classify)?.to_vec();
        Ok(Response { status, report, correlation_id, body })
    }
}

fn classify(error: reqwest::Error) -> SendError {
    let error = error.without_url();
    let (not_sent, timed_out) = (error.is_connect() || error.is_builder(), error.is_timeout());
    let cause = Box::new(error);
    match (not_sent, timed_out) {
        (true, _) => SendError::NotSent(cause),
        (false, true) => SendError::TimedOut(cause),
        (false, false) => SendError::NoAnswer(cause),
    }
}
