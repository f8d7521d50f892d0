//! libvirt's event loop, on a thread of its own.
//!
//! Without it libvirt cannot keep a connection alive, and a call on a connection whose other end
//! is frozen would never return.

use std::sync::OnceLock;
use std::thread;

/// Starts the loop, once for the process. To be called before the first connection is opened.
///
/// libvirt's default loop may be registered and run by other code of the process too: a second
/// registration is ignored, and two threads that run it take turns.
pub(crate) fn start() {
    static STARTED: OnceLock<bool> = OnceLock::new();
    STARTED.get_or_init(|| {
        // libvirt prints every error to the terminal by itself, unless told otherwise.
        virt::error::clear_error_callback();
        if let Err(error) = virt::event::event_register_default_impl() {
            tracing::warn!(%error, "no event loop: lost connections may go unnoticed");
            return false;
        }
        let run = || {
            while let Ok(()) = virt::event::event_run_default_impl() {}
            tracing::warn!("libvirt's event loop has ended");
        };
        thread::Builder::new().name("libvirt-events".into()).spawn(run).is_ok()
    });
}
