//! What goes over the wire, and what the client makes of what comes back.

#![expect(clippy::unwrap_used, reason = "a test helper that fails is a test that fails")]

mod examples;
mod failures;
mod flaky;
mod quota;
mod requests;
mod secrets;
mod support;
mod waits;
