use std::future::{Future, IntoFuture};
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::builder::ImageBuilder;
use super::context::BuildContext;
use super::driver::drive;
use super::error::BuildError;
use super::events::{EventSink, Events};
use super::outcome::BuiltImage;
use crate::provider::Provider;

/// A build that runs in a task of its own. Awaiting the handle gives its result.
///
/// Dropping the handle, or the future that awaits it, cancels the build; the task then deletes what
/// the build has created, as long as the runtime runs. A program that ends without waiting leaves
/// that to the next build of the image.
#[derive(Debug)]
#[must_use = "dropping the handle cancels the build"]
pub struct BuildHandle<T = Result<BuiltImage, BuildError>> {
    task: JoinHandle<T>,
    events: Option<Events>,
    cancel: CancelHandle,
}

/// Cancels a build, or all builds of [`Builds`](super::Builds). Cheap to clone.
#[derive(Debug, Clone)]
pub struct CancelHandle(CancellationToken);

impl CancelHandle {
    /// Asks the build to end: it stops waiting, deletes what it has created, and fails with
    /// [`BuildErrorKind::Cancelled`](super::BuildErrorKind::Cancelled). Later calls have no effect.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl<T: Send + 'static> BuildHandle<T> {
    /// Runs a future in a task. Panics outside of a tokio runtime.
    pub(super) fn spawn(
        future: impl Future<Output = T> + Send + 'static,
        events: Events,
        cancelled: CancellationToken,
    ) -> Self {
        let task = tokio::spawn(future);
        Self { task, events: Some(events), cancel: CancelHandle(cancelled) }
    }
}

impl<T> BuildHandle<T> {
    /// Takes the events of the build out of the handle, to be read while the handle is awaited. A
    /// second call returns events that have ended.
    pub fn events(&mut self) -> Events {
        self.events.take().unwrap_or_else(|| Events::channel().1)
    }

    /// Asks the build to end; see [`CancelHandle::cancel`]. Await the handle to know when it has.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// A handle that can cancel the build from elsewhere, while this one is awaited.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        self.cancel.clone()
    }

    /// Whether the build has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Aborts the build as if its process had been killed: nothing is cleaned up, and the lease is
    /// not released.
    #[cfg(feature = "testing")]
    pub async fn kill(self) {
        self.task.abort();
        // Completes when the future of the task was dropped.
        while !self.task.is_finished() {
            tokio::task::yield_now().await;
        }
    }
}

impl<T> Drop for BuildHandle<T> {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl<T: 'static> IntoFuture for BuildHandle<T> {
    type Output = T;
    type IntoFuture = BuildFuture<T>;

    fn into_future(self) -> BuildFuture<T> {
        BuildFuture(self)
    }
}

/// The result of a [`BuildHandle`] that is awaited.
#[derive(Debug)]
pub struct BuildFuture<T>(BuildHandle<T>);

impl<T> Future for BuildFuture<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        Pin::new(&mut self.0.task).poll(cx).map(|result| match result {
            Ok(result) => result,
            Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
            // A task is aborted only when its runtime shuts down, and then this is not polled.
            Err(error) => panic!("the task of the build was aborted: {error}"),
        })
    }
}

impl ImageBuilder {
    /// Starts the build in a task of its own, and returns a handle that gives its result when it is
    /// awaited, its events, and a way to cancel it.
    ///
    /// The task renews the lease of the build whether or not the handle is polled.
    ///
    /// ```no_run
    /// # async fn example(provider: std::sync::Arc<dyn cloudd_core::provider::Provider>)
    /// # -> Result<(), Box<dyn std::error::Error>> {
    /// use cloudd_core::{ImageBuilder, InstallContainer};
    ///
    /// let mut build =
    ///     ImageBuilder::new("leap-15.6", InstallContainer::directory("./leap")).start(provider);
    /// let mut events = build.events();
    /// tokio::spawn(async move {
    ///     while let Some(event) = events.next().await {
    ///         println!("{:?}", event.kind);
    ///     }
    /// });
    /// println!("{}", build.await?.image.id);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// If called outside of a tokio runtime.
    pub fn start(&self, provider: Arc<dyn Provider>) -> BuildHandle {
        let (sender, events) = Events::channel();
        let cancelled = CancellationToken::new();
        let sink = EventSink::new(&self.name, 0, Some(sender));
        let cx = BuildContext::new(self.clone(), provider, sink, cancelled.clone());
        BuildHandle::spawn(async move { drive(&cx).await }, events, cancelled)
    }

    /// Builds the image and returns it when servers can be started from it, or returns an existing
    /// one if [`reuse`](Self::reuse) allows it.
    ///
    /// Of several processes that build the same image at the same time, one makes it and the others
    /// wait. A build whose process died is resumed. Everything but the image is deleted at the end.
    ///
    /// Runs in a task of its own, as [`start`](Self::start) does. Dropping the future cancels the
    /// build. Providers are cheap to clone; an `Arc<dyn Provider>` is a provider, too.
    ///
    /// # Errors
    /// [`BuildError`]: the phase and the reason, the last lines of the guest's log, and the resources
    /// that remain.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub async fn build<P: Provider + Clone>(&self, provider: &P) -> Result<BuiltImage, BuildError> {
        self.start(Arc::new(provider.clone())).await
    }
}
