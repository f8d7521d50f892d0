//! Removing what dead builds left behind.
//!
//! Everything that a build creates carries its build and an expiry: the longest that the build can
//! live by its deadlines. A sweep deletes what has expired, first looked at and then done:
//!
//! ```
//! # tokio_test(async {
//! # let provider = cloudd_core::memory::Memory::new();
//! use cloudd_core::sweep::Sweep;
//!
//! let sweep = Sweep::find(&provider).await?;
//! for leftover in sweep.leftovers() {
//!     println!("{} of build {}", leftover.id, leftover.build);
//! }
//! let swept = sweep.run(&provider).await;
//! assert!(swept.failed.is_empty());
//! # Ok::<_, cloudd_core::provider::Error>(())
//! # });
//! # fn tokio_test<T>(f: impl Future<Output = Result<T, cloudd_core::provider::Error>>) -> T {
//! #     tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(f).unwrap()
//! # }
//! ```
//!
//! It never touches an image that is available, anything that lacks cloudd's labels, anything whose
//! expiry is missing or spoilt, or anything of a build that may be alive: whose lease has not
//! expired, by two hours for clocks that differ, or is held by a living process of this machine.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::expiry::{CLOCK_SKEW, is_expired};
use crate::lease::{Liveness, holder_liveness};
use crate::provider::{
    Error, ImageStatus, Provider, Resource, ResourceId, ResourceKind, Result, Selector, keys,
};

/// What dead builds left, found but not yet deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use = "a sweep deletes nothing until it is run"]
pub struct Sweep {
    leftovers: Vec<Leftover>,
}

/// Something that a dead build left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Leftover {
    /// What it is.
    pub id: ResourceId,
    /// The build that created it, as its label says.
    pub build: String,
    /// The name of the image that was to be made, as its label says.
    pub name: String,
}

/// What a sweep did.
#[derive(Debug)]
#[non_exhaustive]
pub struct Swept {
    /// What was deleted, in that order.
    pub deleted: Vec<ResourceId>,
    /// What was not, and why.
    pub failed: Vec<(ResourceId, Error)>,
}

impl Sweep {
    /// Looks for what has expired. Changes nothing.
    ///
    /// # Errors
    /// Those of [`Provider::find`] and [`Provider::images`].
    pub async fn find(provider: &dyn Provider) -> Result<Self> {
        let all = provider.find(&Selector::all()).await?;
        let alive: BTreeSet<_> =
            all.iter().filter(|it| claims_life(it)).filter_map(|it| build(it)).collect();
        let dead = |resource: &&Resource| {
            is_expired(&resource.labels, Duration::ZERO)
                && !build(resource).is_some_and(|build| alive.contains(build))
        };
        let mut dead: Vec<_> = all.iter().filter(dead).collect();
        if dead.iter().any(|resource| resource.id.kind() == ResourceKind::Image) {
            let images = provider.images(&Selector::all()).await?;
            let done = |id: &ResourceId| {
                images.iter().any(|image| {
                    image.status == ImageStatus::Available
                        && *id == ResourceId::from(image.id.clone())
                })
            };
            dead.retain(|resource| !done(&resource.id));
        }
        dead.sort_by_key(|resource| (resource.id.delete_order(), &resource.id));
        let text =
            |resource: &Resource, key| resource.labels.get(key).unwrap_or_default().to_owned();
        let leftovers = dead.into_iter().map(|resource| Leftover {
            id: resource.id.clone(),
            build: text(resource, keys::BUILD),
            name: text(resource, keys::NAME),
        });
        Ok(Self { leftovers: leftovers.collect() })
    }

    /// What would be deleted, in that order: what uses others first, leases last.
    #[must_use]
    pub fn leftovers(&self) -> &[Leftover] {
        &self.leftovers
    }

    /// Deletes what was found and, looked at again, is still dead: meanwhile somebody may have gone on
    /// with a build. What cannot be deleted does not keep the rest; only the lease of its build stays
    /// then, so that the next run of the build finds it.
    pub async fn run(&self, provider: &dyn Provider) -> Swept {
        let mut swept = Swept { deleted: Vec::new(), failed: Vec::new() };
        if self.leftovers.is_empty() {
            return swept;
        }
        let still_dead = match Self::find(provider).await {
            Ok(found) => found.leftovers,
            Err(error) => {
                let failed = |leftover: &Leftover| {
                    let error = Error::new(error.kind(), "sweep").with_message(&error);
                    (leftover.id.clone(), error)
                };
                swept.failed = self.leftovers.iter().map(failed).collect();
                return swept;
            }
        };
        let mut incomplete = BTreeSet::new();
        for leftover in self.leftovers.iter().filter(|it| still_dead.contains(it)) {
            let is_lease = leftover.id.kind() == ResourceKind::Lease;
            if is_lease && incomplete.contains(&leftover.build) {
                continue;
            }
            match provider.delete(&leftover.id).await {
                Ok(()) => swept.deleted.push(leftover.id.clone()),
                Err(error) => {
                    incomplete.insert(&leftover.build);
                    swept.failed.push((leftover.id.clone(), error));
                }
            }
        }
        swept
    }
}

fn build(resource: &Resource) -> Option<&str> {
    resource.labels.get(keys::BUILD)
}

/// Whether this is the lease of a build that may be alive.
fn claims_life(resource: &Resource) -> bool {
    resource.id.kind() == ResourceKind::Lease
        && match resource.labels.get(keys::HOLDER).map_or(Liveness::Unknown, holder_liveness) {
            Liveness::Alive => true,
            Liveness::Dead => false,
            Liveness::Unknown => !is_expired(&resource.labels, CLOCK_SKEW),
        }
}
