//! The cloud-init builder against the real cloud-init.
//!
//! These tests need Debian's packages `cloud-init` and `python3-yaml` and fail without them:
//! a rendering that nobody but us has read proves nothing.

#![expect(clippy::unwrap_used, reason = "a helper of a test that fails is a failed test")]

mod errors;
mod files;
mod golden;
mod multipart;
mod redaction;
mod semantics;
mod support;
mod yaml;
