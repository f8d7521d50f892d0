use std::future::Future;
use std::pin::Pin;

use futures_util::stream::{self, StreamExt as _};

use super::control::Company;
use super::{BuildControl, BuildError, ImageBuilder, run};
use crate::provider::{Image, Provider};

/// Builds several images at once: other names, other architectures, other providers.
///
/// ```no_run
/// # async fn example(
/// #     hetzner: &dyn cloudd_core::provider::Provider,
/// #     libvirt: &dyn cloudd_core::provider::Provider,
/// #     leap: cloudd_core::image::ImageBuilder,
/// # ) {
/// use cloudd_core::image::Builds;
/// use cloudd_core::provider::Architecture;
///
/// let results = Builds::new()
///     .add(leap.clone(), hetzner)
///     .add(leap.clone().architecture(Architecture::Aarch64), hetzner)
///     .add(leap, libvirt)
///     .limit(2)
///     .run()
///     .await;
/// for result in results {
///     match result {
///         Ok(image) => println!("{}", image.id),
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "builds do nothing until `run` is awaited"]
pub struct Builds<'a> {
    jobs: Vec<(ImageBuilder, &'a dyn Provider)>,
    limit: usize,
    cancel_rest: bool,
}

/// A build and its place. Boxed where it is made: of an anonymous one inside a stream, the compiler
/// does not see that it is `Send`.
type Job<'a> = Pin<Box<dyn Future<Output = (usize, Result<Image, BuildError>)> + Send + 'a>>;

impl<'a> Builds<'a> {
    /// No builds yet.
    pub fn new() -> Self {
        // A fresh project on Hetzner Cloud may have ten servers, and some may be in use.
        Self { jobs: Vec::new(), limit: 5, cancel_rest: false }
    }

    /// Adds a build.
    pub fn add(mut self, builder: ImageBuilder, provider: &'a dyn Provider) -> Self {
        self.jobs.push((builder, provider));
        self
    }

    /// How many builds may be under way at the same time, on all providers together; default 5,
    /// at least 1. Each has a VM and a volume of its own. They begin in the order in which they
    /// were added.
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// Cancels all others as soon as one fails. Default: the others go on.
    pub fn cancel_rest_on_failure(mut self) -> Self {
        self.cancel_rest = true;
        self
    }

    /// Runs all builds and gives what came of each, in the order in which they were added, when the
    /// last has ended. As with [`ImageBuilder::build`], dropping the future leaves what the
    /// running builds have created.
    pub async fn run(self) -> Vec<Result<Image, BuildError>> {
        self.drive(Company::alone()).await
    }

    /// Like [`run`](Self::run), with the events of all builds in one stream
    /// ([`BuildEvent::index`](super::BuildEvent::index) tells them apart) and a way to cancel them
    /// all. Those that have not begun by then are cancelled before they create anything.
    pub fn run_with_control(
        self,
    ) -> (impl Future<Output = Vec<Result<Image, BuildError>>> + Send + 'a, BuildControl) {
        let (company, control) = Company::with_control();
        (self.drive(company), control)
    }

    async fn drive(self, company: Company) -> Vec<Result<Image, BuildError>> {
        let Self { jobs, limit, cancel_rest } = self;
        let company = &company;
        let builds: Vec<_> = jobs
            .iter()
            .enumerate()
            .map(|(index, (builder, provider))| {
                one(index, builder, *provider, company, cancel_rest)
            })
            .collect();
        // Not `buffered`, though it keeps the order: there a build that is done would hold its
        // place until all before it are.
        let mut ended: Vec<_> = stream::iter(builds).buffer_unordered(limit).collect().await;
        ended.sort_by_key(|(index, _)| *index);
        ended.into_iter().map(|(_, result)| result).collect()
    }
}

impl Default for Builds<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// One build, which begins when it is first polled.
fn one<'a>(
    index: usize,
    builder: &'a ImageBuilder,
    provider: &'a dyn Provider,
    company: &'a Company,
    cancel_rest: bool,
) -> Job<'a> {
    Box::pin(async move {
        let sink = company.sink(index, &builder.name);
        let result = run::build(builder, provider, sink).await;
        if result.is_err() && cancel_rest {
            company.cancelled.cancel();
        }
        (index, result)
    })
}
