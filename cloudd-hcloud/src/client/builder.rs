//! Setting up a client.

use std::env;

use super::Client;
use super::core::Core;
use super::endpoint::Endpoint;
use super::retry::Jitter;
use super::token::Token;
use super::transport::Http;
use super::tuning::Tuning;
use crate::{Error, ErrorKind};

/// Sets up a [`Client`].
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    token: Token,
    endpoint: Option<String>,
    application: Option<String>,
    tuning: Tuning,
}

impl ClientBuilder {
    pub(super) fn new(token: Token) -> Self {
        Self { token, endpoint: None, application: None, tuning: Tuning::default() }
    }

    pub(crate) fn from_env() -> Result<Self, Error> {
        Self::from_vars(|name| env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn from_vars(var: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let token = var("HCLOUD_TOKEN").filter(|token| !token.is_empty()).ok_or_else(|| {
            Error::new(ErrorKind::Config, "read HCLOUD_TOKEN", "the variable is not set or empty")
        })?;
        let token = Token::new(token).map_err(|error| error.with_operation("read HCLOUD_TOKEN"))?;
        let mut builder = Self::new(token);
        builder.endpoint = var("HCLOUD_ENDPOINT").filter(|endpoint| !endpoint.is_empty());
        Ok(builder)
    }

    /// Sets the base URL of the API, version included. Default: `https://api.hetzner.cloud/v1`.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        self.endpoint = Some(url.into());
        self
    }

    /// Names the program that uses this crate to the API, as `name/version`.
    #[must_use]
    pub fn application(mut self, name: impl Into<String>) -> Self {
        self.application = Some(name.into());
        self
    }

    /// Sets every pause, limit and expectation.
    #[must_use]
    pub fn tuning(mut self, tuning: Tuning) -> Self {
        self.tuning = tuning;
        self
    }

    /// Makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// `Config`: the endpoint is no URL or holds a password, or the name of the program does not
    /// fit a header.
    pub fn build(self) -> Result<Client, Error> {
        let endpoint = Endpoint::parse(self.endpoint.as_deref().unwrap_or(Endpoint::PUBLIC))?;
        if endpoint.is_in_the_clear() {
            tracing::warn!(?endpoint, "the token goes over the wire unencrypted");
        }
        let own = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
        let user_agent = match &self.application {
            Some(application) => format!("{application} {own}"),
            None => own.to_owned(),
        };
        let http = Http::new(endpoint, &self.token, &user_agent, self.tuning.request_timeout)?;
        Ok(Client::with(Core::new(http, self.tuning, Jitter::default(), self.token.secret())))
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
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains("HCLOUD_TOKEN"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn a_bad_endpoint_is_refused_before_any_request() {
        let error =
            from(&[("HCLOUD_TOKEN", "abc")]).unwrap().endpoint("nowhere").build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
    }

    #[tokio::test]
    async fn a_program_name_that_fits_no_header_is_refused() {
        let builder = ClientBuilder::new(Token::new("abc").unwrap());
        assert_eq!(
            builder.clone().application("a\nb").build().unwrap_err().kind(),
            ErrorKind::Config
        );
        assert!(builder.application("deploy/1.2").build().is_ok());
    }
}
