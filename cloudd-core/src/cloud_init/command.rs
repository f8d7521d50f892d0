//! Commands of `bootcmd`, `runcmd` and `power_state.condition`.

use serde::Serialize;

use super::error::{Error, Result};

/// A shell command line, or a program with its arguments.
///
/// ```
/// use cloudd_core::cloud_init::Command;
///
/// assert_eq!(Command::from("echo $HOME"), Command::Shell("echo $HOME".to_owned()));
/// assert_eq!(
///     Command::from(["echo", "$HOME"]),
///     Command::Argv(vec!["echo".to_owned(), "$HOME".to_owned()]),
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Command {
    /// Shell source, passed to the shell unchanged.
    Shell(String),
    /// A program and its arguments. cloud-init quotes them, so the shell expands nothing.
    Argv(Vec<String>),
}

impl Command {
    pub(super) fn check(&self, key: &'static str, index: usize) -> Result<()> {
        let words = match self {
            Self::Shell(line) => std::slice::from_ref(line),
            Self::Argv(words) => words,
        };
        if words.first().is_none_or(|program| program.trim().is_empty()) {
            Err(Error::InvalidCommand { key, index, reason: "is empty" })
        } else if words.iter().any(|word| word.contains('\0')) {
            Err(Error::InvalidCommand { key, index, reason: "contains a NUL character" })
        } else {
            Ok(())
        }
    }
}

impl From<&str> for Command {
    fn from(line: &str) -> Self {
        Self::Shell(line.to_owned())
    }
}

impl From<String> for Command {
    fn from(line: String) -> Self {
        Self::Shell(line)
    }
}

impl<S: Into<String>, const N: usize> From<[S; N]> for Command {
    fn from(argv: [S; N]) -> Self {
        Self::Argv(argv.into_iter().map(Into::into).collect())
    }
}

impl<S: Into<String>> From<Vec<S>> for Command {
    fn from(argv: Vec<S>) -> Self {
        Self::Argv(argv.into_iter().map(Into::into).collect())
    }
}
