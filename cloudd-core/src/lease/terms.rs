use std::time::Duration;

use crate::provider::Selector;

/// What a lease is for, and its times.
#[derive(Debug, Clone)]
pub(crate) struct LeaseTerms {
    /// The name of the thing that is locked. A lease is named `NAME-TOKEN`.
    pub(crate) name: String,
    /// Matches all leases of this thing.
    pub(crate) selector: Selector,
    /// How long a lease is valid after each renewal.
    pub(crate) duration: Duration,
    /// The deadline of each call to the provider.
    pub(crate) call_timeout: Duration,
    /// How long the deletion of a lease is tried whose creation had no answer.
    pub(crate) cleanup_timeout: Duration,
    /// The checks of the protocol; tests remove one to show that it is needed.
    #[cfg(feature = "testing")]
    pub(crate) checks: crate::testing::LeaseChecks,
}

impl LeaseTerms {
    /// Whether the list of leases is compared after a lease was created.
    pub(super) fn verifies_after_create(&self) -> bool {
        #[cfg(feature = "testing")]
        return self.checks.verify_after_create;
        #[cfg(not(feature = "testing"))]
        true
    }

    /// Whether a holder that was silent looks for a successor after it has renewed its lease.
    pub(super) fn looks_for_successor(&self) -> bool {
        #[cfg(feature = "testing")]
        return self.checks.look_for_successor;
        #[cfg(not(feature = "testing"))]
        true
    }
}
