//! What stands between a client and the API: counts calls, plays faults, keeps the record.
//!
//! The API behind it is a wiremock server, which can neither reset a connection nor send half an
//! answer. So clients talk to this gateway, which passes requests on over loopback.

mod fault;
mod forward;
mod record;
mod serve;

pub use fault::Faults;
pub(crate) use serve::{Gateway, Settings};
