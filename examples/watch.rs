use cloudd_core::build::CancelHandle;
use cloudd_core::{BuildError, BuildHandle, Image};
use tokio::signal::unix::{SignalKind, signal};

use crate::terminal::print_events;

/// Prints the events of a build on stderr until it ends, and returns its image. Cancels the build on
/// Ctrl-C and SIGTERM. Resources that could not be deleted are printed as a warning.
///
/// # Errors
/// Those of the build.
pub async fn watch(mut build: BuildHandle) -> Result<Image, BuildError> {
    cancel_on_interrupt(build.cancel_handle());
    print_events(build.events(), &[]).await;
    let built = build.await?;
    if let Some(leftovers) = &built.leftovers {
        eprintln!("warning: {leftovers}");
    }
    Ok(built.image)
}

/// Cancels a build on Ctrl-C and on SIGTERM. A cancelled build deletes its resources before it ends.
pub fn cancel_on_interrupt(handle: CancelHandle) {
    tokio::spawn(async move {
        interrupted().await;
        eprintln!("cancelling: the resources of the build are being deleted");
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
