//! The console of a builder VM, for a guest that cannot report why it stopped.

use std::time::Duration;

use tokio::time::{self, timeout};

use super::context::BuildContext;
use crate::provider::Vm;
use crate::text::sanitize_untrusted;

/// The longest line in bytes that is shown.
const MAX_LINE: usize = 500;

/// The last lines of the console that are not empty, at most 15. None, if the provider has no console
/// or does not return it within 30 seconds: the error that they belong to must not be delayed.
pub(super) async fn tail(cx: &BuildContext, vm: &Vm) -> Vec<String> {
    const LINES: usize = 15;
    let mut lines: Vec<_> = lines(cx, vm).await;
    lines.drain(..lines.len().saturating_sub(LINES));
    lines
}

/// Polls the console every 30 seconds until it shows that the kernel has stopped, and returns that
/// line. The message is that of the kernel's `panic()`.
pub(super) async fn wait_for_kernel_panic(cx: &BuildContext, vm: &Vm) -> String {
    const INTERVAL: Duration = Duration::from_secs(30);
    const PANIC: &str = "Kernel panic - not syncing";
    loop {
        time::sleep(INTERVAL).await;
        if let Some(line) = lines(cx, vm).await.into_iter().find(|line| line.contains(PANIC)) {
            return line;
        }
    }
}

async fn lines(cx: &BuildContext, vm: &Vm) -> Vec<String> {
    const TIMEOUT: Duration = Duration::from_secs(30);
    // Boot messages have about 100 KB. A guest can print without end.
    const MAX_BYTES: usize = 1024 * 1024;
    let console = match timeout(TIMEOUT, cx.provider.console(&vm.id)).await {
        Ok(Ok(console)) => console,
        Ok(Err(error)) => {
            tracing::debug!(%error, "the console cannot be read");
            return Vec::new();
        }
        Err(_) => return Vec::new(),
    };
    let text = String::from_utf8_lossy(&console[console.len().saturating_sub(MAX_BYTES)..]);
    // A terminal goes back to the start of the line after a carriage return.
    let lines = text.split(['\n', '\r']).map(str::trim_end).filter(|line| !line.is_empty());
    lines.map(|line| sanitize_untrusted(line, MAX_LINE)).collect()
}
