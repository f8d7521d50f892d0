use std::collections::VecDeque;
use std::fmt::Display;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::context::BuildContext;
use super::error::BuildErrorKind;
use super::events::{BuildEventKind, EventSink, Phase};
use super::journal::Journal;
use super::plan::BuildPlan;
use crate::guest::Access;
use crate::lease::Lease;
use crate::provider::{BuildId, Image, ResourceId, Result, Vm, keys};
use crate::retry;

/// How far a build is. Each phase takes one state and returns the next; a build whose process died is
/// resumed at the state that [`recovery`](super::recovery) reads from the cloud.
pub(super) enum State {
    /// No resource is usable. A volume and a VM that was never started may exist under the build's
    /// name; creating them returns them.
    Planned,
    /// The builder VM exists and was never started.
    Provisioned(Vm),
    /// An earlier process has started the builder VM. The guest works, or has failed or finished
    /// without being observed.
    Started(Vm),
    /// The guest has verified the root disk and powered the VM off.
    PoweredOff(Vm),
    /// The image exists. It may still be in creation, and was not checked.
    Imaged(Image),
    /// The image is available and has passed its boot check, if there is one.
    Ready(Image),
    /// An image that another process has completed is returned.
    Reused(Image),
}

/// A build under its lease: what the phases hand on to each other.
pub(super) struct Build<'a> {
    pub(super) cx: &'a BuildContext,
    pub(super) plan: &'a BuildPlan,
    pub(super) id: BuildId,
    pub(super) lease: Lease,
    /// The keys for SSH, if the guest is reached that way.
    pub(super) access: Option<Arc<dyn Access>>,
    pub(super) events: EventSink,
    pub(super) journal: Journal,
    pub(super) phase: Phase,
    pub(super) log: LogTail,
}

impl Build<'_> {
    /// Begins a phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.events.send(BuildEventKind::Phase { phase });
    }

    /// Begins a phase that a later process has to know of: writes it to the lease first.
    pub(super) async fn enter_recorded(&mut self, phase: Phase) -> Result<(), BuildErrorKind> {
        self.enter(phase);
        self.check_interrupted()?;
        self.lease.set_label(keys::PHASE, phase.label()).await.map_err(BuildErrorKind::Provider)
    }

    /// Changes something in the cloud, under a valid lease. Not cancellable: dropping a call that
    /// creates could leave a resource that is not in the journal. After the deadline the resource may
    /// or may not exist.
    pub(super) async fn call<T>(
        &self,
        operation: &str,
        resource: impl Display,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T, BuildErrorKind> {
        self.call_within(operation, resource, self.cx.config.deadlines.call, call).await
    }

    /// [`call`](Self::call) with another deadline.
    pub(super) async fn call_within<T>(
        &self,
        operation: &str,
        resource: impl Display,
        deadline: Duration,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T, BuildErrorKind> {
        self.check_interrupted()?;
        self.lease.ensure_held().await.map_err(BuildErrorKind::Provider)?;
        let result = retry::with_timeout(operation, resource, deadline, call).await;
        result.map_err(BuildErrorKind::Provider)
    }

    /// Deletes a resource that the build does not need any more.
    pub(super) async fn delete(&mut self, id: &ResourceId) -> Result<(), BuildErrorKind> {
        self.call("delete", id, self.cx.provider.delete(id)).await?;
        self.journal.deleted(id);
        self.events.send(BuildEventKind::Deleted { resource: id.clone() });
        Ok(())
    }

    /// Waits for something that may be abandoned: cancellation, the loss of the lease and the
    /// deadline end the wait.
    pub(super) async fn wait<T>(
        &self,
        waiting_for: &'static str,
        deadline: Duration,
        wait: impl Future<Output = Result<T>>,
    ) -> Result<T, BuildErrorKind> {
        tokio::select! {
            biased;
            () = self.lease.lost() => Err(BuildErrorKind::Cancelled),
            result = self.cx.wait(waiting_for, deadline, wait) => result,
        }
    }

    /// Waits for an answer of the provider that only reads.
    pub(super) async fn read<T>(
        &self,
        answer: impl Future<Output = Result<T>>,
    ) -> Result<T, BuildErrorKind> {
        self.wait("answer of the provider", self.cx.config.deadlines.call, answer).await
    }

    /// Waits until the build is cancelled or its lease is lost.
    pub(super) async fn interrupted(&self) {
        tokio::select! {
            () = self.cx.cancelled.cancelled() => {}
            () = self.lease.lost() => {}
        }
    }

    fn check_interrupted(&self) -> Result<(), BuildErrorKind> {
        if self.cx.cancelled.is_cancelled() || self.lease.is_lost() {
            return Err(BuildErrorKind::Cancelled);
        }
        Ok(())
    }
}

impl Drop for Build<'_> {
    fn drop(&mut self) {
        if !self.journal.created().is_empty() {
            let left: Vec<_> = self.journal.created().iter().map(ToString::to_string).collect();
            tracing::warn!(
                build = %self.id,
                left = left.join(", "),
                "the build was aborted; the next build of this image resumes it"
            );
        }
    }
}

/// The last lines of the guest's log, for the error.
#[derive(Debug, Default)]
pub(super) struct LogTail(VecDeque<String>);

impl LogTail {
    /// The number of lines that an error carries.
    const LINES: usize = 50;

    pub(super) fn push(&mut self, line: impl Into<String>) {
        if self.0.len() == Self::LINES {
            self.0.pop_front();
        }
        self.0.push_back(line.into());
    }

    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0).into()
    }
}
