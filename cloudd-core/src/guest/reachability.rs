use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};

/// What keeps a guest from being heard at the moment: told by its channel, asked by who waits.
/// Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Reachability(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    /// What is in the way now, and since when something has been.
    standing: Option<(Instant, String)>,
    reached: bool,
}

impl Reachability {
    /// Nothing is known to be in the way, and the guest was not reached yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Something is in the way, such as `192.0.2.1:22: connection refused`.
    pub fn set_unreachable(&self, why: impl Display) {
        let why = why.to_string();
        self.0.send_modify(|state| {
            let since = state.standing.take().map_or_else(Instant::now, |(since, _)| since);
            state.standing = Some((since, why));
        });
    }

    /// The guest is reached: nothing is in the way.
    pub fn set_reachable(&self) {
        self.0.send_modify(|state| *state = State { standing: None, reached: true });
    }

    /// What is in the way now. `None` while the guest is reached, and before it was tried.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().standing.as_ref().map(|(_, why)| why.clone())
    }

    /// Whether the guest was ever reached.
    #[must_use]
    pub fn was_reachable(&self) -> bool {
        self.0.borrow().reached
    }

    /// Waits until something has been in the way for so long without a break, and says what.
    pub(crate) async fn unreachable_for(&self, patience: Duration) -> String {
        let mut changes = self.0.subscribe();
        loop {
            let standing = changes.borrow_and_update().standing.clone();
            let long = async {
                match &standing {
                    Some((since, _)) => time::sleep_until(*since + patience).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = long => return standing.map(|(_, why)| why).unwrap_or_default(),
                // Never an error: the sender is here.
                _ = changes.changed() => {}
            }
        }
    }

    /// Waits until nothing is in the way.
    pub(crate) async fn reachable(&self) {
        // Never an error: the sender is here.
        let _ = self.0.subscribe().wait_for(|state| state.standing.is_none()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn what_stands_for_long_enough_is_told_with_its_last_words() {
        let (reachability, begun) = (Reachability::new(), Instant::now());
        reachability.set_unreachable("refused");
        let other = reachability.clone();
        tokio::spawn(async move {
            time::sleep(MINUTE / 2).await;
            other.set_unreachable("no answer");
        });
        assert_eq!(reachability.unreachable_for(MINUTE).await, "no answer");
        assert_eq!(begun.elapsed(), MINUTE);
        assert!(!reachability.was_reachable());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_overcome_begins_anew() {
        let (reachability, begun) = (Reachability::new(), Instant::now());
        reachability.set_unreachable("refused");
        let other = reachability.clone();
        tokio::spawn(async move {
            time::sleep(MINUTE / 2).await;
            other.set_reachable();
            assert_eq!(other.reason(), None);
            time::sleep(MINUTE).await;
            other.set_unreachable("lost");
        });
        assert_eq!(reachability.unreachable_for(MINUTE).await, "lost");
        assert!(begun.elapsed() >= MINUTE * 5 / 2, "{:?}", begun.elapsed());
        assert!(reachability.was_reachable());
    }
}
