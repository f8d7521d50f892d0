use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};

/// Whether a guest can be reached. Its channel sets the state, the build waits on it; clones share
/// it.
///
/// A new value counts as reachable until the first failed attempt, and as never reached.
#[derive(Debug, Clone, Default)]
pub struct Reachability(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    /// When the current outage began, and the reason of the latest failed attempt.
    outage: Option<(Instant, String)>,
    was_reachable: bool,
}

impl Reachability {
    /// Creates the state before the first attempt.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Records a failed attempt, with a reason such as `192.0.2.1:22: connection refused`. An outage
    /// lasts from the first failed attempt to the next [`set_reachable`](Self::set_reachable).
    pub fn set_unreachable(&self, reason: impl Display) {
        let reason = reason.to_string();
        self.0.send_modify(|state| {
            let since = state.outage.take().map_or_else(Instant::now, |(since, _)| since);
            state.outage = Some((since, reason));
        });
    }

    /// Records that the guest was reached, which ends an outage.
    pub fn set_reachable(&self) {
        self.0.send_modify(|state| *state = State { outage: None, was_reachable: true });
    }

    /// Whether there is no outage.
    #[must_use]
    pub fn is_reachable(&self) -> bool {
        self.0.borrow().outage.is_none()
    }

    /// Returns the reason of the current outage.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().outage.as_ref().map(|(_, reason)| reason.clone())
    }

    /// Whether the guest was reached at least once.
    #[must_use]
    pub fn was_reachable(&self) -> bool {
        self.0.borrow().was_reachable
    }

    /// Waits until one outage has lasted for `duration`, and returns its reason.
    pub(crate) async fn unreachable_for(&self, duration: Duration) -> String {
        let mut changes = self.0.subscribe();
        loop {
            let outage = changes.borrow_and_update().outage.clone();
            let expiry = async {
                match outage {
                    Some((since, reason)) => {
                        time::sleep(duration.saturating_sub(since.elapsed())).await;
                        reason
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                reason = expiry => return reason,
                // Cannot fail: `self` holds the sender.
                _ = changes.changed() => {}
            }
        }
    }

    /// Waits until there is no outage.
    pub(crate) async fn reachable(&self) {
        // Cannot fail: `self` holds the sender.
        let _ = self.0.subscribe().wait_for(|state| state.outage.is_none()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_reported_with_its_latest_reason() {
        let (reachability, start) = (Reachability::new(), Instant::now());
        reachability.set_unreachable("refused");
        let other = reachability.clone();
        tokio::spawn(async move {
            time::sleep(MINUTE / 2).await;
            other.set_unreachable("no answer");
        });
        assert_eq!(reachability.unreachable_for(MINUTE).await, "no answer");
        assert_eq!(start.elapsed(), MINUTE);
        assert!(!reachability.is_reachable());
        assert!(!reachability.was_reachable());
    }

    #[tokio::test(start_paused = true)]
    async fn being_reachable_ends_an_outage() {
        let (reachability, start) = (Reachability::new(), Instant::now());
        reachability.set_unreachable("refused");
        let other = reachability.clone();
        tokio::spawn(async move {
            time::sleep(MINUTE / 2).await;
            other.set_reachable();
            assert!(other.is_reachable());
            assert_eq!(other.reason(), None);
            time::sleep(MINUTE).await;
            other.set_unreachable("lost");
        });
        assert_eq!(reachability.unreachable_for(MINUTE).await, "lost");
        assert!(start.elapsed() >= MINUTE * 5 / 2, "{:?}", start.elapsed());
        assert!(reachability.was_reachable());
    }
}
