use std::collections::VecDeque;
use std::fmt::Display;
use std::future::Future;
use std::sync::Mutex;
use std::time::Duration;

use super::control::Sink;
use super::error::{BuildError, Cause};
use super::plan::Planned;
use super::{ImageBuilder, OnFailure, Phase, Update, teardown};
use crate::provider::{BuildId, Error, Image, Labels, Provider, ResourceId, Result, Vm, keys};
use crate::wait;

/// What the phases of one build share.
pub(super) struct Run<'a> {
    pub(super) builder: &'a ImageBuilder,
    pub(super) provider: &'a dyn Provider,
    pub(super) build: BuildId,
    pub(super) sink: Sink,
    state: Mutex<State>,
}

struct State {
    phase: Phase,
    log: VecDeque<String>,
    /// What was created and is not deleted yet, as far as this process knows.
    created: Vec<ResourceId>,
    /// Whether a creation may have had an effect that nobody saw.
    uncertain: bool,
    finished: bool,
}

/// Runs a build from its inputs to its image or its error.
pub(super) async fn build(
    builder: &ImageBuilder,
    provider: &dyn Provider,
    sink: Sink,
) -> std::result::Result<Image, BuildError> {
    let run = Run::new(builder, provider, sink);
    let result = phases(&run).await;
    run.finish(result).await
}

async fn phases(run: &Run<'_>) -> std::result::Result<Image, Cause> {
    let planned = Planned::of(run).await?;
    let provisioned = planned.provision(run).await?;
    let powered_off = provisioned.follow(run).await?;
    powered_off.capture(run).await
}

impl<'a> Run<'a> {
    /// How many lines of the guest's log an error carries.
    const LOG_TAIL: usize = 50;

    fn new(builder: &'a ImageBuilder, provider: &'a dyn Provider, sink: Sink) -> Self {
        let state = State {
            phase: Phase::Plan,
            log: VecDeque::new(),
            created: Vec::new(),
            uncertain: false,
            finished: false,
        };
        Self { builder, provider, build: sink.build().clone(), sink, state: Mutex::new(state) }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a poisoned one would still hold good data.
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Begins a phase.
    pub(super) fn enter(&self, phase: Phase) {
        self.state().phase = phase;
        self.sink.send(Update::Phase { phase });
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
        self.sink.send(Update::Created { resource: resource.clone() });
        self.state().created.push(resource);
    }

    /// Remembers what was deleted again, before the teardown.
    pub(super) fn deleted(&self, resource: &ResourceId) {
        self.sink.send(Update::Deleted { resource: resource.clone() });
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
        if self.sink.cancelled.is_cancelled() {
            return Err(Cause::Cancelled);
        }
        let result = wait::within(operation, resource, deadline, call).await;
        result.map_err(|error| {
            self.state().uncertain = true;
            Cause::Provider(error)
        })
    }

    /// Labels the VM with the phase that is about to begin.
    pub(super) async fn mark(&self, vm: &Vm, phase: &str) -> std::result::Result<(), Cause> {
        let labels = Labels::from_provider([(keys::PHASE.to_owned(), phase.to_owned())]);
        let resource = ResourceId::from(vm.id.clone());
        let set = self.provider.set_labels(&resource, &labels);
        self.call("label", &resource, set).await
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
            () = self.sink.cancelled.cancelled() => Err(Cause::Cancelled),
            result = wait => result.map_err(Cause::Provider),
            () = tokio::time::sleep(deadline) => {
                Err(Cause::Deadline { waiting_for, after: deadline })
            }
        }
    }

    /// Deletes what has to go and says how the build ended.
    async fn finish(
        self,
        result: std::result::Result<Image, Cause>,
    ) -> std::result::Result<Image, BuildError> {
        let (phase, created, uncertain) = {
            let state = self.state();
            (state.phase, state.created.clone(), state.uncertain)
        };
        let kept = match &result {
            Ok(image) => Some(image.id.clone()),
            Err(_) => None,
        };
        let keep_all = result.is_err()
            && !matches!(result, Err(Cause::Cancelled))
            && self.builder.on_failure == OnFailure::Keep;
        let outcome = if created.is_empty() && !uncertain || keep_all {
            Ok(())
        } else {
            self.enter(Phase::Teardown);
            // A failed build looks for what it may have created without knowing.
            let search = result.is_err() || uncertain;
            teardown::delete_all(&self, &created, kept.as_ref(), search).await
        };
        let log: Vec<String> = {
            let mut state = self.state();
            state.finished = true;
            std::mem::take(&mut state.log).into()
        };
        let error =
            |phase, cause| BuildError::new(&self.builder.name, self.build.clone(), phase, cause);
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
                build = %self.build,
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
