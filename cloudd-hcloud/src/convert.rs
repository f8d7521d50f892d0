//! Conversions between the types of cloudd and those of Hetzner's API.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::fmt::Display;
use std::str::FromStr;

use cloudd_core::provider::{Architecture, Error, ErrorKind, Result, Size};

use crate::schema;

/// Parses an id of cloudd, which is text, as an id of Hetzner Cloud, which is a number.
pub(crate) fn parse_id<I: FromStr>(id: &(impl Display + ?Sized)) -> Result<I> {
    id.to_string().parse().map_err(|_| {
        Error::new(ErrorKind::InvalidInput, "parse id")
            .with_resource(id)
            .with_message("ids of Hetzner Cloud are numbers")
    })
}

/// Hetzner's name of an architecture.
pub(crate) fn architecture(architecture: Architecture) -> Result<schema::Architecture> {
    match architecture {
        Architecture::X86_64 => Ok(schema::Architecture::X86),
        Architecture::Aarch64 => Ok(schema::Architecture::Arm),
        other => Err(Error::new(ErrorKind::InvalidInput, "choose server type")
            .with_message(format_args!("Hetzner Cloud has no servers of architecture {other}"))),
    }
}

/// The size of a root disk of `gb` gigabytes.
///
/// Hetzner does not document whether these are 10⁹ or 2³⁰ bytes. The smaller value is used, so that
/// a disk is never smaller than cloudd expects.
pub(crate) fn disk_size(gb: f64) -> Size {
    Size::bytes(whole(gb).saturating_mul(1_000_000_000))
}

/// Rounds down to a whole number; negative numbers become 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from a float saturates"
)]
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}
