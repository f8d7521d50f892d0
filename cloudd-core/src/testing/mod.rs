//! For those who write a provider: the contract suite, and a wrapper that injects faults.
//! Feature `testing`.

mod contract;
mod faults;

pub use contract::{Fixture, GuestBehaviour, run_all};
pub use faults::{Fault, Faulty};
