//! Exit codes, errors, and advice about errors.

use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

use cloudd_core::provider::{Error, ErrorKind, ResourceId};
use cloudd_core::{BuildError, BuildErrorKind};

/// The exit codes, in ascending order of precedence if several builds end differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Exit {
    /// 0: success, and everything but the image was deleted.
    Success,
    /// 130: interrupted, and cleaned up.
    Cancelled,
    /// 2: an input cannot work, and nothing was created. clap uses it, too.
    Input,
    /// 1: the cloud, the builder VM or the install container failed.
    Failed,
    /// 3: resources remain that may cost money, with or without an image.
    Remaining,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Success => 0,
            Exit::Failed => 1,
            Exit::Input => 2,
            Exit::Remaining => 3,
            Exit::Cancelled => 130,
        })
    }
}

impl Exit {
    pub(crate) fn of(error: &BuildError) -> Self {
        match error.kind() {
            _ if !error.remaining().is_empty() => Self::Remaining,
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

/// An error outside of a build.
#[derive(Debug)]
pub(crate) struct ToolError {
    pub(crate) exit: Exit,
    message: String,
}

impl ToolError {
    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self { exit: Exit::Input, message: message.into() }
    }

    pub(crate) fn remaining(message: impl Into<String>) -> Self {
        Self { exit: Exit::Remaining, message: message.into() }
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<Error> for ToolError {
    fn from(error: Error) -> Self {
        let mut message = error_chain(&error);
        if let Some(advice) = provider_advice(error.kind()) {
            message = format!("{message}\n{advice}");
        }
        Self { exit: Exit::of_kind(error.kind()), message }
    }
}

/// An error and its sources on one line.
pub(crate) fn error_chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

/// The advice about a missing or refused token.
pub(crate) const SET_TOKEN: &str =
    "set HCLOUD_TOKEN to a token with read and write access, from the project's console";

/// The advice about a failed build.
pub(crate) fn advice(error: &BuildError) -> Option<String> {
    if !error.remaining().is_empty() {
        return Some(delete_command(error.remaining()));
    }
    let advice = match error.kind() {
        BuildErrorKind::Input(_) => "nothing was created; correct the input and try again",
        BuildErrorKind::Guest { .. } | BuildErrorKind::Deadline { .. } => {
            "to inspect the builder VM, build with --keep, --debug-user and --debug-key"
        }
        BuildErrorKind::Unreachable { .. } => {
            "everything was deleted; allow inbound SSH to builder VMs and try again"
        }
        BuildErrorKind::Provider(error) => provider_advice(error.kind())?,
        BuildErrorKind::Cancelled => "everything was deleted",
        _ => return None,
    };
    Some(advice.to_owned())
}

fn provider_advice(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::Unauthorized => SET_TOKEN,
        ErrorKind::Unavailable => "try other values of --location or --server-type",
        ErrorKind::QuotaExceeded => {
            "`cloudd list` prints the resources of cloudd in this project; --ipv6-only needs fewer \
             primary IPs, and --location chooses another location"
        }
        ErrorKind::Connection => "the cloud could not be reached; try again",
        _ => return None,
    })
}

/// The advice about resources that remain.
pub(crate) fn delete_command(remaining: &[ResourceId]) -> String {
    let ids: Vec<_> = remaining.iter().map(argument).collect();
    format!("to delete the remaining resources: cloudd delete {}", ids.join(" "))
}

/// A resource as an argument of `cloudd delete`.
pub(crate) fn argument(id: &ResourceId) -> String {
    match id {
        ResourceId::Vm(id) => format!("vm/{id}"),
        ResourceId::Volume(id) => format!("volume/{id}"),
        ResourceId::Image(id) => format!("image/{id}"),
        ResourceId::Lease(id) => format!("lease/{id}"),
        other => other.to_string(),
    }
}
