//! One architecture, two names.

use cloudd_core::provider::{Architecture, Error, ErrorKind, Result};

use crate::schema;

/// Hetzner's name of an architecture.
pub(super) fn of_hetzner(architecture: Architecture) -> Result<schema::Architecture> {
    match architecture {
        Architecture::X86_64 => Ok(schema::Architecture::X86),
        Architecture::Aarch64 => Ok(schema::Architecture::Arm),
        other => Err(Error::new(ErrorKind::InvalidInput, "choose server type")
            .with_message(format_args!("Hetzner Cloud has no servers of architecture {other}"))),
    }
}
