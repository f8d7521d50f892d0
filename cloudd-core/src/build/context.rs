use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::builder::ImageBuilder;
use super::error::BuildErrorKind;
use super::events::EventSink;
use crate::lease::LeaseTerms;
use crate::provider::{Fingerprint, Provider, Result, Selector};

/// What a build is given, and what does not change while it runs.
#[derive(Debug, Clone)]
pub(super) struct BuildContext {
    pub(super) config: ImageBuilder,
    pub(super) provider: Arc<dyn Provider>,
    /// Sends events with an id of this run, until a lease says which build it works on.
    pub(super) events: EventSink,
    pub(super) cancelled: CancellationToken,
}

impl BuildContext {
    pub(super) fn new(
        config: ImageBuilder,
        provider: Arc<dyn Provider>,
        events: EventSink,
        cancelled: CancellationToken,
    ) -> Self {
        let deadlines = config.deadlines.bounded();
        Self { config: config.deadlines(deadlines), provider, events, cancelled }
    }

    /// Waits for an answer of the provider that only reads.
    pub(super) async fn read<T>(
        &self,
        answer: impl Future<Output = Result<T>>,
    ) -> Result<T, BuildErrorKind> {
        self.wait("answer of the provider", self.config.deadlines.call, answer).await
    }

    /// Waits for something that may be abandoned: cancellation and the deadline end the wait.
    pub(super) async fn wait<T>(
        &self,
        waiting_for: &'static str,
        deadline: Duration,
        wait: impl Future<Output = Result<T>>,
    ) -> Result<T, BuildErrorKind> {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(BuildErrorKind::Cancelled),
            result = wait => result.map_err(BuildErrorKind::Provider),
            () = tokio::time::sleep(deadline) => {
                Err(BuildErrorKind::Deadline { waiting_for, after: deadline })
            }
        }
    }

    /// Pauses, unless the build is cancelled.
    pub(super) async fn pause(&self, pause: Duration) -> Result<(), BuildErrorKind> {
        tokio::select! {
            biased;
            () = self.cancelled.cancelled() => Err(BuildErrorKind::Cancelled),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    /// The lease of the image with this fingerprint.
    pub(super) fn lease_terms(&self, fingerprint: &Fingerprint) -> LeaseTerms {
        let deadlines = &self.config.deadlines;
        LeaseTerms {
            name: format!("cloudd-{fingerprint}"),
            selector: Selector::fingerprint(fingerprint),
            duration: deadlines.lease,
            call_timeout: deadlines.call,
            cleanup_timeout: deadlines.teardown,
            #[cfg(feature = "testing")]
            checks: self.config.lease_checks,
        }
    }
}
