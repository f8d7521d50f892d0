//! `bootcmd` and `runcmd`.

use serde::Serialize;

use super::config::{CloudConfig, Section};
use super::error::{Error, Result};
use super::render::Document;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Commands {
    bootcmd: Vec<Command>,
    runcmd: Vec<Command>,
}

impl CloudConfig {
    /// Runs a command early in *every* boot: before files are written and users made.
    pub fn bootcmd(mut self, command: impl Into<Command>) -> Self {
        self.commands.bootcmd.push(command.into());
        self
    }

    /// Runs a command late in the first boot: files, users, packages and network are there.
    ///
    /// All of them make one shell script, in order. A failing one does not stop the next.
    pub fn runcmd(mut self, command: impl Into<Command>) -> Self {
        self.commands.runcmd.push(command.into());
        self
    }
}

/// A command: a line for the shell, or a program with its arguments.
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
    /// A piece of a shell script. The shell sees it as it is.
    Shell(String),
    /// A program and its arguments. cloud-init quotes them, so that the shell sees none of them.
    Argv(Vec<String>),
}

impl Command {
    pub(super) fn check(&self, key: &'static str, index: usize) -> Result<()> {
        let (program, nul) = match self {
            Self::Shell(line) => (line.as_str(), line.contains('\0')),
            Self::Argv(words) => {
                let program = words.first().map_or("", String::as_str);
                (program, words.iter().any(|word| word.contains('\0')))
            }
        };
        if program.trim().is_empty() {
            Err(Error::EmptyCommand { key, index })
        } else if nul {
            Err(Error::NulInCommand { key, index })
        } else {
            Ok(())
        }
    }
}

impl Section for Commands {
    fn check(&self) -> Result<()> {
        for (key, commands) in [("bootcmd", &self.bootcmd), ("runcmd", &self.runcmd)] {
            for (index, command) in commands.iter().enumerate() {
                command.check(key, index)?;
            }
        }
        Ok(())
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.list("bootcmd", &self.bootcmd);
        document.list("runcmd", &self.runcmd);
        Ok(())
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
