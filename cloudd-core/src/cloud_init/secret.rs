//! Text that must not turn up in a log by way of `{:?}`.

use std::fmt;

use serde::{Serialize, Serializer};

/// A text that is rendered but never shown.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// A URL, shown without the user and password that a proxy's or a mirror's may carry.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url(String);

impl Url {
    pub(super) fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }

    /// The URL as it may be shown: `https://<redacted>@host/path`.
    pub(super) fn shown(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return self.0.clone();
        };
        let authority_end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        // A password may itself hold an '@', a '/' or a '#'; the last '@' is the safe place to cut.
        match rest.rfind('@') {
            Some(at) if at < authority_end || rest[..at].contains(':') => {
                format!("{scheme}://<redacted>{}", &rest[at..])
            }
            _ => self.0.clone(),
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.shown(), f)
    }
}

impl Serialize for Url {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_shown() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "<redacted>");
    }

    #[test]
    fn the_password_of_a_url_is_not_shown() {
        for (url, shown) in [
            ("http://proxy:3128/", "http://proxy:3128/"),
            ("http://me:pw@proxy:3128/", "http://<redacted>@proxy:3128/"),
            ("http://me:p/w@proxy/x", "http://<redacted>@proxy/x"),
            ("http://me:p@w@proxy/x", "http://<redacted>@proxy/x"),
            ("http://token@proxy", "http://<redacted>@proxy"),
            ("http://mirror/@scope/x", "http://mirror/@scope/x"),
            ("proxy", "proxy"),
        ] {
            assert_eq!(Url::new(url).shown(), shown);
        }
    }
}
