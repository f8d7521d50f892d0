//! Tests of the client over HTTP, against a server that gives scripted responses and records the
//! requests.
//!
//! They are compiled into the crate's unit tests, since most of the client is not public.

mod examples;
mod failures;
mod flaky;
mod quota;
mod requests;
mod secrets;
mod support;
mod waits;
