/// The checks of the lease protocol. A test removes one to show that its absence is found; builds
/// have all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeaseChecks {
    /// After a lease was created, all leases are listed again, and the new one is withdrawn if they are
    /// not those on which the decision was based.
    pub verify_after_create: bool,
    /// A holder that was silent for long looks for a successor after it has renewed its lease.
    pub look_for_successor: bool,
}

impl Default for LeaseChecks {
    fn default() -> Self {
        Self { verify_after_create: true, look_for_successor: true }
    }
}
