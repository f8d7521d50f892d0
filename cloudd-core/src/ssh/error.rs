use std::time::Duration;

use russh::AlgorithmKind;

use crate::provider::{Error, ErrorKind};

/// What can be wrong with a connection. Whether it is final is for
/// [`RetryState`](super::retry_state::RetryState) to say.
#[derive(Debug, thiserror::Error)]
pub(super) enum SshError {
    #[error("{0}")]
    Unreachable(String),
    #[error("the host key is {seen}, not {expected}, the one made for this build")]
    HostKey { expected: String, seen: String },
    #[error(
        "the guest has no host key of a usable type, so not {expected}, the one made for this build"
    )]
    NoHostKey { expected: String },
    #[error("the guest did not prove that it holds the host key made for this build")]
    Unproven,
    #[error("the guest's sshd and cloudd have no way to talk in common")]
    Incompatible(#[source] russh::Error),
    #[error("user {user} is not let in with the key made for this build")]
    Refused { user: String },
    #[error("{name} did not run in the guest{}", saying(.said))]
    NotRun { name: &'static str, said: String },
    #[error("no answer within {} s", .0.as_secs_f32())]
    Silent(Duration),
    #[error("the connection was lost")]
    Lost,
    #[error("the connection failed")]
    Broken(#[source] russh::Error),
    #[error("{name} ended in the guest{}", saying(.said))]
    Ended { name: &'static str, said: String },
}

fn saying(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}

/// How a error is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Retryability {
    /// It passes, or the caller's deadline does.
    Transient,
    /// It passes if it is seen while the guest boots, else it stays.
    TransientDuringBoot,
    /// It stays.
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

    /// As an error for the caller.
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
                "the user's login shell or a forced command keeps commands from running; \
                 cloud-init forces one on root unless disable_root is false",
            ),
            Self::Incompatible(_) => (
                ErrorKind::Unsupported,
                "allow a current key exchange, cipher and MAC in the guest's sshd_config",
            ),
            _ => (ErrorKind::Connection, "look at the guest's sshd and at firewalls on the way"),
        };
        let error = Error::new(kind, operation)
            .with_resource(guest)
            .with_message(&self)
            .with_attempts(attempts)
            .with_hint(hint);
        match self {
            Self::Incompatible(cause) | Self::Broken(cause) => error.with_source(cause),
            _ => error,
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

impl SshError {
    /// What a handshake ended with: here the two sides may lack a host key type in common.
    pub(super) fn of_handshake(error: russh::Error, expected: String) -> Self {
        match error {
            russh::Error::NoCommonAlgo { kind: AlgorithmKind::Key, .. } => {
                Self::NoHostKey { expected }
            }
            other => other.into(),
        }
    }
}
