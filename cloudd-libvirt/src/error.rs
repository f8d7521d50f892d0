//! From libvirt's error codes to the kinds that a program branches on.
//!
//! libvirt has few codes and says most in its messages, so some rows of the table below look at
//! the text. Every row was seen with libvirt 9.0.

use std::fmt::Display;

use cloudd_core::provider::{Error, ErrorKind, Result};
use virt::error::{ErrorDomain, ErrorNumber};

/// Says during which operation, on what, a call of libvirt failed.
pub(crate) trait During<T> {
    fn during(self, operation: &str, resource: impl Display) -> Result<T>;
}

/// What a call of libvirt gives.
pub(crate) type Answer<T> = std::result::Result<T, virt::error::Error>;

impl<T> During<T> for Answer<T> {
    fn during(self, operation: &str, resource: impl Display) -> Result<T> {
        self.map_err(|error| failed(operation, resource, error))
    }
}

/// What remains of a lookup when "it does not exist" is an answer.
pub(crate) fn found<T>(result: Answer<T>) -> Answer<Option<T>> {
    match result {
        Ok(thing) => Ok(Some(thing)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the error says that the thing asked for does not exist.
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

/// libvirt's error as ours.
pub(crate) fn failed(operation: &str, resource: impl Display, error: virt::error::Error) -> Error {
    let kind = kind(error.code(), error.domain(), error.message());
    let message = one_line(error.message());
    let hint = hint(kind, &message);
    let mine = Error::new(kind, operation)
        .with_resource(resource)
        .with_message(message)
        .with_source(error);
    match hint {
        Some(hint) => mine.with_hint(hint),
        None => mine,
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
        // A domain defined under a taken name, and the test driver's words for both.
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
        // A socket that is not there, a peer that hung up, a keepalive that was not answered.
        ErrorNumber::SystemError | ErrorNumber::InternalError | ErrorNumber::Rpc
            if domain == ErrorDomain::Rpc =>
        {
            ErrorKind::Connection
        }
        // Handles of a connection that is gone.
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
        return Some("is libvirtd running there? (systemctl start libvirtd)");
    }
    if kind == ErrorKind::Unauthorized {
        return Some("may this user use this libvirt? (the group libvirt, or polkit)");
    }
    if says("virtlogd-sock") {
        return Some("virtlogd does not run beside libvirtd (systemctl start virtlogd)");
    }
    if says("Permission denied") {
        return Some(
            "QEMU runs as a user of its own: every folder above the pool must be open to it, and \
             AppArmor or SELinux must allow the pool's path",
        );
    }
    None
}

/// libvirt quotes whole outputs of QEMU, with line ends; its own first line comes first.
fn one_line(message: &str) -> String {
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An error that libvirt had no part in.
pub(crate) fn invalid(operation: &str, message: impl Display) -> Error {
    Error::new(ErrorKind::InvalidInput, operation).with_message(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libvirt_says_is_sorted_by_what_can_be_done_about_it() {
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
    fn only_what_may_pass_by_itself_is_transient() {
        assert!(kind(ErrorNumber::SystemError, ErrorDomain::Rpc, "reset").is_transient());
        assert!(!kind(ErrorNumber::SystemError, ErrorDomain::Qemu, "reset").is_transient());
    }
}
