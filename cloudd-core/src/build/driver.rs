use std::any::Any;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use super::acquire::{Acquired, acquire};
use super::boot_check::boot_check;
use super::cleanup;
use super::context::BuildContext;
use super::error::{BuildError, BuildErrorKind};
use super::events::{EventSink, Phase};
use super::monitor;
use super::outcome::BuiltImage;
use super::plan::BuildPlan;
use super::provision::provision;
use super::recovery::{self, Origin};
use super::reuse;
use super::snapshot::{snapshot, wait_available};
use super::state::{Build, State};
use crate::provider::{Error, ErrorKind, Image};

/// Runs a build from its inputs to its image. The only place that knows the order of the phases:
///
/// ```text
/// BuildPlan::new ── an input cannot work ─────────────────────▶ error; nothing was created
///      │
///   acquire ── an image exists, or another process makes it ──▶ that image
///      │ lease
/// first_state ── an expired lease was taken over ──▶ the state (●) that `recovery` finds
///      │
///   Planned ●
///      │ provision
///   Provisioned          Started ●
///      │ start_and_monitor  │ monitor
///      ▼                    ▼
///   PoweredOff ●
///      │ snapshot
///   Imaged ●
///      │ wait_available, boot_check
///   Ready                Reused ●
///      │ delete_replaced    │
///      ▼                    ▼
///   cleanup ◀── any failure, cancellation or deadline in any state
///      │ everything but the image is deleted, the lease last
///      ▼
///   BuiltImage or BuildError
/// ```
/// If the lease is lost, another process works on the build, and this one starts again at `acquire`.
pub(super) async fn drive(cx: &BuildContext) -> Result<BuiltImage, BuildError> {
    let failed = |kind| BuildError::new(&cx.config.name, cx.events.build(), Phase::Plan, kind);
    let plan = BuildPlan::new(cx).await.map_err(failed)?;
    loop {
        let acquired = acquire(cx, &plan).await.map_err(|failure| failure.into_error(cx))?;
        let (mut build, origin) = match acquired {
            Acquired::Image(image) => {
                note_larger_disk(&cx.events, &plan, &image);
                return Ok(BuiltImage::new(image));
            }
            Acquired::Lease(build, origin) => (build, origin),
        };
        // A panic is a fault of a provider or of cloudd. What the build created is deleted all the same.
        let result = match AssertUnwindSafe(run(&mut build, origin)).catch_unwind().await {
            Ok(result) => result,
            Err(panic) => Err(panicked(panic.as_ref())),
        };

        // Before anything is deleted, the lease has to be known to be valid. An error of the provider
        // may itself be caused by another process that has taken over.
        let held = match result {
            Err(BuildErrorKind::Provider(_)) => build.lease.renew().await,
            _ => build.lease.ensure_held().await,
        };
        if let Err(error) = held {
            tracing::debug!(%error, "it is not known whether the lease is valid");
        }
        if !build.lease.is_lost() {
            return cleanup::finish(*build, result).await;
        }
        cleanup::after_lost_lease(*build).await?;
    }
}

fn panicked(panic: &(dyn Any + Send)) -> BuildErrorKind {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Error::new(ErrorKind::Internal, "build image")
        .with_message(format_args!("a panic: {}", text.unwrap_or("without a message")))
        .into()
}

fn note_larger_disk(events: &EventSink, plan: &BuildPlan, image: &Image) {
    if let Some(note) = reuse::larger_disk(plan, image) {
        events.note(note);
    }
}

/// Goes from one state to the next until the image is ready.
async fn run(build: &mut Build<'_>, origin: Origin) -> Result<Image, BuildErrorKind> {
    let mut state = recovery::first_state(build, origin).await?;
    loop {
        state = match state {
            State::Planned => State::Provisioned(provision(build).await?),
            State::Provisioned(vm) => monitor::start_and_monitor(build, vm).await?,
            State::Started(vm) => monitor::monitor(build, vm).await?,
            State::PoweredOff(vm) => State::Imaged(snapshot(build, &vm).await?),
            State::Imaged(image) => {
                let image = wait_available(build, image).await?;
                State::Ready(boot_check(build, image).await?)
            }
            State::Ready(image) => {
                reuse::delete_replaced(build, &image).await;
                note_larger_disk(&build.events, build.plan, &image);
                return Ok(image);
            }
            State::Reused(image) => {
                note_larger_disk(&build.events, build.plan, &image);
                return Ok(image);
            }
        };
    }
}
