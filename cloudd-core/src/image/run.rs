use std::collections::VecDeque;
use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;

use super::acquire::{self, Acquired, acquire};
use super::adopt::Standing;
use super::capture::{self, PoweredOff};
use super::claim::Claim;
use super::control::Sink;
use super::error::{BuildError, Cause};
use super::plan::Planned;
use super::provision::Provisioned;
use super::{BuildEventKind, ImageBuilder, OnFailure, Phase, boot_check, reuse, teardown};
use crate::provider::{BuildId, Error, Image, Provider, ResourceId, Result};
use crate::retry;
use crate::sweep::Sweep;

/// What the phases of one build share.
pub(super) struct Run<'a> {
    pub(super) builder: &'a ImageBuilder,
    pub(super) provider: &'a dyn Provider,
    pub(super) sink: Sink,
    /// What this process has to itself while it makes the image.
    claim: watch::Sender<Option<Arc<Claim>>>,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    log: VecDeque<String>,
    /// What was created and is not deleted yet, as far as this process knows.
    created: Vec<ResourceId>,
    /// Whether there may be something of this build that this process does not know of: a creation
    /// whose answer nobody saw, or what another process has left.
    uncertain: bool,
    /// The owner label of a claim that this process may have created without knowing.
    claimed: Option<String>,
    finished: bool,
}

/// Runs a build from its inputs to its image or its error.
pub(super) async fn build(
    builder: &ImageBuilder,
    provider: &dyn Provider,
    sink: Sink,
) -> std::result::Result<Image, BuildError> {
    let run = Run::new(builder, provider, sink);
    let work = async {
        let result = phases(&run).await;
        run.finish(result).await
    };
    tokio::select! {
        biased;
        result = work => result,
        never = run.keep_claim() => match never {},
    }
}

/// Until there is an image: of this process, or of the one that took the build over because this one
/// was silent for too long.
async fn phases(run: &Run<'_>) -> std::result::Result<Image, Cause> {
    let planned = Planned::of(run).await?;
    if run.builder.sweep_first {
        sweep(run).await;
    }
    loop {
        let standing = match acquire(run, &planned).await? {
            Acquired::Image(image) => return Ok(image),
            Acquired::Claim(standing) => *standing,
        };
        let result = under_claim(run, planned.clone(), standing).await;
        // Also before it deletes anything, a process must know whether it still may. And what failed
        // may have failed for that.
        let failed = matches!(result, Err(Cause::Provider(_)));
        let ensured = if failed { run.renew().await } else { run.ensure_claim().await };
        if let Err(error) = ensured {
            tracing::debug!(%error, "whether the claim still holds is not known");
        }
        if !run.is_lost() {
            return result;
        }
        acquire::yielded(run, &planned).await?;
    }
}

/// Removes what other builds have left. A failure is told and does not fail the build.
async fn sweep(run: &Run<'_>) {
    let swept = match Sweep::find(run.provider).await {
        Ok(sweep) => sweep.run(run.provider).await,
        Err(error) => return run.sink.note(format!("nothing is swept: {error}")),
    };
    for id in &swept.deleted {
        run.deleted(id);
    }
    for (id, error) in swept.failed {
        run.sink.note(format!("what a dead build left stays: {id}: {error}"));
    }
}

async fn under_claim(
    run: &Run<'_>,
    planned: Planned,
    standing: Standing,
) -> std::result::Result<Image, Cause> {
    let planned = planned.settle(run)?;
    let image = match standing {
        Standing::Nothing => {
            planned.clone().provision(run).await?.follow(run).await?.capture(run).await?
        }
        Standing::Started(vm) => {
            Provisioned::adopted(planned.clone(), vm).follow(run).await?.capture(run).await?
        }
        Standing::Done(vm) => PoweredOff { planned: planned.clone(), vm }.capture(run).await?,
        Standing::Image(image) => capture::available(run, image).await?,
    };
    let image = boot_check::passed(run, &planned, image).await?;
    reuse::replace(run, &planned, &image).await;
    Ok(image)
}

impl<'a> Run<'a> {
    /// How many lines of the guest's log an error carries.
    const LOG_TAIL: usize = 50;

    pub(super) fn new(builder: &'a ImageBuilder, provider: &'a dyn Provider, sink: Sink) -> Self {
        let state = State {
            phase: Phase::Plan,
            log: VecDeque::new(),
            created: Vec::new(),
            uncertain: false,
            claimed: None,
            finished: false,
        };
        let claim = watch::Sender::new(None);
        Self { builder, provider, sink, claim, state: Mutex::new(state) }
    }

    /// The build: a new one, or the one that goes on.
    pub(super) fn build(&self) -> BuildId {
        self.sink.build()
    }

    /// Makes a build under a claim from here on.
    pub(super) fn hold(&self, build: BuildId, claim: Claim) -> Arc<Claim> {
        let claim = Arc::new(claim);
        self.sink.set_build(build);
        self.claim.send_replace(Some(Arc::clone(&claim)));
        claim
    }

    /// The process that began the build may have created what this one does not know of.
    pub(super) fn took_over(&self) {
        self.state().uncertain = true;
    }

    /// Remembers, or forgets, that there may be a claim with this owner label.
    pub(super) fn may_have_claimed(&self, owner: Option<&str>) {
        self.state().claimed = owner.map(ToOwned::to_owned);
    }

    pub(super) fn claimed(&self) -> Option<String> {
        self.state().claimed.clone()
    }

    pub(super) fn claim(&self) -> Option<Arc<Claim>> {
        self.claim.borrow().clone()
    }

    /// Ends what [`Run::hold`] began, and leaves the claim where it is.
    pub(super) fn drop_claim(&self) {
        self.claim.send_replace(None);
        self.state().uncertain = false;
    }

    /// Gives the claim up.
    pub(super) async fn release(&self) -> std::result::Result<(), Cause> {
        if let Some(claim) = self.claim() {
            let release = claim.release(self.provider);
            let deadline = self.builder.deadlines.call;
            retry::with_timeout("give up claim", &claim.id, deadline, release)
                .await
                .map_err(Cause::Provider)?;
        }
        self.drop_claim();
        Ok(())
    }

    pub(super) fn is_lost(&self) -> bool {
        self.claim().is_some_and(|claim| claim.lost.is_cancelled())
    }

    /// Makes sure that this process still has its claim, if it has one.
    pub(super) async fn ensure_claim(&self) -> Result<()> {
        let Some(claim) = self.claim() else { return Ok(()) };
        let ensure = claim.ensure(self.provider);
        retry::with_timeout("renew claim", &claim.id, self.builder.deadlines.call, ensure).await
    }

    /// Writes the claim, which shows whether it still holds.
    async fn renew(&self) -> Result<()> {
        let Some(claim) = self.claim() else { return Ok(()) };
        let renew = claim.renew(self.provider);
        retry::with_timeout("renew claim", &claim.id, self.builder.deadlines.call, renew).await
    }

    /// Forgets what was created: it is deleted, or another process's now.
    pub(super) fn forget(&self) {
        self.state().created.clear();
    }

    /// Renews whatever claim there is, as long as there is one.
    async fn keep_claim(&self) -> std::convert::Infallible {
        let mut claims = self.claim.subscribe();
        loop {
            let claim = claims.borrow_and_update().clone();
            let kept = async {
                if let Some(claim) = claim {
                    claim.keep(self.provider).await;
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                biased;
                // The sender lives as long as this run.
                _ = claims.changed() => {}
                () = kept => {}
            }
        }
    }

    /// Ends when the build is cancelled or taken over.
    pub(super) async fn interrupted(&self) {
        let lost = async {
            match self.claim() {
                Some(claim) => claim.lost.cancelled().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.sink.cancelled.cancelled() => {}
            () = lost => {}
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a poisoned one would still hold good data.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Begins a phase.
    pub(super) fn enter(&self, phase: Phase) {
        self.state().phase = phase;
        self.sink.send(BuildEventKind::Phase { phase });
    }

    /// Keeps a line for the error, should there be one.
    pub(super) fn log(&self, line: String) {
        let log = &mut self.state().log;
        if log.len() == Self::LOG_TAIL {
            log.pop_front();
        }
        log.push_back(line);
    }

    /// Remembers what was created.
    pub(super) fn created(&self, resource: impl Into<ResourceId>) {
        let resource = resource.into();
        self.sink.send(BuildEventKind::Created { resource: resource.clone() });
        self.state().created.push(resource);
    }

    /// Remembers what is known to have been created.
    pub(super) fn remember(&self, resources: impl IntoIterator<Item = ResourceId>) {
        self.state().created.extend(resources);
    }

    /// Remembers what was deleted again, before the teardown.
    pub(super) fn deleted(&self, resource: &ResourceId) {
        self.sink.send(BuildEventKind::Deleted { resource: resource.clone() });
        self.state().created.retain(|created| created != resource);
    }

    /// Calls the provider to change something. Cancelling does not end such a call, since what it
    /// creates must be known to be deleted; its deadline does, and then the labels tell.
    pub(super) async fn call<T>(
        &self,
        operation: &str,
        resource: impl Display,
        call: impl Future<Output = Result<T>>,
    ) -> std::result::Result<T, Cause> {
        self.call_within(operation, resource, self.builder.deadlines.call, call).await
    }

    /// [`Run::call`] with a deadline of its own.
    pub(super) async fn call_within<T>(
        &self,
        operation: &str,
        resource: impl Display,
        deadline: Duration,
        call: impl Future<Output = Result<T>>,
    ) -> std::result::Result<T, Cause> {
        if self.sink.cancelled.is_cancelled() || self.is_lost() {
            return Err(Cause::Cancelled);
        }
        self.ensure_claim().await.map_err(Cause::Provider)?;
        let result = retry::with_timeout(operation, resource, deadline, call).await;
        result.map_err(|error| {
            self.state().uncertain = true;
            Cause::Provider(error)
        })
    }

    /// Writes the phase that is about to begin to the claim, which shows whether it still holds.
    pub(super) async fn mark(&self, phase: &str) -> std::result::Result<(), Cause> {
        let Some(claim) = self.claim() else { return Ok(()) };
        self.call("label", &claim.id, claim.mark(self.provider, phase)).await
    }

    /// Deletes what the build does not need any more, or cannot go on with.
    pub(super) async fn delete_found(&self, id: &ResourceId) -> std::result::Result<(), Cause> {
        self.call("delete", id, self.provider.delete(id)).await?;
        self.deleted(id);
        Ok(())
    }

    /// Waits a little.
    pub(super) async fn pause(
        &self,
        waiting_for: &'static str,
        pause: Duration,
    ) -> std::result::Result<(), Cause> {
        let pause = async {
            tokio::time::sleep(pause).await;
            Ok(())
        };
        self.wait(waiting_for, Duration::MAX, pause).await
    }

    /// Waits for something that may be given up: cancelling and the deadline end it at once.
    pub(super) async fn wait<T>(
        &self,
        waiting_for: &'static str,
        deadline: Duration,
        wait: impl Future<Output = Result<T>>,
    ) -> std::result::Result<T, Cause> {
        tokio::select! {
            biased;
            () = self.interrupted() => Err(Cause::Cancelled),
            result = wait => result.map_err(Cause::Provider),
            () = tokio::time::sleep(deadline) => {
                Err(Cause::Deadline { waiting_for, after: deadline })
            }
        }
    }

    /// Nothing more is to be done.
    pub(super) fn is_over(&self) {
        self.state().finished = true;
    }

    /// Deletes what has to go and says how the build ended.
    async fn finish(
        &self,
        result: std::result::Result<Image, Cause>,
    ) -> std::result::Result<Image, BuildError> {
        let (phase, created, uncertain) = {
            let state = self.state();
            (state.phase, state.created.clone(), state.uncertain)
        };
        let kept = match &result {
            Ok(image) => Some(image.id.clone()),
            Err(Cause::BootCheck { kept, .. }) => kept.clone(),
            Err(_) => None,
        };
        let keep_all = result.is_err()
            && !matches!(result, Err(Cause::Cancelled))
            && self.builder.on_failure == OnFailure::Keep;
        let outcome = if created.is_empty() && !uncertain || keep_all {
            Ok(())
        } else {
            self.enter(Phase::Teardown);
            // A failed build looks for what it may have created without knowing. Without a claim, what
            // is found is another process's.
            let search = self.claim().is_some() && (result.is_err() || uncertain);
            teardown::delete_all(self, &created, kept.as_ref(), search).await
        };
        // What could not be deleted is found by its claim in the next run.
        let outcome = match outcome {
            Ok(()) => teardown::release(self).await,
            Err(left) => Err(left),
        };
        let log: Vec<String> = {
            let mut state = self.state();
            state.finished = true;
            std::mem::take(&mut state.log).into()
        };
        let error = |phase, cause| BuildError::new(&self.builder.name, self.build(), phase, cause);
        match (result, outcome) {
            (Ok(image), Ok(())) => Ok(image),
            (Ok(image), Err(left)) => Err(error(Phase::Teardown, Cause::Teardown)
                .with_image(image)
                .with_left(left.resources, left.error)),
            (Err(cause), Ok(())) => {
                let error = error(phase, cause).with_log(log);
                Err(if keep_all && !created.is_empty() { error.with_kept(created) } else { error })
            }
            (Err(cause), Err(left)) => {
                Err(error(phase, cause).with_log(log).with_left(left.resources, left.error))
            }
        }
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        let state = self.state();
        if !state.finished && !state.created.is_empty() {
            let left: Vec<_> = state.created.iter().map(ToString::to_string).collect();
            tracing::warn!(
                build = %self.build(),
                left = left.join(", "),
                "the future of a build was dropped; what it created stays until a sweep"
            );
        }
    }
}

/// What teardown could not delete, and why.
pub(super) struct Left {
    pub(super) resources: Vec<ResourceId>,
    pub(super) error: Error,
}
