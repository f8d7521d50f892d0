use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{self, Instant};

/// What keeps a guest from being heard at the moment: told by its channel, asked by who waits.
/// Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Obstacle(Arc<watch::Sender<State>>);

#[derive(Debug, Default)]
struct State {
    /// What is in the way now, and since when something has been.
    standing: Option<(Instant, String)>,
    reached: bool,
}

impl Obstacle {
    /// Nothing is known to be in the way, and the guest was not reached yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Something is in the way, such as `192.0.2.1:22: connection refused`.
    pub fn stands(&self, why: impl Display) {
        let why = why.to_string();
        self.0.send_modify(|state| {
            let since = state.standing.take().map_or_else(Instant::now, |(since, _)| since);
            state.standing = Some((since, why));
        });
    }

    /// The guest is reached: nothing is in the way.
    pub fn is_overcome(&self) {
        self.0.send_modify(|state| *state = State { standing: None, reached: true });
    }

    /// What is in the way now. `None` while the guest is reached, and before it was tried.
    #[must_use]
    pub fn why(&self) -> Option<String> {
        self.0.borrow().standing.as_ref().map(|(_, why)| why.clone())
    }

    /// Whether the guest was ever reached.
    #[must_use]
    pub fn was_ever_overcome(&self) -> bool {
        self.0.borrow().reached
    }

    /// Waits until something has been in the way for so long without a break, and says what.
    pub(crate) async fn outlasts(&self, patience: Duration) -> String {
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
    pub(crate) async fn ends(&self) {
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
        let (obstacle, begun) = (Obstacle::new(), Instant::now());
        obstacle.stands("refused");
        let other = obstacle.clone();
        tokio::spawn(async move {
            time::sleep(MINUTE / 2).await;
            other.stands("no answer");
        });
        assert_eq!(obstacle.outlasts(MINUTE).await, "no answer");
        assert_eq!(begun.elapsed(), MINUTE);
        assert!(!obstacle.was_ever_overcome());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_overcome_begins_anew() {
        let (obstacle, begun) = (Obstacle::new(), Instant::now());
        obstacle.stands("refused");
        let other = obstacle.clone();
        tokio::spawn(async move {
            time::sleep(MINUTE / 2).await;
            other.is_overcome();
            assert_eq!(other.why(), None);
            time::sleep(MINUTE).await;
            other.stands("lost");
        });
        assert_eq!(obstacle.outlasts(MINUTE).await, "lost");
        assert!(begun.elapsed() >= MINUTE * 5 / 2, "{:?}", begun.elapsed());
        assert!(obstacle.was_ever_overcome());
    }
}
