use std::time::Duration;

use russh::AlgorithmKind;

use crate::provider::{Error, ErrorKind};
use crate::text::human_duration;

/// A failed attempt to connect, to log in or to run a script.
#[derive(Debug, thiserror::Error)]
pub(super) enum SshError {
    #[error("{0}")]
    Unreachable(String),
    #[error("the host key is {seen}, not {expected}, the one of this build")]
    HostKey { expected: String, seen: String },
    #[error(
        "the guest has no host key of a supported type, so not {expected}, the one of this build"
    )]
    NoHostKey { expected: String },
    #[error("the guest did not prove that it has the private host key of this build")]
    Unproven,
    #[error("the guest's sshd and cloudd have no algorithms in common")]
    Incompatible(#[source] russh::Error),
    #[error("sshd refuses user {user} with the key of this build")]
    Refused { user: String },
    #[error("{name} did not run in the guest{}", suffix(.stderr))]
    NotRun { name: &'static str, stderr: String },
    #[error("no answer within {}", human_duration(*.0))]
    Silent(Duration),
    #[error("the connection was lost")]
    Lost,
    #[error("the connection failed")]
    Broken(#[source] russh::Error),
    #[error("{name} ended in the guest{}", suffix(.stderr))]
    Ended { name: &'static str, stderr: String },
}

fn suffix(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

/// Whether retrying can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retryability {
    /// Retrying can help, for as long as the caller waits.
    Transient,
    /// Retrying can help while the guest boots.
    TransientDuringBoot,
    /// Retrying cannot help.
    Permanent,
}

impl SshError {
    pub(super) fn retryability(&self) -> Retryability {
        match self {
            Self::HostKey { .. }
            | Self::NoHostKey { .. }
            | Self::Unproven
            | Self::Incompatible(_) => Retryability::Permanent,
            Self::Refused { .. } | Self::NotRun { .. } => Retryability::TransientDuringBoot,
            Self::Unreachable(_)
            | Self::Silent(_)
            | Self::Lost
            | Self::Broken(_)
            | Self::Ended { .. } => Retryability::Transient,
        }
    }

    /// Converts it for the caller of the channel, with a hint.
    pub(super) fn into_error(self, operation: &str, guest: &str, attempts: u32) -> Error {
        let (kind, hint) = match &self {
            Self::HostKey { .. } | Self::NoHostKey { .. } | Self::Unproven => (
                ErrorKind::Untrusted,
                "another machine answers at this address, or the guest's cloud-init did not \
                 install its host key; nothing was sent",
            ),
            Self::Refused { .. } => (
                ErrorKind::Unauthorized,
                "the guest's cloud-init must authorize the key for this user, and allow root to \
                 log in if it is root (disable_root: false)",
            ),
            Self::NotRun { .. } => (
                ErrorKind::Unauthorized,
                "the user's login shell or a forced command prevents commands from running; \
                 cloud-init forces a command on root unless disable_root is false",
            ),
            Self::Incompatible(_) => (
                ErrorKind::Unsupported,
                "allow a current key exchange, cipher and MAC in the guest's sshd_config",
            ),
            _ => (ErrorKind::Connection, "check the guest's sshd and the firewalls in between"),
        };
        let error = Error::new(kind, operation)
            .with_resource(guest)
            .with_message(&self)
            .with_attempts(attempts)
            .with_hint(hint);
        match self {
            Self::Incompatible(source) | Self::Broken(source) => error.with_source(source),
            _ => error,
        }
    }

    /// Converts an error of the handshake, in which the two sides may have no type of host key in
    /// common.
    pub(super) fn of_handshake(error: russh::Error, expected: String) -> Self {
        match error {
            russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. } => {
                Self::NoHostKey { expected }
            }
            other => other.into(),
        }
    }
}

impl From<russh::Error> for SshError {
    fn from(error: russh::Error) -> Self {
        match error {
            russh::Error::WrongServerSig | russh::Error::UnknownKey => Self::Unproven,
            russh::Error::NoCommonAlgo { .. } => Self::Incompatible(error),
            russh::Error::Disconnect
            | russh::Error::HUP
            | russh::Error::SendError
            | russh::Error::RecvError
            | russh::Error::InactivityTimeout
            | russh::Error::KeepaliveTimeout => Self::Lost,
            other => Self::Broken(other),
        }
    }
}
