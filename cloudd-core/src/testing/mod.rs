//! Tests of a provider: the contract suite, and a wrapper that injects faults. Feature `testing`.

mod contract;
mod faults;
mod lease_checks;

pub use contract::{Fixture, GuestBehaviour, Skipped, SuiteReport, run_all};
pub use faults::{Fault, Faulty};
pub use lease_checks::LeaseChecks;
