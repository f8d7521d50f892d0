//! The base URL of the API.

use std::fmt;
use std::net::IpAddr;

use cloudd_core::provider::ErrorKind;
use reqwest::Url;

use crate::Error;

/// The base URL of the API, version included.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Endpoint(Url);

impl Endpoint {
    pub(super) const PUBLIC: &'static str = "https://api.hetzner.cloud/v1";

    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        let error = |what: &str| Error::new(ErrorKind::InvalidInput, "check endpoint", what);
        let mut url = Url::parse(text)
            .map_err(|source| error("the endpoint is not a URL").with_source(source))?;
        if !matches!(url.scheme(), "https" | "http") || !url.has_host() {
            return Err(error("the endpoint is not an http or https URL with a host"));
        }
        // The HTTP library would log a password in the URL.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(error("the endpoint holds a user name or password"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(error("the endpoint has a query or fragment"));
        }
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&path);
        Ok(Self(url))
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether requests go to another machine without encryption.
    pub(super) fn is_unencrypted(&self) -> bool {
        let host = self.0.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let local = address.map_or(host == "localhost", |address| address.is_loopback());
        !self.is_encrypted() && !local
    }

    /// The URL of a request. `path` starts with a slash and needs no encoding: it consists of words
    /// and ids.
    pub(super) fn url(&self, path: &str, query: &[(&'static str, String)]) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{path}", self.0.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_queries_go_behind_the_base() {
        for base in ["https://api.example/v1", "https://api.example/v1/"] {
            let endpoint = Endpoint::parse(base).unwrap();
            let query = [
                ("id", "1".to_owned()),
                ("id", "2".to_owned()),
                ("label_selector", "a=b,c".to_owned()),
            ];
            assert_eq!(
                endpoint.url("/actions", &query).as_str(),
                "https://api.example/v1/actions?id=1&id=2&label_selector=a%3Db%2Cc",
            );
        }
        let bare = Endpoint::parse("http://127.0.0.1:4000").unwrap();
        assert_eq!(bare.url("/servers", &[]).as_str(), "http://127.0.0.1:4000/servers");
        assert!(Endpoint::parse(Endpoint::PUBLIC).is_ok());
    }

    #[test]
    fn only_an_unencrypted_way_to_another_machine_is_unencrypted() {
        for (text, unencrypted) in [
            ("https://api.example/v1", false),
            ("http://localhost:1/v1", false),
            ("http://127.0.0.1:1/v1", false),
            ("http://[::1]:1/v1", false),
            ("http://192.0.2.7/v1", true),
            ("http://api.example/v1", true),
        ] {
            assert_eq!(Endpoint::parse(text).unwrap().is_unencrypted(), unencrypted, "{text}");
        }
    }

    #[test]
    fn other_texts_are_refused_before_any_request() {
        for text in [
            "",
            "api.example/v1",
            "ftp://api.example",
            "https://u:hunter2@api.example/v1",
            "https://a/?x=1",
        ] {
            let error = Endpoint::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
            assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        }
    }
}
