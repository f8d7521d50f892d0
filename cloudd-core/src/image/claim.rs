//! The claim of a build: what makes one build of several that want the same image.

use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::owner::Owner;
use crate::provider::{ClaimId, ErrorKind, Labels, Provider, ResourceId, Result, keys};

/// What the phase label of a claim says: which step is about to begin, or has begun.
pub(super) mod phase {
    /// Volume and VM are created.
    pub(in crate::image) const PROVISION: &str = "provision";
    /// The VM is started.
    pub(in crate::image) const START: &str = "start";
    /// The VM is off, and its root disk verified.
    pub(in crate::image) const IMAGE: &str = "image";
}

/// A claim that this process holds.
///
/// Whoever holds it may make, start, image and delete what carries the claim's fingerprint. It is
/// written ahead of every step that cannot be taken back, and at least twice in its lease, which
/// also shows whether it still holds: a claim that was taken over is gone.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) id: ClaimId,
    #[expect(dead_code, reason = "what is dropped with the claim: then nobody holds it")]
    owner: Owner,
    /// Those of dead processes that this one took over, oldest first. They stay as long as this
    /// one, see [`acquire`](super::acquire).
    superseded: Vec<ClaimId>,
    lease: Duration,
    written: Mutex<Written>,
    /// Another process has taken the build over.
    pub(super) lost: CancellationToken,
}

#[derive(Debug)]
struct Written {
    times: u64,
    at: Instant,
    /// The same by the clock of the day, which also counts while the machine sleeps.
    day: SystemTime,
}

impl Written {
    fn now(times: u64) -> Self {
        Self { times, at: Instant::now(), day: SystemTime::now() }
    }

    /// How long ago that was, by the clock that says more.
    fn age(&self) -> Duration {
        self.at.elapsed().max(self.day.elapsed().unwrap_or_default())
    }
}

impl Claim {
    /// A claim that was just created with these labels.
    pub(super) fn new(
        id: ClaimId,
        owner: Owner,
        superseded: Vec<ClaimId>,
        lease: Duration,
    ) -> Self {
        let written = Mutex::new(Written::now(0));
        Self { id, owner, superseded, lease, written, lost: CancellationToken::new() }
    }

    /// The label that says how long a claim holds and how often it was written. Times of day are
    /// not in it: clocks differ, how long something stays as it is does not.
    pub(super) fn lease_label(lease: Duration, times: u64) -> String {
        format!("{}.{times}", lease.as_secs().max(1))
    }

    /// How long a claim with this lease label holds after it was written.
    pub(super) fn lease_of(label: &str) -> Option<Duration> {
        label.split_once('.')?.0.parse().ok().map(Duration::from_secs)
    }

    /// Whether it took over the build of a dead process.
    pub(super) fn took_over(&self) -> bool {
        !self.superseded.is_empty()
    }

    /// Writes the phase that is about to begin.
    pub(super) async fn mark(&self, provider: &dyn Provider, phase: &str) -> Result<()> {
        self.write(provider, [(keys::PHASE.to_owned(), phase.to_owned())]).await
    }

    /// Makes sure that the claim still holds before something is done under its protection. It is
    /// renewed in time; only a process that was stopped, or whose machine slept, finds it old, and
    /// then perhaps somebody else's.
    pub(super) async fn ensure(&self, provider: &dyn Provider) -> Result<()> {
        if self.written.lock().await.age() < self.lease * 3 / 4 {
            return Ok(());
        }
        self.write(provider, []).await
    }

    /// Keeps the claim from running out. Ends only when it is lost.
    pub(super) async fn keep(&self, provider: &dyn Provider) {
        loop {
            let due = self.written.lock().await.at + self.lease / 2;
            if Instant::now() < due {
                sleep_until(due).await;
                continue;
            }
            if let Err(error) = self.write(provider, []).await {
                if self.lost.is_cancelled() {
                    return;
                }
                tracing::warn!(claim = %self.id, %error, "the claim could not be renewed");
                // There is as much time left as has passed.
                sleep(self.lease / 20).await;
            }
        }
    }

    /// Gives up the claim, and those it took over, the oldest first.
    pub(super) async fn release(&self, provider: &dyn Provider) -> Result<()> {
        for id in self.superseded.iter().chain([&self.id]) {
            provider.delete(&ResourceId::from(id.clone())).await?;
        }
        Ok(())
    }

    /// One writer at a time: some clouds can only replace all labels, so that of two writers one
    /// would undo the other.
    async fn write(
        &self,
        provider: &dyn Provider,
        labels: impl IntoIterator<Item = (String, String)>,
    ) -> Result<()> {
        let mut written = self.written.lock().await;
        let times = written.times + 1;
        let lease = (keys::LEASE.to_owned(), Self::lease_label(self.lease, times));
        let labels = Labels::from_provider(labels.into_iter().chain([lease]));
        let result = provider.set_labels(&ResourceId::from(self.id.clone()), &labels).await;
        match &result {
            Ok(()) => *written = Written::now(times),
            Err(error) if error.kind() == ErrorKind::NotFound => self.lost.cancel(),
            Err(_) => {}
        }
        result
    }
}
