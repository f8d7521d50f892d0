use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::holder::HolderId;
use super::record::{LeaseRecord, lease_label, list};
use super::terms::LeaseTerms;
use crate::provider::{Error, ErrorKind, Labels, LeaseId, Provider, ResourceId, Result, keys};
use crate::retry::with_timeout;

/// A lease that this process holds. A task of its own renews it until the value is dropped; dropping
/// it does not delete the lease, which then expires.
#[derive(Debug)]
pub(crate) struct Lease {
    provider: Arc<dyn Provider>,
    id: LeaseId,
    #[expect(dead_code, reason = "while it exists, this process is the holder")]
    holder: HolderId,
    /// Expired leases that this one has taken over, the lowest token first. They exist as long as
    /// this one.
    predecessors: Vec<LeaseId>,
    requests: mpsc::Sender<Request>,
    lost: CancellationToken,
    #[expect(dead_code, reason = "aborts the task when it is dropped")]
    renewal: AbortOnDropHandle<()>,
}

/// A lease that was just created and that is not renewed yet.
#[derive(Debug)]
pub(super) struct Created {
    pub(super) id: LeaseId,
    pub(super) token: u64,
    pub(super) holder: HolderId,
    /// Before the creation was requested.
    pub(super) created_at: Moment,
}

impl Lease {
    /// Holds a lease that was just created, and begins to renew it.
    pub(super) fn hold(
        provider: &Arc<dyn Provider>,
        terms: &LeaseTerms,
        created: Created,
        expired: &[LeaseRecord],
    ) -> Self {
        let Created { id, token, holder, created_at } = created;
        let predecessors: Vec<_> = expired.iter().map(|lease| lease.id.clone()).collect();
        let lost = CancellationToken::new();
        let (requests, received) = mpsc::channel(1);
        let renewal = Renewal {
            provider: Arc::clone(provider),
            terms: terms.clone(),
            id: id.clone(),
            token,
            predecessors: predecessors.clone(),
            renewals: 0,
            written_at: created_at,
            lost: lost.clone(),
        };
        let renewal = AbortOnDropHandle::new(tokio::spawn(renewal.run(received)));
        Self { provider: Arc::clone(provider), id, holder, predecessors, requests, lost, renewal }
    }

    pub(crate) fn id(&self) -> &LeaseId {
        &self.id
    }

    /// The lease and its predecessors, in the order in which they are deleted.
    pub(crate) fn ids(&self) -> impl Iterator<Item = ResourceId> {
        self.predecessors.iter().chain([&self.id]).cloned().map(ResourceId::from)
    }

    /// Whether another process has taken over, or the lease was deleted.
    pub(crate) fn is_lost(&self) -> bool {
        self.lost.is_cancelled()
    }

    /// Waits until the lease is lost.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }

    /// Makes sure that the lease is valid before a step that cannot be undone. Asks the provider only
    /// if the last renewal was so long ago that another process may have taken over.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if the lease is lost; errors of the provider.
    pub(crate) async fn ensure_held(&self) -> Result<()> {
        self.request(Write::IfSilent).await
    }

    /// Renews the lease now.
    ///
    /// # Errors
    /// Those of [`ensure_held`](Self::ensure_held).
    pub(crate) async fn renew(&self) -> Result<()> {
        self.request(Write::Labels(Labels::new())).await
    }

    /// Renews the lease and sets the label `key` in the same call.
    ///
    /// # Errors
    /// Those of [`ensure_held`](Self::ensure_held).
    pub(crate) async fn set_label(&self, key: &str, value: &str) -> Result<()> {
        self.request(Write::Labels(Labels::from_iter([(key, value)]))).await
    }

    /// Deletes the predecessors, then the lease. May be repeated after an error.
    ///
    /// # Errors
    /// Those of the provider.
    pub(crate) async fn release(&self) -> Result<()> {
        for id in self.ids() {
            self.provider.delete(&id).await?;
        }
        Ok(())
    }

    async fn request(&self, write: Write) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        let ended = || {
            Error::new(ErrorKind::Internal, "renew lease")
                .with_resource(&self.id)
                .with_message("the renewal task has ended")
        };
        self.requests.send(Request { write, reply }).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

/// A point in time by two clocks: one stands still while the machine sleeps, the other can be set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(Instant, SystemTime);

impl Moment {
    pub(super) fn now() -> Self {
        Self(Instant::now(), SystemTime::now())
    }

    /// The longer of the times that have passed by the two clocks.
    fn elapsed(&self) -> Duration {
        self.0.elapsed().max(self.1.elapsed().unwrap_or_default())
    }
}

/// A request to the renewal task.
struct Request {
    write: Write,
    reply: oneshot::Sender<Result<()>>,
}

enum Write {
    /// Renew the lease and set these labels.
    Labels(Labels),
    /// Renew the lease if it was silent.
    IfSilent,
}

/// The task that writes the labels of a lease. It is the only writer: some clouds can only replace
/// all labels at once, so that one of two writers would undo the other.
struct Renewal {
    provider: Arc<dyn Provider>,
    terms: LeaseTerms,
    id: LeaseId,
    token: u64,
    predecessors: Vec<LeaseId>,
    renewals: u64,
    written_at: Moment,
    lost: CancellationToken,
}

impl Renewal {
    /// Answers requests, and renews the lease after half of its duration, until the lease is dropped.
    async fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut due = self.written_at.0 + self.terms.duration / 2;
        loop {
            tokio::select! {
                biased;
                request = requests.recv() => {
                    let Some(Request { write, reply }) = request else { return };
                    let result = match write {
                        Write::Labels(labels) => self.write(&labels).await,
                        Write::IfSilent if self.was_silent() => self.write(&Labels::new()).await,
                        Write::IfSilent => Ok(()),
                    };
                    // The requester may have been dropped meanwhile.
                    let _ = reply.send(result);
                    due = due.max(self.written_at.0 + self.terms.duration / 2);
                }
                () = sleep_until(due), if !self.lost.is_cancelled() => {
                    due = match self.write(&Labels::new()).await {
                        Ok(()) => self.written_at.0 + self.terms.duration / 2,
                        Err(error) => {
                            tracing::warn!(lease = %self.id, %error, "the lease was not renewed");
                            // Half of the duration is left for further attempts.
                            Instant::now() + self.terms.duration / 20
                        }
                    };
                }
            }
        }
    }

    /// Whether the last renewal is so long ago that another process may have taken over. Renewals are
    /// due after half of the duration.
    fn was_silent(&self) -> bool {
        self.written_at.elapsed() > self.terms.duration * 3 / 4
    }

    /// Writes labels and the number of renewals. A holder that was silent then looks for a successor.
    async fn write(&mut self, labels: &Labels) -> Result<()> {
        let (written_at, resource) = (Moment::now(), ResourceId::from(self.id.clone()));
        // Counted before the outcome is known: the write may take effect without an answer, and the
        // next one must differ from it.
        self.renewals += 1;
        let lease = lease_label(self.terms.duration, self.renewals);
        let labels = labels.clone().merged(&Labels::from_iter([(keys::LEASE, lease)]));
        let write = self.provider.set_labels(&resource, &labels);
        let mut result =
            with_timeout("renew lease", &self.id, self.terms.call_timeout, write).await;
        if result.is_ok() && self.was_silent() && self.terms.looks_for_successor() {
            let look = self.look_for_successor();
            result = with_timeout("renew lease", &self.id, self.terms.call_timeout, look).await;
        }
        match &result {
            Ok(()) => self.written_at = written_at,
            Err(error) if error.kind() == ErrorKind::NotFound => self.lost.cancel(),
            Err(_) => {}
        }
        result
    }

    /// Checks that this is still the lease with the highest token.
    async fn look_for_successor(&self) -> Result<()> {
        let leases = list(self.provider.as_ref(), &self.terms.selector).await?;
        let successor =
            leases.iter().find(|it| it.token() > self.token && !self.predecessors.contains(&it.id));
        let lost = Error::new(ErrorKind::NotFound, "hold lease").with_resource(&self.id);
        match successor {
            Some(successor) => Err(lost.with_message(format_args!(
                "it was not renewed in time, and lease {} has taken over",
                successor.id
            ))),
            None if leases.iter().any(|lease| lease.id == self.id) => Ok(()),
            None => Err(lost.with_message("it was deleted")),
        }
    }
}
