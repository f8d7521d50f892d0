//! Setting up a client.

use std::env;
use std::fmt;
use std::time::Duration;

use cloudd_core::provider::ErrorKind;

use super::Client;
use super::endpoint::Endpoint;
use super::executor::Executor;
use super::http::Http;
use super::timing::Timing;
use super::token::Token;
use crate::Error;

/// The default of [`ClientBuilder::request_timeout`].
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Sets up a [`Client`].
#[derive(Clone)]
#[must_use]
pub struct ClientBuilder {
    token: Token,
    endpoint: Option<String>,
    application: Option<String>,
    request_timeout: Duration,
    timing: Timing,
}

// The endpoint is checked by `build`; until then it may hold a password.
impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("application", &self.application)
            .field("request_timeout", &self.request_timeout)
            .finish_non_exhaustive()
    }
}

impl ClientBuilder {
    pub(super) fn new(token: Token) -> Self {
        Self {
            token,
            endpoint: None,
            application: None,
            request_timeout: REQUEST_TIMEOUT,
            timing: Timing::default(),
        }
    }

    pub(crate) fn from_env() -> Result<Self, Error> {
        Self::from_vars(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        const READ: &str = "read HCLOUD_TOKEN";
        let token = var("HCLOUD_TOKEN").filter(|token| !token.is_empty()).ok_or_else(|| {
            Error::new(ErrorKind::InvalidInput, READ, "the variable is not set or empty")
        })?;
        let mut builder = Self::new(Token::new(token).map_err(|error| error.with_operation(READ))?);
        builder.endpoint = var("HCLOUD_ENDPOINT").filter(|endpoint| !endpoint.is_empty());
        Ok(builder)
    }

    /// Sets the base URL of the API, including the version; default `https://api.hetzner.cloud/v1`.
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Sets the name of the calling program for the `User-Agent` header, as `name/version`.
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.application = Some(name.into());
        self
    }

    /// Sets how long one attempt of a request may take, from connecting to the last byte of the
    /// response; default 30 seconds.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Shortens all pauses except the request timeout, for a simulator whose clock runs `speed`
    /// times faster.
    #[cfg(any(test, feature = "testing"))]
    pub fn clock_speed(mut self, speed: f64) -> Self {
        self.timing = Timing::with_speed(speed);
        self
    }

    /// Makes the client. Nothing is sent.
    ///
    /// # Errors
    /// `InvalidInput`: the endpoint is not a URL or contains a password, or the application name is
    /// not a valid header value.
    pub fn build(self) -> Result<Client, Error> {
        let endpoint = Endpoint::parse(self.endpoint.as_deref().unwrap_or(Endpoint::PUBLIC))?;
        if endpoint.is_unencrypted() {
            tracing::warn!(?endpoint, "the token is sent without encryption");
        }
        let own = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        let user_agent = match &self.application {
            Some(application) => format!("{application} {own}"),
            None => own.to_owned(),
        };
        let http = Http::new(endpoint, &self.token, &user_agent, self.request_timeout)?;
        Ok(Client::with(Executor::new(http, self.token, self.timing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(vars: &[(&str, &str)]) -> Result<ClientBuilder, Error> {
        ClientBuilder::from_vars(|name| {
            vars.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn token_and_endpoint_come_from_the_environment() {
        let builder =
            from(&[("HCLOUD_TOKEN", "abc"), ("HCLOUD_ENDPOINT", "http://127.0.0.1:1/v1")]).unwrap();
        assert_eq!(builder.token, Token::new("abc").unwrap());
        assert_eq!(builder.endpoint.as_deref(), Some("http://127.0.0.1:1/v1"));
        assert_eq!(
            from(&[("HCLOUD_TOKEN", "abc"), ("HCLOUD_ENDPOINT", "")]).unwrap().endpoint,
            None
        );
    }

    #[test]
    fn a_missing_or_malformed_token_is_named() {
        for vars in [&[][..], &[("HCLOUD_TOKEN", "")], &[("HCLOUD_TOKEN", "hunter2\n")]] {
            let error = from(vars).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains("HCLOUD_TOKEN"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_bad_endpoint_is_refused_before_any_request() {
        let error =
            from(&[("HCLOUD_TOKEN", "abc")]).unwrap().endpoint("nowhere").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }

    #[tokio::test]
    async fn an_application_name_that_fits_no_header_is_refused() {
        let builder = ClientBuilder::new(Token::new("abc").unwrap());
        assert_eq!(
            builder.clone().application("a\nb").build().unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        assert!(builder.application("deploy/1.2").build().is_ok());
    }
}
