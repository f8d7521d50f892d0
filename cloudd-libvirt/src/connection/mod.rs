//! The connection to libvirt: `host` opens and reopens it, `session` is one open connection with the
//! pool, `event_loop` keeps it alive.

mod event_loop;
mod host;
mod session;

pub(crate) use host::{Host, blocking};
pub(crate) use session::{Driver, Session};
