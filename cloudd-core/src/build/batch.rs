use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};
use tokio_util::sync::CancellationToken;

use super::builder::ImageBuilder;
use super::context::BuildContext;
use super::driver::drive;
use super::error::BuildError;
use super::events::{EventSink, Events};
use super::handle::BuildHandle;
use super::outcome::BuiltImage;
use crate::provider::Provider;

/// Builds several images at once: different names, architectures or providers.
///
/// ```no_run
/// # use std::sync::Arc;
/// # async fn example(
/// #     hetzner: Arc<dyn cloudd_core::provider::Provider>,
/// #     libvirt: Arc<dyn cloudd_core::provider::Provider>,
/// #     leap: cloudd_core::ImageBuilder,
/// # ) {
/// use cloudd_core::{Architecture, Builds};
///
/// let results = Builds::new()
///     .add(leap.clone(), &hetzner)
///     .add(leap.clone().architecture(Architecture::Aarch64), &hetzner)
///     .add(leap, &libvirt)
///     .limit(2)
///     .run()
///     .await;
/// for result in results {
///     match result {
///         Ok(built) => println!("{}", built.image.id),
///         Err(error) => eprintln!("{}", error.report()),
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "builds do nothing until `run` is awaited or `start` is called"]
pub struct Builds {
    jobs: Vec<(ImageBuilder, Arc<dyn Provider>)>,
    limit: usize,
    cancel_rest: bool,
}

impl Builds {
    /// No builds.
    pub fn new() -> Self {
        // A new project on Hetzner Cloud may have ten servers, and some of them may be in use.
        Self { jobs: Vec::new(), limit: 5, cancel_rest: false }
    }

    /// Adds a build.
    pub fn add<P: Provider + Clone>(mut self, builder: ImageBuilder, provider: &P) -> Self {
        self.jobs.push((builder, Arc::new(provider.clone())));
        self
    }

    /// The number of builds that run at the same time, on all providers together; default 5, at least
    /// 1. Each has a VM and a volume of its own. They begin in the order in which they were added.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// Cancels all other builds as soon as one fails. Default: the others continue.
    pub fn cancel_rest_on_failure(mut self) -> Self {
        self.cancel_rest = true;
        self
    }

    /// Runs all builds, and returns their results in the order in which they were added when the last
    /// one has ended. Dropping the future cancels all builds.
    ///
    /// # Panics
    /// As [`ImageBuilder::start`].
    pub async fn run(self) -> Vec<Result<BuiltImage, BuildError>> {
        self.start().await
    }

    /// Starts all builds in a task of their own. The handle has the events of all builds in one
    /// stream ([`BuildEvent::index`](super::BuildEvent::index) tells them apart) and cancels all of
    /// them; those that have not begun by then create nothing.
    ///
    /// # Panics
    /// As [`ImageBuilder::start`].
    pub fn start(self) -> BuildHandle<Vec<Result<BuiltImage, BuildError>>> {
        let Self { jobs, limit, cancel_rest } = self;
        let (sender, events) = Events::channel();
        let cancelled = CancellationToken::new();
        let cancel = cancelled.clone();
        let builds = jobs.into_iter().enumerate().map(move |(index, (config, provider))| {
            let (sender, cancel) = (sender.clone(), cancel.clone());
            Box::pin(async move {
                // The clock of the events starts when the build does.
                let events = EventSink::new(&config.name, index, Some(sender));
                let cx = BuildContext::new(config, provider, events, cancel.clone());
                let result = drive(&cx).await;
                if result.is_err() && cancel_rest {
                    cancel.cancel();
                }
                (index, result)
            })
        });
        let builds: Vec<_> = builds.collect();
        let all = async move {
            // Not `buffered`, which keeps the order: a build that has ended would hold its place until
            // all earlier ones have.
            let mut ended: Vec<_> = stream::iter(builds).buffer_unordered(limit).collect().await;
            ended.sort_by_key(|(index, _)| *index);
            ended.into_iter().map(|(_, result)| result).collect()
        };
        BuildHandle::spawn(all, events, cancelled)
    }
}

impl Default for Builds {
    fn default() -> Self {
        Self::new()
    }
}
