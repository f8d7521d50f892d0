//! libvirt's event loop, in a thread of its own.
//!
//! libvirt needs it to send keepalive messages. Without them, a call to a peer that hangs would never
//! return.

use std::sync::OnceLock;
use std::thread;

/// Starts the loop, once per process. Must be called before the first connection is opened.
///
/// Other code of the process may register and run libvirt's default loop, too: a second registration
/// is ignored, and two threads that run it take turns.
pub(crate) fn start() {
    static STARTED: OnceLock<bool> = OnceLock::new();
    STARTED.get_or_init(|| {
        // By default libvirt prints every error to stderr.
        virt::error::clear_error_callback();
        if let Err(error) = virt::event::event_register_default_impl() {
            tracing::warn!(%error, "no event loop: lost connections may not be detected");
            return false;
        }
        let run = || {
            while let Ok(()) = virt::event::event_run_default_impl() {}
            tracing::warn!("libvirt's event loop has ended");
        };
        thread::Builder::new().name("libvirt-events".into()).spawn(run).is_ok()
    });
}
