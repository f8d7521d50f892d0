use super::error::{BuildError, BuildErrorKind, Leftovers};
use super::events::{BuildEventKind, Phase};
use super::outcome::BuiltImage;
use super::policy::OnFailure;
use super::state::Build;
use crate::lease::{self, LeaseObserver, LeaseState};
use crate::ownership::is_of_build;
use crate::provider::{
    Error, ErrorKind, Image, ImageId, ImageStatus, ResourceId, ResourceKind, Result, Selector, keys,
};
use crate::retry::{self, Attempts};

/// Deletes everything of a build but its image, releases the lease, and says how the build ended.
pub(super) async fn finish(
    mut build: Build<'_>,
    result: Result<Image, BuildErrorKind>,
) -> Result<BuiltImage, BuildError> {
    let failed_in = build.phase;
    let returned = match &result {
        Ok(image) => Some(image.id.clone()),
        Err(BuildErrorKind::BootCheck { kept, .. }) => kept.clone(),
        Err(_) => None,
    };
    let keeps_all = build.cx.config.on_failure == OnFailure::Keep
        && !matches!(result, Ok(_) | Err(BuildErrorKind::Cancelled));
    let kept = if keeps_all { build.journal.created().to_vec() } else { Vec::new() };
    let mut leftovers = None;
    if !keeps_all && (!build.journal.created().is_empty() || build.journal.is_incomplete()) {
        build.enter(Phase::Teardown);
        leftovers = delete_all(&build, returned.as_ref()).await.err();
        if build.lease.is_lost() {
            leftovers = clean_up_after_loss(&build).await.err();
        }
    }
    // The next build finds by the lease what could not be deleted.
    if leftovers.is_none() {
        leftovers = release(&build).await.err();
    }
    let log = build.log.take();
    let (name, id) = (&build.cx.config.name, build.id.clone());
    build.journal.close();
    match result {
        Ok(image) => Ok(BuiltImage { leftovers, ..BuiltImage::new(image) }),
        Err(kind) => Err(BuildError::new(name, id, failed_in, kind)
            .with_log(log)
            .with_kept(kept)
            .with_leftovers(leftovers)),
    }
}

/// Deletes what the journal lists, except the image that the build returns. If the journal is
/// incomplete, every other resource that the build created for itself is deleted, too. The search is
/// repeated until it finds nothing: a call of an earlier process, which was held back for longer than
/// its lease, may create something after the first search.
///
/// Has a deadline of its own. A deletion that fails is repeated until then: a VM that is still being
/// started, for example, holds its volume for a while. The lease is kept if anything else remains.
async fn delete_all(build: &Build<'_>, returned: Option<&ImageId>) -> Result<(), Leftovers> {
    let returned = returned.cloned().map(ResourceId::Image);
    let mut remaining = build.journal.created().to_vec();
    remaining.retain(|resource| Some(resource) != returned.as_ref());
    let mut to_search = build.journal.is_incomplete();
    let mut attempts = Attempts::within(build.cx.config.deadlines.teardown);
    loop {
        // Dropped at the deadline: `remaining` is right at every await point.
        let pass = delete_once(build, &mut remaining, &mut to_search, returned.as_ref());
        let error = match attempts.attempt("delete what the build created", pass).await {
            Ok(()) if to_search => continue,
            Ok(()) => return Ok(()),
            // Another process has taken over, and deletes what remains.
            Err(_) if build.lease.is_lost() => return Ok(()),
            Err(error) => error,
        };
        if let Err(error) = attempts.pause_after(error).await {
            remaining.extend(build.lease.ids());
            return Err(Leftovers { resources: remaining, error });
        }
    }
}

/// Tries to delete everything once. The error is that of the last failure.
async fn delete_once(
    build: &Build<'_>,
    remaining: &mut Vec<ResourceId>,
    to_search: &mut bool,
    returned: Option<&ResourceId>,
) -> Result<()> {
    build.lease.ensure_held().await?;
    let mut result = Ok(());
    if *to_search {
        match build.cx.provider.find(&Selector::build(&build.id)).await {
            Ok(found) => {
                let own = found.into_iter().filter(|resource| is_of_build(resource, &build.id));
                let mut found: Vec<_> = own.map(|resource| resource.id).collect();
                found.retain(|id| Some(id) != returned && id.kind() != ResourceKind::Lease);
                *to_search = !found.is_empty();
                remaining.extend(found);
            }
            Err(error) => result = Err(error),
        }
    }
    let deletion = delete_each(build, remaining, || !build.lease.is_lost()).await;
    result.and(deletion)
}

/// Tries to delete each resource once, in order, as long as this process may. What is deleted is
/// removed from the list. The error is that of the last failure.
async fn delete_each(
    build: &Build<'_>,
    remaining: &mut Vec<ResourceId>,
    may_delete: impl Fn() -> bool,
) -> Result<()> {
    remaining.sort_by(|a, b| (a.delete_order(), a).cmp(&(b.delete_order(), b)));
    remaining.dedup();
    let mut result = Ok(());
    let mut next = 0;
    while let Some(resource) = remaining.get(next).filter(|_| may_delete()).cloned() {
        match build.cx.provider.delete(&resource).await {
            Ok(()) => {
                remaining.remove(next);
                build.events.send(BuildEventKind::Deleted { resource });
            }
            Err(error) => {
                tracing::debug!(%resource, %error, "not deleted yet");
                result = Err(error);
                next += 1;
            }
        }
    }
    result
}

/// Deletes the lease, when nothing else of the build is left.
async fn release(build: &Build<'_>) -> Result<(), Leftovers> {
    let mut attempts = Attempts::within(build.cx.config.deadlines.teardown);
    loop {
        let release = async {
            let held = build.lease.ensure_held().await;
            // A lease that was lost is deleted by the process that has taken over.
            if build.lease.is_lost() {
                return Ok(());
            }
            held?;
            build.lease.release().await
        };
        let error = match attempts.attempt("delete lease", release).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if let Err(error) = attempts.pause_after(error).await {
            return Err(Leftovers { resources: build.lease.ids().collect(), error });
        }
    }
}

/// The lease was lost before the build had a result.
pub(super) async fn after_lost_lease(mut build: Build<'_>) -> Result<(), BuildError> {
    build.journal.close();
    let cleaned = clean_up_after_loss(&build).await;
    cleaned.map_err(|leftovers| {
        let lost = Error::new(ErrorKind::NotFound, "hold lease")
            .with_resource(build.lease.id())
            .with_message("it expired, or was deleted by another program");
        let (name, id) = (&build.cx.config.name, build.id.clone());
        BuildError::new(name, id, build.phase, BuildErrorKind::Provider(lost))
            .with_leftovers(Some(leftovers))
    })
}

/// Deletes what is left of a build whose lease was lost. Nothing may be deleted while a lease of the
/// build exists: it is that of a process that has taken over, or the own one, which a process can still
/// take over, this one included. Once no lease of the build exists, nothing of it is in use: what is
/// left is deleted, except an available image, which may have been handed out. Something is left if a
/// call of this process took effect after its successor had cleaned up, or if the lease was deleted
/// by hand.
async fn clean_up_after_loss(build: &Build<'_>) -> Result<(), Leftovers> {
    let mut remaining = Vec::new();
    let mut attempts = Attempts::within(build.cx.config.deadlines.teardown);
    match wait_for_successor(build).await {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(error) => return Err(Leftovers { resources: remaining, error }),
    }
    loop {
        let deletion = async {
            if remaining.is_empty() {
                remaining = deletable_without_lease(build).await?;
            }
            delete_each(build, &mut remaining, || true).await
        };
        let error = match attempts.attempt("delete what the build created", deletion).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        if let Err(error) = attempts.pause_after(error).await {
            return Err(Leftovers { resources: remaining, error });
        }
    }
}

/// Waits until no lease of the build exists: `true`. `false` if one exists that can be taken over, or if
/// the build is cancelled while another process holds one.
async fn wait_for_successor(build: &Build<'_>) -> Result<bool> {
    let cx = build.cx;
    let terms = cx.lease_terms(&build.plan.fingerprint);
    let (mut observer, mut pauses) = (LeaseObserver::default(), lease::POLL.pauses());
    build.events.note(
        "the lease of this build was not renewed in time, or was deleted by another program: the \
         build is continued by the process that takes it over, which may be this one",
    );
    loop {
        let list = lease::list(cx.provider.as_ref(), &terms.selector);
        let call = cx.config.deadlines.call;
        let mut leases = retry::with_timeout("list leases of", &terms.name, call, list).await?;
        leases.retain(|it| it.label(keys::BUILD) == build.id.as_str());
        if leases.is_empty() {
            return Ok(true);
        }
        leases.retain(|it| it.id != *build.lease.id());
        if observer.observe(&leases) != LeaseState::Held {
            return Ok(false);
        }
        let pause = pauses.next().unwrap_or(lease::POLL.longest);
        if cx.pause(pause).await.is_err() {
            return Ok(false);
        }
    }
}

/// The build's own resources, except leases and available images.
async fn deletable_without_lease(build: &Build<'_>) -> Result<Vec<ResourceId>> {
    let selector = Selector::build(&build.id);
    let images = build.cx.provider.images(&selector).await?;
    let found = build.cx.provider.find(&selector).await?;
    let is_kept = |id: &ResourceId| {
        let is = |image: &&Image| ResourceId::from(image.id.clone()) == *id;
        id.kind() == ResourceKind::Lease
            || images.iter().find(is).is_some_and(|it| it.status == ImageStatus::Available)
    };
    let own = found.into_iter().filter(|resource| is_of_build(resource, &build.id));
    Ok(own.map(|resource| resource.id).filter(|id| !is_kept(id)).collect())
}
