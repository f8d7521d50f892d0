//! Conversion of libvirt's errors to [`ErrorKind`]s.
//!
//! libvirt has few error codes and most information is in its messages, so some rows below match the
//! text. Every row was observed with libvirt 9.0.

use std::fmt::Display;

use cloudd_core::provider::{Error, ErrorKind, Result};
use virt::error::{ErrorDomain, ErrorNumber};

/// Adds the operation and the resource to an error of libvirt.
pub(crate) trait ResultExt<T> {
    fn context(self, operation: &str, resource: impl Display) -> Result<T>;
}

/// The result of a call of libvirt.
pub(crate) type LibvirtResult<T> = std::result::Result<T, virt::error::Error>;

impl<T> ResultExt<T> for LibvirtResult<T> {
    fn context(self, operation: &str, resource: impl Display) -> Result<T> {
        self.map_err(|error| failed(operation, resource, &error))
    }
}

/// Converts a lookup that found nothing to `None`.
pub(crate) fn optional<T>(result: LibvirtResult<T>) -> LibvirtResult<Option<T>> {
    match result {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the error means that the object does not exist.
pub(crate) fn is_absent(error: &virt::error::Error) -> bool {
    matches!(
        error.code(),
        ErrorNumber::NoDomain
            | ErrorNumber::NoStorageVolume
            | ErrorNumber::NoDomainMetadata
            | ErrorNumber::NoStoragePool
            | ErrorNumber::NoNetwork
    )
}

/// Converts an error of libvirt. Its message becomes the message of the result.
pub(crate) fn failed(operation: &str, resource: impl Display, error: &virt::error::Error) -> Error {
    let kind = kind(error.code(), error.domain(), error.message());
    let message = one_line(error.message());
    let hint = hint(kind, &message);
    let converted = Error::new(kind, operation).with_resource(resource).with_message(message);
    match hint {
        Some(hint) => converted.with_hint(hint),
        None => converted,
    }
}

fn kind(code: ErrorNumber, domain: ErrorDomain, message: &str) -> ErrorKind {
    let says = |text: &str| message.contains(text);
    match code {
        ErrorNumber::NoDomain
        | ErrorNumber::NoStorageVolume
        | ErrorNumber::NoStoragePool
        | ErrorNumber::NoNetwork
        | ErrorNumber::NoDomainMetadata => ErrorKind::NotFound,
        ErrorNumber::StorageVolExist | ErrorNumber::DomExist => ErrorKind::AlreadyExists,
        // A domain defined under a name that is taken, and the messages of the test driver.
        ErrorNumber::OperationFailed
            if says("already exists with uuid")
                || says("is already defined with uuid")
                || says("storage vol already exists") =>
        {
            ErrorKind::AlreadyExists
        }
        ErrorNumber::AuthFailed
        | ErrorNumber::AuthCancelled
        | ErrorNumber::AuthUnavailable
        | ErrorNumber::AccessDenied
        | ErrorNumber::OperationDenied => ErrorKind::Unauthorized,
        ErrorNumber::ResourceBusy => ErrorKind::Busy,
        ErrorNumber::NoSupport
        | ErrorNumber::ArgumentUnsupported
        | ErrorNumber::ConfigUnsupported
        | ErrorNumber::OperationUnsupported => ErrorKind::Unsupported,
        ErrorNumber::OperationTimeout => ErrorKind::Timeout,
        _ if says("No space left on device")
            || says("Disk quota exceeded")
            || says("Not enough free space in pool") =>
        {
            ErrorKind::StorageFull
        }
        _ if says("asynchronous jobs running")
            || says("is still being allocated")
            || says("is still in use")
            || says("cannot acquire state change lock") =>
        {
            ErrorKind::Busy
        }
        ErrorNumber::SystemError if domain == ErrorDomain::Rpc && says("Permission denied") => {
            ErrorKind::Unauthorized
        }
        // A missing socket, a closed connection, an unanswered keepalive message.
        ErrorNumber::SystemError | ErrorNumber::InternalError | ErrorNumber::Rpc
            if domain == ErrorDomain::Rpc =>
        {
            ErrorKind::Connection
        }
        // Handles of a lost connection.
        _ if says("client socket is closed")
            || says("End of file while reading data")
            || says("connection closed due to keepalive timeout") =>
        {
            ErrorKind::Connection
        }
        _ => ErrorKind::Failed,
    }
}

fn hint(kind: ErrorKind, message: &str) -> Option<&'static str> {
    let says = |text: &str| message.contains(text);
    if kind == ErrorKind::Connection && says("Failed to connect socket") {
        return Some("is libvirtd running on that host? (systemctl start libvirtd)");
    }
    if kind == ErrorKind::Unauthorized {
        return Some("may this user use this libvirt? (the group libvirt, or polkit)");
    }
    if says("virtlogd-sock") {
        return Some("virtlogd is not running (systemctl start virtlogd)");
    }
    if says("Permission denied") {
        return Some(
            "QEMU runs as a separate user: it needs access to every directory above the pool, and \
             AppArmor or SELinux must allow the path of the pool",
        );
    }
    None
}

/// Replaces line ends: libvirt's messages can contain the output of QEMU.
pub(crate) fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An [`ErrorKind::InvalidInput`] error.
pub(crate) fn invalid(operation: &str, message: impl Display) -> Error {
    Error::new(ErrorKind::InvalidInput, operation).with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_classified() {
        use ErrorDomain as D;
        use ErrorKind as K;
        use ErrorNumber as N;
        let table = [
            (N::NoStorageVolume, D::Storage, "no storage vol with matching path", K::NotFound),
            (N::StorageVolExist, D::Storage, "'a' exists already", K::AlreadyExists),
            (
                N::OperationFailed,
                D::Domain,
                "domain 'x' already exists with uuid 1",
                K::AlreadyExists,
            ),
            (
                N::SystemError,
                D::Streams,
                "cannot write data: No space left on device",
                K::StorageFull,
            ),
            (N::InternalError, D::Storage, "pool 'p' has asynchronous jobs running.", K::Busy),
            (N::SystemError, D::Rpc, "Failed to connect socket to '/run/…'", K::Connection),
            (N::InternalError, D::Rpc, "client socket is closed", K::Connection),
            (
                N::SystemError,
                D::Rpc,
                "Failed to connect socket: Permission denied",
                K::Unauthorized,
            ),
            (N::InternalError, D::Qemu, "QEMU unexpectedly closed the monitor", K::Failed),
            (N::OperationInvalid, D::Qemu, "domain is not running", K::Failed),
        ];
        for (code, domain, message, expected) in table {
            assert_eq!(kind(code, domain, message), expected, "{message}");
        }
    }

    #[test]
    fn only_connection_errors_are_transient() {
        assert!(kind(ErrorNumber::SystemError, ErrorDomain::Rpc, "reset").is_transient());
        assert!(!kind(ErrorNumber::SystemError, ErrorDomain::Qemu, "reset").is_transient());
    }
}
