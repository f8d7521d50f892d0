// Numbers from outside must not overflow.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::time::Duration;

use crate::provider::{
    Labels, LeaseId, Provider, ResourceId, ResourceKind, Result, Selector, keys,
};

/// A lease as the provider returned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LeaseRecord {
    pub(crate) id: LeaseId,
    pub(crate) labels: Labels,
}

impl LeaseRecord {
    /// The fencing token. 1 if the label cannot be read.
    pub(super) fn token(&self) -> u64 {
        self.labels.get(keys::FENCING_TOKEN).and_then(|text| text.parse().ok()).unwrap_or(1)
    }

    /// How long the lease is valid after each renewal. `None` if the label cannot be read.
    pub(super) fn duration(&self) -> Option<Duration> {
        let (seconds, _) = self.labels.get(keys::LEASE)?.split_once('.')?;
        seconds.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
    }

    /// The value of a label, or an empty text.
    pub(crate) fn label(&self, key: &str) -> &str {
        self.labels.get(key).unwrap_or_default()
    }
}

/// The value of the lease label, `DURATION.RENEWALS`. It contains no time of day: clocks differ
/// between machines, the time for which a label stays unchanged does not.
pub(super) fn lease_label(duration: Duration, renewals: u64) -> String {
    format!("{}.{renewals}", duration.as_secs().max(1))
}

/// Lists the leases that the selector matches, the lowest fencing token first.
pub(crate) async fn list(provider: &dyn Provider, selector: &Selector) -> Result<Vec<LeaseRecord>> {
    let found = provider.find(&selector.clone().of_kind(ResourceKind::Lease)).await?;
    let mut leases: Vec<_> = found
        .into_iter()
        .filter_map(|resource| match resource.id {
            ResourceId::Lease(id) => Some(LeaseRecord { id, labels: resource.labels }),
            _ => None,
        })
        .collect();
    leases.sort_by(|a, b| (a.token(), &a.id).cmp(&(b.token(), &b.id)));
    Ok(leases)
}
