//! Waits until an image exists, or until this process holds the lease and may make it.

use std::time::Duration;

use tokio::time::Instant;

use super::context::BuildContext;
use super::error::{BuildError, BuildErrorKind, Leftovers};
use super::events::{BuildEventKind, Phase};
use super::journal::Journal;
use super::plan::BuildPlan;
use super::recovery::Origin;
use super::reuse;
use super::state::{Build, LogTail};
use crate::lease::{
    self, AcquireError, Lease, LeaseObserver, LeaseRecord, LeaseState, acquire_first, take_over,
};
use crate::provider::{BuildId, Error, ErrorKind, Image, keys};
use crate::retry::Backoff;

/// How a build continues.
pub(super) enum Acquired<'a> {
    /// An image exists already.
    Image(Image),
    /// This process holds the lease.
    Lease(Box<Build<'a>>, Origin),
}

/// A build that failed before it held a lease.
pub(super) struct AcquireFailure {
    kind: BuildErrorKind,
    leftovers: Option<Leftovers>,
}

impl AcquireFailure {
    pub(super) fn into_error(self, cx: &BuildContext) -> BuildError {
        BuildError::new(&cx.config.name, cx.events.build(), Phase::Plan, self.kind)
            .with_leftovers(self.leftovers)
    }
}

impl From<BuildErrorKind> for AcquireFailure {
    fn from(kind: BuildErrorKind) -> Self {
        Self { kind, leftovers: None }
    }
}

impl From<AcquireError> for AcquireFailure {
    fn from(failure: AcquireError) -> Self {
        let leftovers = failure.cleanup.map(|error| Leftovers { resources: Vec::new(), error });
        Self { kind: failure.error.into(), leftovers }
    }
}

/// The pauses of processes that contend for a lease.
const CONTENTION: Backoff =
    Backoff::new(Duration::from_millis(200), Duration::from_secs(10), 2.0, 0.5);

/// Waits until there is an image, or until this process holds the lease.
pub(super) async fn acquire<'a>(
    cx: &'a BuildContext,
    plan: &'a BuildPlan,
) -> Result<Acquired<'a>, AcquireFailure> {
    // The number of consecutive attempts, some minutes, after which a name that is taken although
    // there is no lease is an error.
    const MAX_ATTEMPTS: u32 = 15;
    let terms = cx.lease_terms(&plan.fingerprint);
    let mut observer = LeaseObserver::default();
    let waiting_since = Instant::now();
    let (mut pauses, mut attempts) = (CONTENTION.pauses(), 0);
    loop {
        let image = reuse::find_image(cx, plan).await?;
        if image.is_none() {
            check_cancelled(cx)?;
            let id = BuildId::random();
            let labels = plan.lease_labels(cx, &id);
            let lease = acquire_first(&cx.provider, &terms, &labels, &mut observer).await?;
            if let Some(lease) = lease {
                let build = new_build(cx, plan, id, lease, Journal::default());
                return Ok(Acquired::Lease(build, Origin::First));
            }
        }
        let leases = cx.read(lease::list(cx.provider.as_ref(), &terms.selector)).await?;
        attempts += 1;
        match (observer.observe(&leases), image) {
            (LeaseState::Unheld, None) => {}
            // The image is not final before its build has released the lease: if that build fails, it
            // deletes the image, and if it has lost its lease, its VM may still have to be deleted.
            (LeaseState::Held, Some(image)) if is_of_held_build(&image, &leases) => {
                wait_for_other(cx, &terms, &mut observer, leases, waiting_since).await?;
                attempts = 0;
            }
            (LeaseState::Unheld | LeaseState::Held, Some(image)) => {
                if reuse::is_available(cx, &image).await? {
                    cx.events.send(BuildEventKind::Reused { image: image.id.clone() });
                    return Ok(Acquired::Image(image));
                }
            }
            (LeaseState::Held, None) => {
                wait_for_other(cx, &terms, &mut observer, leases, waiting_since).await?;
                attempts = 0;
            }
            (LeaseState::Expired, image) => {
                check_cancelled(cx)?;
                let id = predecessor(&leases);
                let labels = plan.lease_labels(cx, &id);
                let lease = take_over(&cx.provider, &terms, &labels, &leases).await?;
                if let Some(lease) = lease {
                    let newest = leases.iter().rfind(|it| it.label(keys::BUILD) == id.as_str());
                    let phase = newest.map_or("", |it| it.label(keys::PHASE)).to_owned();
                    let build = new_build(cx, plan, id, lease, Journal::inherited());
                    return Ok(Acquired::Lease(build, Origin::TakenOver { phase, image }));
                }
            }
        }
        if attempts == MAX_ATTEMPTS {
            return Err(BuildErrorKind::Provider(foreign_lease(&terms.name)).into());
        }
        cx.pause(pauses.next().unwrap_or(CONTENTION.longest)).await?;
    }
}

fn new_build<'a>(
    cx: &'a BuildContext,
    plan: &'a BuildPlan,
    id: BuildId,
    lease: Lease,
    journal: Journal,
) -> Box<Build<'a>> {
    let events = cx.events.for_build(id.clone());
    let (phase, log) = (Phase::Plan, LogTail::default());
    Box::new(Build { cx, plan, id, lease, access: None, events, journal, phase, log })
}

/// Whether the image was made by the build that one of the leases belongs to.
fn is_of_held_build(image: &Image, leases: &[LeaseRecord]) -> bool {
    let build = image.labels.get(keys::BUILD);
    build.is_some_and(|build| leases.iter().any(|lease| lease.label(keys::BUILD) == build))
}

/// The build that the expired leases belong to. Leases with a higher token and another build were
/// left while they were being released, and lead to nothing. Labels that cannot be read: a new
/// build, which has nothing to resume.
fn predecessor(expired: &[LeaseRecord]) -> BuildId {
    let lowest = expired.first().map(|lease| lease.label(keys::BUILD)).unwrap_or_default();
    lowest.parse().unwrap_or_else(|_| BuildId::random())
}

fn check_cancelled(cx: &BuildContext) -> Result<(), BuildErrorKind> {
    if cx.cancelled.is_cancelled() { Err(BuildErrorKind::Cancelled) } else { Ok(()) }
}

/// The name of the lease is taken, and there is no lease.
fn foreign_lease(name: &str) -> Error {
    Error::new(ErrorKind::AlreadyExists, "create lease")
        .with_resource(format_args!("{name}-1"))
        .with_message("a resource has this name but not the labels of a lease")
        .with_hint("delete it if no build is in progress")
}

/// Waits while another process holds the lease, and reports its phase.
async fn wait_for_other(
    cx: &BuildContext,
    terms: &lease::LeaseTerms,
    observer: &mut LeaseObserver,
    mut leases: Vec<LeaseRecord>,
    since: Instant,
) -> Result<(), BuildErrorKind> {
    const WAITING_FOR: &str = "image that another process makes";
    let longest = cx.config.deadlines.longest_build();
    // Also while nothing changes, to show that the process has not stopped.
    const INTERVAL: Duration = Duration::from_secs(60);
    let mut reported = None;
    let mut pauses = lease::POLL.pauses();
    loop {
        let newest = leases.last();
        let now = newest.map(|it| [it.label(keys::BUILD), it.label(keys::PHASE)].map(String::from));
        let is_due = reported.as_ref().is_none_or(|(reported, at): &(_, Instant)| {
            *reported != now || at.elapsed() >= INTERVAL
        });
        if is_due {
            reported = Some((now.clone(), Instant::now()));
            if let Some([build, phase]) = now {
                let waited = since.elapsed().as_secs();
                cx.events.send(BuildEventKind::Waiting { build, phase, waited });
            }
        }
        cx.pause(pauses.next().unwrap_or(lease::POLL.longest)).await?;
        leases = cx.read(lease::list(cx.provider.as_ref(), &terms.selector)).await?;
        if observer.observe(&leases) != LeaseState::Held {
            return Ok(());
        }
        if since.elapsed() > longest {
            return Err(BuildErrorKind::Deadline { waiting_for: WAITING_FOR, after: longest });
        }
    }
}
