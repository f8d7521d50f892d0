//! The API token.

use std::fmt;
use std::sync::Arc;

use cloudd_core::provider::ErrorKind;

use crate::Error;

/// An API token, which gives access to one project. Its debug output does not contain it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<str>);

impl Token {
    /// Checks a token: today 64 letters and digits, but every text that fits a header is accepted.
    ///
    /// # Errors
    /// `InvalidInput`: the token is empty, or contains whitespace or characters outside ASCII.
    pub fn new(token: impl AsRef<str>) -> Result<Self, Error> {
        let token = token.as_ref();
        let problem = if token.is_empty() {
            Some("the token is empty")
        } else if token.contains(char::is_whitespace) {
            Some("the token contains whitespace, perhaps a line break")
        } else if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Some("the token contains characters outside printable ASCII")
        } else {
            None
        };
        match problem {
            Some(problem) => Err(Error::new(ErrorKind::InvalidInput, "check token", problem)),
            None => Ok(Self(token.into())),
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
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
    fn a_token_of_another_length_is_accepted() {
        assert!(Token::new("a".repeat(64)).is_ok());
        assert!(Token::new("short-token_1").is_ok());
    }

    #[test]
    fn a_malformed_token_is_refused_without_being_repeated() {
        for token in ["", " ", "secret\n", "sec ret", "sécret", "secret\u{7f}", "\u{feff}secret"] {
            let error = Token::new(token).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(!format!("{error} {error:?}").contains("cret"), "{error:?}");
        }
    }

    #[test]
    fn debug_output_hides_the_token() {
        let debug = format!("{:?}", Token::new("verysecret").unwrap());
        assert_eq!(debug, "Token([redacted])");
    }
}
