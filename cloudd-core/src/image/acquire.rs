//! Becoming the one process that makes an image.
//!
//! A claim is a resource with nothing but a name and labels. Its name is made of the fingerprint and a
//! generation, and of several processes that create one of the same name one succeeds. So:
//!
//! * Whoever finds nothing creates generation 1. Others fail to, and wait for it.
//! * Whoever finds only claims of dead processes creates the generation after the last. Those that
//!   it supersedes stay as long as it does: while generation 1 is there, nobody else begins.
//! * Whoever took over looks once more: unless all is as it was, it has acted on old news, and
//!   withdraws.
//! * Claims are given up oldest first, when nothing else is left. Those of an owner that dies in the
//!   middle of that stand for nothing, and are removed by who finds them.
//!
//! Dead is a process that the same machine knows to have ended, and one on another machine whose
//! claim was seen unchanged for as long as its lease says. No two clocks are compared for that.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::adopt::{Standing, standing};
use super::claim::{Claim, phase};
use super::error::Cause;
use super::owner::{Life, Owner, life};
use super::plan::Planned;
use super::run::Run;
use super::{Update, reuse};
use crate::provider::{
    BuildId, ClaimId, ClaimSpec, Error, ErrorKind, Image, Labels, Resource, ResourceId,
    ResourceKind, Selector, keys,
};
use crate::wait::Pace;

/// How a build may go on.
pub(super) enum Acquired {
    /// There is an image already.
    Image(Image),
    /// This process makes it, from where another one may have left it.
    Claim(Box<Standing>),
}

/// How often a claim of another process is looked at. Each look is a request, of which a Hetzner
/// project has 3,600 an hour for all that wait.
const LOOKS: Pace = Pace::new(Duration::from_secs(5), Duration::from_secs(30), 1.5, 0.3);

/// Pauses of those who got into each other's way.
const AGAIN: Pace = Pace::new(Duration::from_millis(200), Duration::from_secs(10), 2.0, 0.5);

/// How often a claim may be there and not be found: no claim is given up so often in a row.
const UNSEEN: u32 = 12;

/// Expiry is written by one clock and read by another; this much they may differ.
pub(crate) const SKEW: Duration = Duration::from_secs(2 * 3600);

/// Waits until there is an image, or nobody else who makes it.
pub(super) async fn acquire(run: &Run<'_>, planned: &Planned) -> Result<Acquired, Cause> {
    let mut watch = Watch::default();
    let mut pauses = AGAIN.pauses();
    let mut unseen = 0;
    loop {
        let image = reuse::image(run, planned).await?;
        if image.is_none()
            && let Some(acquired) = begin(run, planned).await?
        {
            return Ok(acquired);
        }
        let claims = claims(run, planned).await?;
        match (watch.judge(&claims), image) {
            // Given up in this moment, or one that cannot be found by its labels.
            (Verdict::Nobody, None) => {
                unseen += 1;
                if unseen > UNSEEN {
                    return Err(Cause::Provider(unseen_claim(planned)));
                }
            }
            (Verdict::Nobody, Some(image)) => {
                watch.remove(run, &claims).await?;
                return Ok(reused(run, image));
            }
            // Its maker is about to delete what it needed for it.
            (Verdict::Alive, Some(image)) => return Ok(reused(run, image)),
            (Verdict::Alive, None) => watch.wait(run, planned, claims).await?,
            (Verdict::Dead, image) => {
                if let Some(standing) = take_over(run, planned, &claims, image).await? {
                    return Ok(Acquired::Claim(Box::new(standing)));
                }
            }
        }
        run.pause("turn", pauses.next().unwrap_or(AGAIN.longest)).await?;
    }
}

fn unseen_claim(planned: &Planned) -> Error {
    Error::new(ErrorKind::AlreadyExists, "claim image")
        .on(claim_name(planned, 1))
        .message("something has this name and not the labels of a claim; somebody has changed them")
        .hint("delete it if no build is under way")
}

fn claim_name(planned: &Planned, generation: u64) -> String {
    format!("cloudd-{}-{generation}", planned.fingerprint)
}

fn reused(run: &Run<'_>, image: Image) -> Acquired {
    run.sink.send(Update::Reused { image: image.id.clone() });
    Acquired::Image(image)
}

/// Creates the first claim, unless there is one.
async fn begin(run: &Run<'_>, planned: &Planned) -> Result<Option<Acquired>, Cause> {
    let build = BuildId::random();
    let Some((id, owner)) = create(run, planned, &build, 1).await? else { return Ok(None) };
    run.hold(build, Claim::new(id, owner, Vec::new(), run.builder.deadlines.lease));
    // Made by somebody who had the claim until just now.
    if let Some(image) = reuse::image(run, planned).await? {
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
    let last = dead.last().map_or(1, |claim| generation(&claim.labels));
    let next = last.max(dead.len() as u64) + 1;
    let newest = dead.last().map(|claim| claim.labels.clone()).unwrap_or_default();
    // Of labels that somebody has spoilt: another build, which finds nothing of its own.
    let build = newest.value(keys::BUILD).map(ToOwned::to_owned);
    let build = build.and_then(|id| BuildId::try_from(id).ok()).unwrap_or_else(BuildId::random);
    let Some((id, owner)) = create(run, planned, &build, next).await? else { return Ok(None) };

    let superseded: Vec<_> = dead.iter().filter_map(claim_id).collect();
    let lease = run.builder.deadlines.lease;
    run.hold(build.clone(), Claim::new(id.clone(), owner, superseded.clone(), lease));
    let mut expected: Vec<_> = superseded.into_iter().chain([id.clone()]).collect();
    let mut found: Vec<_> = claims(run, planned).await?.iter().filter_map(claim_id).collect();
    expected.sort();
    found.sort();
    if expected != found {
        run.drop_claim();
        let id = ResourceId::from(id);
        run.call("withdraw", &id, run.provider.delete(&id)).await?;
        return Ok(None);
    }
    run.sink.send(Update::Adopted { build });
    if let Some(image) = image {
        run.sink.send(Update::Reused { image: image.id.clone() });
        return Ok(Some(Standing::Image(image)));
    }
    standing(run, planned, &newest).await.map(Some)
}

/// A claim of this generation; `None` when there is one.
async fn create(
    run: &Run<'_>,
    planned: &Planned,
    build: &BuildId,
    generation: u64,
) -> Result<Option<(ClaimId, Owner)>, Cause> {
    let owner = Owner::new();
    let lease = Claim::lease_label(run.builder.deadlines.lease, 0);
    let own = [
        (keys::OWNER, owner.label()),
        (keys::LEASE, &lease),
        (keys::PHASE, phase::PROVISION),
        (keys::GENERATION, &generation.to_string()),
    ];
    let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
    let labels = planned.labels(run, build).merged(&Labels::from_provider(own));
    let name = claim_name(planned, generation);
    let spec = ClaimSpec::new(&name, labels);
    // Until it is known what came of it: an answer can be lost.
    run.may_have_claimed(Some(owner.label()));
    let created = run.call("create claim", &name, run.provider.create_claim(&spec)).await;
    let created = match created {
        Ok(id) => Some((id, owner)),
        Err(Cause::Provider(error)) if error.kind() == ErrorKind::AlreadyExists => None,
        Err(cause) => return Err(cause),
    };
    run.may_have_claimed(None);
    Ok(created)
}

/// All claims to the image, the newest last.
pub(super) async fn claims(run: &Run<'_>, planned: &Planned) -> Result<Vec<Resource>, Cause> {
    let selector = Selector::fingerprint(&planned.fingerprint).of_kind(ResourceKind::Claim);
    let find = run.provider.find(&selector);
    let mut claims = run.wait("answer of the provider", run.builder.deadlines.call, find).await?;
    claims.sort_by_key(|claim| generation(&claim.labels));
    Ok(claims)
}

fn claim_id(claim: &Resource) -> Option<ClaimId> {
    match &claim.id {
        ResourceId::Claim(id) => Some(id.clone()),
        _ => None,
    }
}

fn generation(labels: &Labels) -> u64 {
    labels.value(keys::GENERATION).and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody makes the image, and nothing is left of who did.
    Nobody,
    Alive,
    Dead,
}

/// What was seen of the claims of others, and since when.
#[derive(Default)]
pub(super) struct Watch {
    seen: BTreeMap<ClaimId, (Labels, Instant)>,
    waiting_since: Option<Instant>,
}

impl Watch {
    /// Whether somebody makes the image, as far as it can be known by now.
    pub(super) fn judge(&mut self, claims: &[Resource]) -> Verdict {
        if !claims.iter().any(|claim| generation(&claim.labels) == 1) {
            return Verdict::Nobody;
        }
        let alive = claims.iter().filter(|claim| self.is_alive(claim)).count();
        if alive > 0 { Verdict::Alive } else { Verdict::Dead }
    }

    fn is_alive(&mut self, claim: &Resource) -> bool {
        const PATIENCE: Duration = Duration::from_secs(300);
        match claim.labels.value(keys::OWNER).map_or(Life::Unknown, life) {
            Life::Alive => return true,
            Life::Dead => return false,
            Life::Unknown => {}
        }
        if expired(&claim.labels, SKEW) {
            return false;
        }
        let Some(id) = claim_id(claim) else { return false };
        let now = Instant::now();
        let lease = claim.labels.value(keys::LEASE).and_then(Claim::lease_of).unwrap_or(PATIENCE);
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
                let value = |key| claim.labels.value(key).unwrap_or_default().to_owned();
                (value(keys::BUILD), value(keys::PHASE))
            });
            if now != told
                && let Some((build, phase)) = &now
            {
                let (build, phase) = (build.clone(), phase.clone());
                run.sink.send(Update::Waiting { build, phase });
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

    /// Removes claims whose owners died while they gave them up.
    async fn remove(&self, run: &Run<'_>, claims: &[Resource]) -> Result<(), Cause> {
        for claim in claims {
            if claim.labels.value(keys::OWNER).map_or(Life::Unknown, life) != Life::Alive {
                run.call("delete", &claim.id, run.provider.delete(&claim.id)).await?;
            }
        }
        Ok(())
    }
}

/// Whether the time in the expiry label is over, by this machine's clock, for at least so long.
pub(crate) fn expired(labels: &Labels, margin: Duration) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let expires = labels.value(keys::EXPIRES).and_then(|text| text.parse().ok());
    expires.is_some_and(|expires| now > Duration::from_secs(expires) + margin)
}
