use cloudd_core::build::CancelHandle;
use tokio::signal::unix::{SignalKind, signal};

/// Cancels a build on Ctrl-C and on SIGTERM, so that it deletes what it made before the program
/// ends.
pub fn cancel_on_interrupt(handle: CancelHandle) {
    tokio::spawn(async move {
        interrupted().await;
        eprintln!("cancelling: what the build made is being deleted");
        handle.cancel();
    });
}

/// Waits for Ctrl-C or SIGTERM.
pub async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}
