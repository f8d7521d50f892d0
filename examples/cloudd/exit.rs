//! How the command ends, and what its user can do then.

use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

use cloudd_core::build::{BuildError, BuildErrorKind};
use cloudd_core::provider::{Error, ErrorKind, ResourceId};

/// The exit codes; later ones outrank earlier ones when several builds end differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// 0: all of it is done.
    Done,
    /// 130: interrupted, and cleaned up.
    Cancelled,
    /// 2: the input cannot work; nothing was created. clap ends with it too.
    Input,
    /// 1: the cloud, the builder VM or the install container failed.
    Failed,
    /// 3: something is left that goes on costing money.
    Left,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Input => 2,
            Exit::Left => 3,
            Exit::Cancelled => 130,
        })
    }
}

impl Exit {
    pub(crate) fn of(error: &BuildError) -> Self {
        match error.kind() {
            _ if !error.remaining().is_empty() => Self::Left,
            BuildErrorKind::Cancelled => Self::Cancelled,
            BuildErrorKind::Input(_) => Self::Input,
            BuildErrorKind::Provider(error) => Self::of_kind(error.kind()),
            _ => Self::Failed,
        }
    }

    fn of_kind(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::InvalidInput | ErrorKind::Unauthorized => Self::Input,
            _ => Self::Failed,
        }
    }
}

/// An error before or beside a build.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    message: String,
}

impl Trouble {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { exit: Exit::Input, message: message.into() }
    }

    pub(crate) fn left(message: impl Into<String>) -> Self {
        Self { exit: Exit::Left, message: message.into() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        if let Some(advice) = of_provider(error.kind()) {
            message = format!("{message}\n{advice}");
        }
        Self { exit: Exit::of_kind(error.kind()), message }
    }
}

/// What to do without a token that will do.
pub(crate) const NO_TOKEN: &str =
    "set HCLOUD_TOKEN to a token with read and write access, made in the project's console";

/// What to do about a failed build.
pub(crate) fn advice(error: &BuildError) -> Option<String> {
    if !error.remaining().is_empty() {
        let left: Vec<_> = error.remaining().iter().map(handle).collect();
        return Some(format!("to delete what is left: cloudd delete {}", left.join(" ")));
    }
    let advice = match error.kind() {
        BuildErrorKind::Input(_) => {
            "nothing was created; correct it and run the same command again"
        }
        BuildErrorKind::Guest { .. } | BuildErrorKind::Deadline { .. } => {
            "to look into the builder: run it again with --keep, --debug-user and --debug-key"
        }
        BuildErrorKind::Unreachable { .. } => {
            "nothing is left; allow SSH to builders, then run it again"
        }
        BuildErrorKind::Provider(error) => of_provider(error.kind())?,
        BuildErrorKind::Cancelled => "nothing is left",
        _ => return None,
    };
    Some(advice.to_owned())
}

fn of_provider(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Unauthorized => NO_TOKEN,
        ErrorKind::Unavailable => "try other values of --location or --server-type",
        ErrorKind::QuotaExceeded => "`cloudd list` shows what cloudd has in this project",
        ErrorKind::Connection => "the cloud could not be reached; run the same command again",
        _ => return None,
    })
}

/// A resource as `cloudd delete` takes it.
pub(crate) fn handle(id: &ResourceId) -> String {
    match id {
        ResourceId::Vm(id) => format!("vm/{id}"),
        ResourceId::Volume(id) => format!("volume/{id}"),
        ResourceId::Image(id) => format!("image/{id}"),
        ResourceId::Lease(id) => format!("lease/{id}"),
        ResourceId::Other(kind, id) => format!("{}/{id}", kind.replace(' ', "-")),
        other => other.to_string(),
    }
}
