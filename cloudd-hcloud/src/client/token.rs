//! The API token.

use std::fmt;
use std::sync::Arc;

use crate::{Error, ErrorKind};

/// An API token: one project, to read and write. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// Takes a token as the console shows it: 64 letters and digits today, and whatever fits a
    /// header tomorrow.
    ///
    /// # Errors
    /// `Config`: empty, or with whitespace or characters outside ASCII, as a badly copied token
    /// has.
    pub fn new(token: impl AsRef<str>) -> Result<Self, Error> {
        let token = token.as_ref();
        let flaw = if token.is_empty() {
            Some("the token is empty")
        } else if token.contains(char::is_whitespace) {
            Some("the token contains whitespace: was a line break copied with it?")
        } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Some("the token contains characters that no token has")
        } else {
            None
        };
        match flaw {
            Some(flaw) => Err(Error::new(ErrorKind::Config, "check token", flaw)),
            None => Ok(Self(token.into())),
        }
    }

    /// The value of the `Authorization` header.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.0)
    }

    pub(super) fn secret(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_another_length_is_taken() {
        assert!(Token::new("a".repeat(64)).is_ok());
        assert!(Token::new("short-token_1").is_ok());
    }

    #[test]
    fn a_malformed_token_is_refused_without_being_repeated() {
        for token in ["", " ", "secret\n", "sec ret", "sécret", "secret\u{7f}", "\u{feff}secret"] {
            let error = Token::new(token).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!format!("{error} {error:?}").contains("cret"), "{error:?}");
        }
    }

    #[test]
    fn debug_output_hides_the_token() {
        let debug = format!("{:?}", Token::new("verysecret").unwrap());
        assert_eq!(debug, "Token([redacted])");
    }
}
