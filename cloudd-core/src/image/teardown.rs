use tokio::time::{Instant, sleep, timeout_at};

use super::BuildEventKind;
use super::run::{Left, Run};
use crate::provider::{
    Error, ErrorKind, ImageId, ResourceId, ResourceKind, Result, Selector, keys,
};
use crate::retry::Backoff;

/// Deletes what a build created, except the image it returns, within a deadline of its own.
///
/// Idempotent and stubborn: what cannot be deleted now is tried again until the deadline, since a
/// VM that is still being started, say, holds its volume for a while. With `search`, whatever else
/// carries the build's label goes too.
///
/// The claim stays where something else does, and is told with it: the next run of the build finds by
/// it what is left.
pub(super) async fn delete_all(
    run: &Run<'_>,
    created: &[ResourceId],
    kept: Option<&ImageId>,
    search: bool,
) -> std::result::Result<(), Left> {
    let deadline = Instant::now() + run.builder.deadlines.teardown;
    let kept = kept.cloned().map(ResourceId::Image);
    let mut work = Work { left: created.to_vec(), searched: !search };
    work.left.retain(|resource| Some(resource) != kept.as_ref());
    let left = |work: Work, error| {
        let mut resources = work.left;
        resources.extend(run.claim().iter().flat_map(|claim| claim.ids()));
        Left { resources, error }
    };
    let mut pauses = Backoff::STEADY.pauses();
    let mut last_error = None;
    loop {
        match timeout_at(deadline, work.pass(run, kept.as_ref())).await {
            Ok(Ok(())) => return Ok(()),
            // It is the task of the process that took over.
            _ if run.is_lost() => return Ok(()),
            // No patience mends a revoked token.
            Ok(Err(error)) if error.kind() == ErrorKind::Unauthorized => {
                return Err(left(work, error));
            }
            Ok(Err(error)) => last_error = Some(error),
            Err(_) => {}
        }
        let pause = pauses.next().unwrap_or(Backoff::STEADY.longest);
        if Instant::now() + pause >= deadline {
            let error = last_error.unwrap_or_else(|| {
                Error::new(ErrorKind::Timeout, "delete what the build created").with_message(
                    format_args!(
                        "not done within {} s",
                        run.builder.deadlines.teardown.as_secs_f32()
                    ),
                )
            });
            return Err(left(work, error));
        }
        sleep(pause).await;
    }
}

/// Gives up the claim of the build, of which nothing else is left.
pub(super) async fn release(run: &Run<'_>) -> std::result::Result<(), Left> {
    let (claim, lost) = (run.claim(), run.claimed());
    if claim.is_none() && lost.is_none() {
        return Ok(());
    }
    let deadline = Instant::now() + run.builder.deadlines.teardown;
    let mut pauses = Backoff::STEADY.pauses();
    loop {
        let give_up = async {
            if let Some(claim) = &claim {
                let ensured = claim.ensure(run.provider).await;
                // One that was taken over goes with that of the process which has the build now.
                if !run.is_lost() {
                    ensured?;
                    claim.release(run.provider).await?;
                }
            }
            match &lost {
                Some(owner) => delete_claim_of(run, owner).await,
                None => Ok(()),
            }
        };
        let error = match timeout_at(deadline, give_up).await {
            Ok(Ok(())) => break,
            Ok(Err(error)) => error,
            Err(_) => Error::new(ErrorKind::Timeout, "give up claim"),
        };
        let pause = pauses.next().unwrap_or(Backoff::STEADY.longest);
        if error.kind() == ErrorKind::Unauthorized || Instant::now() + pause >= deadline {
            let resources = claim.iter().flat_map(|claim| claim.ids()).collect();
            return Err(Left { resources, error });
        }
        sleep(pause).await;
    }
    run.drop_claim();
    run.may_have_claimed(None);
    Ok(())
}

/// Deletes the claim with this owner label, if there is one: its creation had no usable answer.
async fn delete_claim_of(run: &Run<'_>, owner: &str) -> Result<()> {
    let selector = Selector::all().with(keys::HOLDER, owner).of_kind(ResourceKind::Lease);
    for claim in run.provider.find(&selector).await? {
        run.provider.delete(&claim.id).await?;
    }
    Ok(())
}

/// What remains to be done, right at every await point: a pass may be cut off by the deadline.
struct Work {
    left: Vec<ResourceId>,
    searched: bool,
}

impl Work {
    /// Tries everything once; the error is that of the last failure.
    async fn pass(&mut self, run: &Run<'_>, kept: Option<&ResourceId>) -> Result<()> {
        run.ensure_claim().await?;
        let mut result = Ok(());
        if !self.searched {
            match run.provider.find(&Selector::build(&run.build())).await {
                Ok(found) => {
                    let found = found.into_iter().map(|resource| resource.id);
                    // Claims are given up when all else is done.
                    let goes =
                        |id: &ResourceId| Some(id) != kept && !matches!(id, ResourceId::Lease(_));
                    self.left.extend(found.filter(goes));
                    self.searched = true;
                }
                Err(error) => result = Err(error),
            }
        }
        self.left.sort_by(|a, b| (a.delete_order(), a).cmp(&(b.delete_order(), b)));
        self.left.dedup();
        let mut next = 0;
        while let Some(resource) = self.left.get(next).filter(|_| !run.is_lost()).cloned() {
            match run.provider.delete(&resource).await {
                Ok(()) => {
                    self.left.remove(next);
                    run.sink.send(BuildEventKind::Deleted { resource });
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
}
