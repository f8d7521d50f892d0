// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::holder::{Liveness, holder_liveness};
use super::record::LeaseRecord;
use crate::expiry::{CLOCK_SKEW, is_expired};
use crate::provider::{Labels, LeaseId, keys};
use crate::retry::Backoff;

/// How often the lease of another process is looked at. Each look is a request, of which a project
/// at Hetzner has 3,600 an hour for all processes together (API reference, "Rate Limiting").
pub(crate) const POLL: Backoff =
    Backoff::new(Duration::from_secs(5), Duration::from_secs(30), 1.5, 0.3);

/// The state of the lock, as far as it can be observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LeaseState {
    /// There is no lease.
    Unheld,
    /// At least one lease is valid.
    Held,
    /// There are leases, and all of them have expired.
    Expired,
}

/// Observes leases over time: a lease has expired when its labels stay unchanged for its duration.
#[derive(Debug, Default)]
pub(crate) struct LeaseObserver {
    unchanged_since: BTreeMap<LeaseId, (Labels, Instant)>,
}

impl LeaseObserver {
    /// The duration of a lease whose label cannot be read, and the longest that counts for a lease
    /// whose expiry label has passed.
    const DEFAULT_DURATION: Duration = Duration::from_secs(300);

    /// Takes note of the leases that were just listed, and says what state the lock is in.
    pub(crate) fn observe(&mut self, leases: &[LeaseRecord]) -> LeaseState {
        // Each lease is observed, also after a valid one was found: the observation of all must begin
        // now.
        let valid = leases.iter().filter(|lease| self.observe_one(lease)).count();
        if valid > 0 {
            LeaseState::Held
        } else if leases.is_empty() {
            LeaseState::Unheld
        } else {
            LeaseState::Expired
        }
    }

    /// Whether the lease is valid.
    fn observe_one(&mut self, lease: &LeaseRecord) -> bool {
        let holder = lease.labels.get(keys::HOLDER);
        if holder.map_or(Liveness::Unknown, holder_liveness) == Liveness::Dead {
            return false;
        }
        let now = Instant::now();
        let duration = lease.duration().unwrap_or(Self::DEFAULT_DURATION);
        let duration = if is_expired(&lease.labels, CLOCK_SKEW) {
            duration.min(Self::DEFAULT_DURATION)
        } else {
            duration
        };
        let seen = self.unchanged_since.entry(lease.id.clone());
        let (labels, since) = seen.or_insert_with(|| (lease.labels.clone(), now));
        if *labels != lease.labels {
            (*labels, *since) = (lease.labels.clone(), now);
        }
        now.saturating_duration_since(*since) < duration
    }
}
