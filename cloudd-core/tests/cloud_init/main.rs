//! Tests of the cloud-init builder with the real cloud-init.
//!
//! They need Debian's packages `cloud-init` and `python3-yaml` and fail without them.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a failed test")]

mod errors;
mod files;
mod golden;
mod multipart;
mod redaction;
mod semantics;
mod support;
mod yaml;
