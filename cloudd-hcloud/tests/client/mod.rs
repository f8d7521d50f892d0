//! Tests of the client in virtual time, against an API that is a function.
//!
//! They are compiled into the crate's unit tests, since most of the client is not public.

mod actions;
mod any_body;
mod cached_list;
mod create;
mod executor;
mod fake;
mod server_wait;
