use cloudd_core::image::CancelHandle;
use tokio::signal::unix::{SignalKind, signal};

/// Cancels a build on Ctrl-C and on SIGTERM, so that it deletes what it made before the program
/// ends.
pub fn cancel_on_interrupt(handle: CancelHandle) {
    tokio::spawn(async move {
        let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        eprintln!("cancelling: what the build made is being deleted");
        handle.cancel();
    });
}
