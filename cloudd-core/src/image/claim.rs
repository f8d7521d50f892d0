//! The claim of a build: what makes one build of several that want the same image.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::owner::Owner;
use crate::provider::{
    Error, ErrorKind, Fingerprint, Labels, LeaseId, Provider, Resource, ResourceId, ResourceKind,
    Result, Selector, keys,
};

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
/// written ahead of every step that cannot be taken back, and at least twice in its lease.
///
/// A process that was silent for longer, because it was stopped, its machine slept or its network
/// was down, does nothing before it has written the claim and then looked for a later one. Whoever
/// takes over creates theirs and then looks whether this one was written. So at least one of the two
/// sees the other, whatever happens in between.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) id: LeaseId,
    fingerprint: Fingerprint,
    generation: u64,
    #[expect(dead_code, reason = "what is dropped with the claim: then nobody holds it")]
    owner: Owner,
    /// Those of dead processes that this one took over, oldest first. They stay as long as this
    /// one, see [`acquire`](super::acquire).
    superseded: OnceLock<Vec<LeaseId>>,
    lease: Duration,
    written: Mutex<Written>,
    /// Another process has taken the build over.
    pub(super) lost: CancellationToken,
}

#[derive(Debug)]
struct Written {
    times: u64,
    at: Moment,
}

/// When something was, by two clocks: one stands still while a machine sleeps, the other can be set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(Instant, SystemTime);

impl Moment {
    pub(super) fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// How long ago that may be.
    fn age(&self) -> Duration {
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}

/// A claim that was created: the part of it that does not depend on others.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) id: LeaseId,
    pub(super) fingerprint: Fingerprint,
    pub(super) generation: u64,
    pub(super) owner: Owner,
    pub(super) lease: Duration,
    /// Before it was created.
    pub(super) at: Moment,
}

impl Claim {
    /// A claim that was just created.
    pub(super) fn new(created: Created) -> Self {
        let Created { id, fingerprint, generation, owner, lease, at } = created;
        let written = Mutex::new(Written { times: 0, at });
        let (superseded, lost) = (OnceLock::new(), CancellationToken::new());
        Self { id, fingerprint, generation, owner, superseded, lease, written, lost }
    }

    /// All claims to an image, oldest first.
    pub(super) async fn all(
        provider: &dyn Provider,
        fingerprint: &Fingerprint,
    ) -> Result<Vec<Resource>> {
        let selector = Selector::fingerprint(fingerprint).of_kind(ResourceKind::Lease);
        let mut all = provider.find(&selector).await?;
        all.sort_by(|a, b| {
            (Self::generation(&a.labels), &a.id).cmp(&(Self::generation(&b.labels), &b.id))
        });
        Ok(all)
    }

    /// Which claim to its image it is, from 1.
    pub(super) fn generation(labels: &Labels) -> u64 {
        labels.get(keys::FENCING_TOKEN).and_then(|text| text.parse().ok()).unwrap_or(1)
    }

    /// The label that says how long a claim holds and how often it was written. Times of day are
    /// not in it: clocks differ, how long something stays as it is does not.
    pub(super) fn lease_label(lease: Duration, times: u64) -> String {
        format!("{}.{times}", lease.as_secs().max(1))
    }

    /// How long a claim with this lease label holds after it was written.
    pub(super) fn lease_of(label: &str) -> Option<Duration> {
        let seconds = label.split_once('.')?.0.parse().ok().filter(|seconds| *seconds > 0);
        seconds.map(Duration::from_secs)
    }

    /// Takes the place of these, oldest first; said once.
    pub(super) fn supersede(&self, dead: impl Iterator<Item = LeaseId>) {
        self.superseded.get_or_init(|| dead.collect());
    }

    fn superseded(&self) -> &[LeaseId] {
        self.superseded.get().map_or(&[], Vec::as_slice)
    }

    /// Writes the phase that is about to begin.
    pub(super) async fn mark(&self, provider: &dyn Provider, phase: &str) -> Result<()> {
        self.write(provider, [(keys::PHASE.to_owned(), phase.to_owned())]).await
    }

    /// Keeps the claim from running out. Ends only when it is lost.
    pub(super) async fn keep(&self, provider: &dyn Provider) {
        loop {
            let due = self.written.lock().await.at.0 + self.lease / 2;
            if Instant::now() < due {
                sleep_until(due).await;
                continue;
            }
            if let Err(error) = self.renew(provider).await {
                if self.lost.is_cancelled() {
                    return;
                }
                tracing::warn!(claim = %self.id, %error, "the claim could not be renewed");
                // There is as much time left as has passed.
                sleep(self.lease / 20).await;
            }
        }
    }

    /// Makes sure that the claim still holds. Asks only if it was silent for so long that another
    /// process may have taken over: when the process was stopped, or the machine slept.
    pub(super) async fn ensure(&self, provider: &dyn Provider) -> Result<()> {
        let was_silent = self.was_silent(&*self.written.lock().await);
        if was_silent { self.renew(provider).await } else { Ok(()) }
    }

    /// Writes it, which shows whether it still holds.
    pub(super) async fn renew(&self, provider: &dyn Provider) -> Result<()> {
        self.write(provider, []).await
    }

    /// It, and those that it supersedes, in the order in which they are given up.
    pub(super) fn ids(&self) -> impl Iterator<Item = ResourceId> {
        self.superseded().iter().chain([&self.id]).cloned().map(ResourceId::from)
    }

    /// It is written after half of its lease.
    fn was_silent(&self, written: &Written) -> bool {
        written.at.age() > self.lease * 3 / 4
    }

    /// Gives up the claim, and those it took over, the oldest first.
    pub(super) async fn release(&self, provider: &dyn Provider) -> Result<()> {
        for id in self.ids() {
            provider.delete(&id).await?;
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
        let (times, at) = (written.times + 1, Moment::now());
        let lease = (keys::LEASE.to_owned(), Self::lease_label(self.lease, times));
        let labels = Labels::from_iter(labels.into_iter().chain([lease]));
        let mut result = provider.set_labels(&ResourceId::from(self.id.clone()), &labels).await;
        // Written in any case, perhaps: the next time must be another one.
        written.times = times;
        if result.is_ok() && self.was_silent(&written) {
            result = self.look(provider).await;
        }
        match &result {
            Ok(()) => written.at = at,
            Err(error) if error.kind() == ErrorKind::NotFound => self.lost.cancel(),
            Err(_) => {}
        }
        result
    }

    /// Whether it is still the last claim to its image.
    async fn look(&self, provider: &dyn Provider) -> Result<()> {
        let all = Self::all(provider, &self.fingerprint).await?;
        let is_later = |it: &&Resource| Self::generation(&it.labels) > self.generation;
        let is = |it: &Resource, id: &LeaseId| it.id == ResourceId::from(id.clone());
        let is_old = |it: &Resource| self.superseded().iter().any(|id| is(it, id));
        match all.iter().filter(is_later).find(|it| !is_old(it)) {
            None if all.iter().any(|it| is(it, &self.id)) => Ok(()),
            later => Err(Error::new(ErrorKind::NotFound, "hold claim")
                .with_resource(&self.id)
                .with_message(later.map_or_else(
                    || "it is gone".to_owned(),
                    |later| format!("it was silent for too long; {} stands now", later.id),
                ))),
        }
    }
}
