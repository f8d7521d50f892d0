//! Deletes the resources that crashed builds left.
//!
//! Each resource of a build has a label with the build id and one with an expiry, which is computed
//! from the deadlines of the build. A sweep first lists the expired resources and then deletes them:
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
//! #     let mut runtime = tokio::runtime::Builder::new_current_thread();
//! #     runtime.enable_time().build().unwrap().block_on(f).unwrap()
//! # }
//! ```
//!
//! A sweep deletes a VM, a volume or a lease only if its name is the one that its build gave it and its
//! expiry has passed, and an image only if it is incomplete and everything else of its build has
//! expired. It never deletes
//!
//! * an available image,
//! * a resource without cloudd's labels, or with labels that were copied to it: its name is another,
//! * a VM, volume or lease whose expiry is missing or not a number,
//! * a resource of a build that may be running: one whose lease has not expired (with two hours added
//!   for clocks that differ) or is held by a running process of this machine.

// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use crate::expiry::{CLOCK_SKEW, is_expired};
use crate::lease::{Liveness, holder_liveness};
use crate::ownership;
use crate::provider::{
    Error, ImageStatus, Provider, Resource, ResourceId, ResourceKind, Result, Selector, keys,
};
use crate::retry::with_timeout;
use crate::text::sanitize_untrusted;

/// The deadline of each call to the provider.
const CALL_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// The expired resources of crashed builds: listed, not yet deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[must_use = "a sweep deletes nothing until it is run"]
pub struct Sweep {
    leftovers: Vec<Leftover>,
}

/// A resource that a crashed build left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Leftover {
    /// The resource.
    pub id: ResourceId,
    /// The build that created it, from its label.
    pub build: String,
    /// The name of the image that the build was to make, from its label.
    pub name: String,
}

/// The result of a sweep.
#[derive(Debug)]
#[non_exhaustive]
pub struct Swept {
    /// The deleted resources, in the order of deletion.
    pub deleted: Vec<ResourceId>,
    /// The resources that could not be deleted, and why.
    pub failed: Vec<(ResourceId, Error)>,
}

impl Sweep {
    /// Lists the expired resources. Changes nothing. Each call to the provider may take 10 minutes.
    ///
    /// # Errors
    /// Those of [`Provider::find`] and [`Provider::images`]; [`Timeout`](crate::provider::ErrorKind::Timeout).
    pub async fn find(provider: &dyn Provider) -> Result<Self> {
        let everything = Selector::all();
        let find = provider.find(&everything);
        let all = with_timeout("list", "resources", CALL_TIMEOUT, find).await?;
        let builds = |of: fn(&Resource) -> bool| -> BTreeSet<_> {
            all.iter().filter(|it| of(it)).filter_map(label_of_build).collect()
        };
        let (alive, unexpired) = (builds(claims_life), builds(is_unexpired));
        let dead = |resource: &&Resource| {
            let Some(build) = ownership::build_of(resource) else { return false };
            let has_expired = match resource.id.kind() {
                // An image has no expiry of its own.
                ResourceKind::Image => !unexpired.contains(build.as_str()),
                _ => is_expired(&resource.labels, Duration::ZERO),
            };
            has_expired && !alive.contains(build.as_str())
        };
        let mut dead: Vec<_> = all.iter().filter(dead).collect();
        if dead.iter().any(|resource| resource.id.kind() == ResourceKind::Image) {
            let images = provider.images(&everything);
            let images = with_timeout("list", "images", CALL_TIMEOUT, images).await?;
            let incomplete = |id: &ResourceId| {
                images.iter().any(|image| {
                    image.status != ImageStatus::Available
                        && *id == ResourceId::from(image.id.clone())
                })
            };
            dead.retain(|it| it.id.kind() != ResourceKind::Image || incomplete(&it.id));
        }
        dead.sort_by_key(|resource| (resource.id.delete_order(), &resource.id));
        let text = |resource: &Resource, key| {
            sanitize_untrusted(resource.labels.get(key).unwrap_or_default(), 63)
        };
        let leftovers = dead.into_iter().map(|resource| Leftover {
            id: resource.id.clone(),
            build: text(resource, keys::BUILD),
            name: text(resource, keys::NAME),
        });
        Ok(Self { leftovers: leftovers.collect() })
    }

    /// The resources to be deleted, in the order of deletion: users of a resource before it, leases
    /// last.
    #[must_use]
    pub fn leftovers(&self) -> &[Leftover] {
        &self.leftovers
    }

    /// Lists the resources again and deletes those that were found before and are still expired: a
    /// process may have resumed a build in the meantime. A resource that cannot be deleted does not
    /// stop the sweep. The lease of its build is then kept, so that the next run of the build finds it.
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
            let delete = provider.delete(&leftover.id);
            match with_timeout("delete", &leftover.id, CALL_TIMEOUT, delete).await {
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

fn label_of_build(resource: &Resource) -> Option<&str> {
    resource.labels.get(keys::BUILD)
}

/// Whether this is a VM, volume or lease of a build whose time has not passed.
fn is_unexpired(resource: &Resource) -> bool {
    resource.id.kind() != ResourceKind::Image && !is_expired(&resource.labels, Duration::ZERO)
}

/// Whether this is the lease of a build that may be running.
fn claims_life(resource: &Resource) -> bool {
    resource.id.kind() == ResourceKind::Lease
        && match resource.labels.get(keys::HOLDER).map_or(Liveness::Unknown, holder_liveness) {
            Liveness::Alive => true,
            Liveness::Dead => false,
            Liveness::Unknown => !is_expired(&resource.labels, CLOCK_SKEW),
        }
}
