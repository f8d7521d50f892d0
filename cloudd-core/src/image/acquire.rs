//! Becoming the one process that makes an image.
//!
//! A claim is a resource with nothing but a name and labels. Its name is made of the fingerprint and a
//! generation, and of several processes that create one of the same name one succeeds. So:
//!
//! * Whoever finds nothing creates generation 1. Others fail to, and wait for it.
//! * Whoever finds only claims of dead processes creates the generation after the last. Those that
//!   it supersedes stay as long as it does: while generation 1 is there, nobody else begins.
//! * Whoever got a claim looks once more: unless all is as it was, it has acted on old news, and
//!   withdraws.
//! * Claims are given up oldest first, when nothing else is left. Those of an owner that dies in the
//!   middle of that stand for nothing, and go with those of the next.
//!
//! Dead is a process that the same machine knows to have ended, and any whose claim was seen
//! unchanged for as long as its lease says: it may be stopped, or out of reach, and what it does when
//! it comes back says [`Claim`]. No two clocks are compared for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::adopt::{Standing, abandon, standing};
use super::claim::{Claim, Created, Moment, phase};
use super::error::Cause;
use super::owner::{Life, Owner, life};
use super::plan::Planned;
use super::run::Run;
use super::{BuildEventKind, reuse};
use crate::provider::{
    BuildId, Error, ErrorKind, Image, Labels, LeaseId, LeaseSpec, Resource, ResourceId, keys,
};
use crate::retry::Backoff;

/// How a build may go on.
pub(super) enum Acquired {
    /// There is an image already.
    Image(Image),
    /// This process makes it, from where another one may have left it.
    Claim(Box<Standing>),
}

/// How often a claim of another process is looked at. Each look is a request, of which a Hetzner
/// project has 3,600 an hour for all that wait.
const LOOKS: Backoff = Backoff::new(Duration::from_secs(5), Duration::from_secs(30), 1.5, 0.3);

/// Pauses of those who got into each other's way.
const AGAIN: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10), 2.0, 0.5);

/// Expiry is written by one clock and read by another; this much they may differ.
pub(crate) const SKEW: Duration = Duration::from_secs(2 * 3600);

/// Waits until there is an image, or nobody else who makes it.
pub(super) async fn acquire(run: &Run<'_>, planned: &Planned) -> Result<Acquired, Cause> {
    // So often in a row nobody is seen to have what this process does not get: minutes.
    const TURNS: u32 = 15;
    let mut watch = Watch::default();
    let (mut pauses, mut turns) = (AGAIN.pauses(), 0);
    loop {
        let image = reuse::image(run, planned).await?;
        if image.is_none()
            && let Some(acquired) = begin(run, planned, &mut watch).await?
        {
            return Ok(acquired);
        }
        let claims = claims(run, planned).await?;
        turns += 1;
        match (watch.judge(&claims), image) {
            (Verdict::Nobody, None) => {}
            // If there is a maker, it is about to delete what it needed for it.
            (Verdict::Nobody | Verdict::Alive, Some(image)) => {
                if reuse::is_there(run, &image).await? {
                    return Ok(reused(run, image));
                }
            }
            (Verdict::Alive, None) => {
                watch.wait(run, planned, claims).await?;
                turns = 0;
            }
            (Verdict::Dead, image) => {
                if let Some(standing) = take_over(run, planned, &claims, image).await? {
                    return Ok(Acquired::Claim(Box::new(standing)));
                }
            }
        }
        if turns == TURNS {
            return Err(Cause::Provider(unseen_claim(planned)));
        }
        run.pause("turn", pauses.next().unwrap_or(AGAIN.longest)).await?;
    }
}

/// Leaves a build to the process that has taken it over. Where nobody has, because somebody deleted
/// the claim by hand, what the build made goes.
pub(super) async fn yielded(run: &Run<'_>, planned: &Planned) -> Result<(), Cause> {
    let build = run.build();
    let own = run.claim().map(|claim| ResourceId::from(claim.id.clone()));
    run.forget();
    run.drop_claim();
    let claims = claims(run, planned).await?;
    let goes_on = claims.iter().any(|claim| {
        claim.labels.get(keys::BUILD) == Some(build.as_str()) && Some(&claim.id) != own.as_ref()
    });
    if goes_on {
        run.sink.note("another process has taken the build over: this one was silent for too long");
        return Ok(());
    }
    run.sink.note("the claim of this build was deleted: it begins anew");
    abandon(run).await
}

fn unseen_claim(planned: &Planned) -> Error {
    Error::new(ErrorKind::AlreadyExists, "claim image")
        .with_resource(claim_name(planned, 1))
        .with_message(
            "something has this name and not the labels of a claim; somebody has changed them",
        )
        .with_hint("delete it if no build is under way")
}

fn reused(run: &Run<'_>, image: Image) -> Acquired {
    run.sink.send(BuildEventKind::Reused { image: image.id.clone() });
    Acquired::Image(image)
}

/// Creates the first claim, unless there is one, or somebody who has a later one.
async fn begin(
    run: &Run<'_>,
    planned: &Planned,
    watch: &mut Watch,
) -> Result<Option<Acquired>, Cause> {
    let Some(claim) = create(run, planned, BuildId::random(), 1).await? else { return Ok(None) };
    // There may be an image, made by somebody who had the claim until just now.
    let (image, mut others) = tokio::try_join!(reuse::image(run, planned), claims(run, planned))?;
    others.retain(|other| other.id != ResourceId::from(claim.id.clone()));
    if others.iter().any(|other| watch.is_alive(other)) {
        run.release().await?;
        return Ok(None);
    }
    claim.supersede(others.iter().filter_map(claim_id));
    if let Some(image) = image {
        run.release().await?;
        return Ok(Some(reused(run, image)));
    }
    let unchecked = reuse::unchecked(run, planned).await?;
    let standing = unchecked.map_or(Standing::Nothing, Standing::Image);
    Ok(Some(Acquired::Claim(Box::new(standing))))
}

/// Creates the claim after those of dead processes, if nothing has changed meanwhile. With an `image`
/// that will do, nothing is gone on with: what they left is removed in the end.
async fn take_over(
    run: &Run<'_>,
    planned: &Planned,
    dead: &[Resource],
    image: Option<Image>,
) -> Result<Option<Standing>, Cause> {
    let last = dead.iter().map(|claim| Claim::generation(&claim.labels)).max().unwrap_or(1);
    let next = last.max(dead.len() as u64) + 1;
    // Later ones of another build are what is left of somebody who gave them up. Of labels that
    // somebody has spoilt: another build, which finds nothing of its own.
    let of_build = |claim: &Resource| claim.labels.get(keys::BUILD).map(ToOwned::to_owned);
    let build = dead.first().and_then(&of_build);
    let newest = dead.iter().rfind(|claim| of_build(claim) == build);
    let newest = newest.map(|claim| claim.labels.clone()).unwrap_or_default();
    let build = build.and_then(|id| BuildId::try_from(id).ok()).unwrap_or_else(BuildId::random);
    let Some(claim) = create(run, planned, build.clone(), next).await? else { return Ok(None) };

    let mut found = claims(run, planned).await?;
    found.retain(|other| other.id != ResourceId::from(claim.id.clone()));
    if found != dead {
        run.release().await?;
        return Ok(None);
    }
    claim.supersede(dead.iter().filter_map(claim_id));
    run.took_over();
    run.sink.send(BuildEventKind::Adopted { build });
    if let Some(image) = image {
        run.sink.send(BuildEventKind::Reused { image: image.id.clone() });
        return Ok(Some(Standing::Image(image)));
    }
    standing(run, planned, &newest).await.map(Some)
}

/// A claim of this generation, which this process holds then; `None` when there is one.
async fn create(
    run: &Run<'_>,
    planned: &Planned,
    build: BuildId,
    generation: u64,
) -> Result<Option<Arc<Claim>>, Cause> {
    let (owner, at) = (Owner::new(), Moment::now());
    let lease = Claim::lease_label(run.builder.deadlines.lease, 0);
    let own = [
        (keys::HOLDER, owner.label()),
        (keys::LEASE, &lease),
        (keys::PHASE, phase::PROVISION),
        (keys::FENCING_TOKEN, &generation.to_string()),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let labels = planned.labels(run, &build).merged(&Labels::from_iter(own));
    let name = claim_name(planned, generation);
    let spec = LeaseSpec::new(&name, labels);
    // Until it is known what came of it: an answer can be lost.
    run.may_have_claimed(Some(owner.label()));
    let created = run.call("create claim", &name, run.provider.create_lease(&spec)).await;
    let claim = match created {
        Ok(id) => {
            let fingerprint = planned.fingerprint.clone();
            let lease = run.builder.deadlines.lease;
            let created = Created { id, fingerprint, generation, owner, lease, at };
            Some(run.hold(build, Claim::new(created)))
        }
        Err(Cause::Provider(error)) if error.kind() == ErrorKind::AlreadyExists => None,
        Err(cause) => return Err(cause),
    };
    run.may_have_claimed(None);
    Ok(claim)
}

fn claim_name(planned: &Planned, generation: u64) -> String {
    format!("cloudd-{}-{generation}", planned.fingerprint)
}

/// All claims to the image, oldest first.
pub(super) async fn claims(run: &Run<'_>, planned: &Planned) -> Result<Vec<Resource>, Cause> {
    let all = Claim::all(run.provider, &planned.fingerprint);
    run.wait("answer of the provider", run.builder.deadlines.call, all).await
}

fn claim_id(claim: &Resource) -> Option<LeaseId> {
    match &claim.id {
        ResourceId::Lease(id) => Some(id.clone()),
        _ => None,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody makes the image.
    Nobody,
    /// Somebody does.
    Alive,
    /// Somebody did.
    Dead,
}

/// What was seen of the claims of others, and since when.
#[derive(Default)]
pub(super) struct Watch {
    seen: BTreeMap<LeaseId, (Labels, Instant)>,
    waiting_since: Option<Instant>,
}

impl Watch {
    /// Whether somebody makes the image, as far as it can be known by now.
    pub(super) fn judge(&mut self, claims: &[Resource]) -> Verdict {
        // All of them are looked at: each must have been seen for long.
        let alive = claims.iter().filter(|claim| self.is_alive(claim)).count();
        if alive > 0 {
            Verdict::Alive
        } else if claims.is_empty() {
            Verdict::Nobody
        } else {
            Verdict::Dead
        }
    }

    fn is_alive(&mut self, claim: &Resource) -> bool {
        const PATIENCE: Duration = Duration::from_secs(300);
        let life = claim.labels.get(keys::HOLDER).map_or(Life::Unknown, life);
        let Some(id) = claim_id(claim).filter(|_| life != Life::Dead) else { return false };
        let now = Instant::now();
        let lease = claim.labels.get(keys::LEASE).and_then(Claim::lease_of).unwrap_or(PATIENCE);
        // No lease is longer than a build can live.
        let lease = if expired(&claim.labels, SKEW) { lease.min(PATIENCE) } else { lease };
        let (labels, since) = self.seen.entry(id).or_insert_with(|| (claim.labels.clone(), now));
        if *labels != claim.labels {
            (*labels, *since) = (claim.labels.clone(), now);
        }
        // It is renewed twice in this time.
        now - *since < lease
    }

    /// Waits while somebody else makes the image, and tells how far they are.
    async fn wait(
        &mut self,
        run: &Run<'_>,
        planned: &Planned,
        mut claims: Vec<Resource>,
    ) -> Result<(), Cause> {
        let longest = run.builder.deadlines.longest_build();
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let mut told = None;
        let mut looks = LOOKS.pauses();
        loop {
            let now = claims.last().map(|claim| {
                let value = |key| claim.labels.get(key).unwrap_or_default().to_owned();
                (value(keys::BUILD), value(keys::PHASE))
            });
            if now != told
                && let Some((build, phase)) = &now
            {
                let (build, phase) = (build.clone(), phase.clone());
                run.sink.send(BuildEventKind::Waiting { build, phase });
            }
            told = now;
            run.pause("image that another process makes", looks.next().unwrap_or(LOOKS.longest))
                .await?;
            claims = self::claims(run, planned).await?;
            if self.judge(&claims) != Verdict::Alive {
                return Ok(());
            }
            if since.elapsed() > longest {
                return Err(Cause::Deadline {
                    waiting_for: "image that another process makes",
                    after: longest,
                });
            }
        }
    }
}

/// Whether the time in the expiry label is over, by this machine's clock, for at least so long.
pub(crate) fn expired(labels: &Labels, margin: Duration) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let expires = labels.get(keys::EXPIRES).and_then(|text| text.parse().ok());
    expires.is_some_and(|expires| now > Duration::from_secs(expires) + margin)
}
