//! A distributed lock on the labels of a cloud: of several processes that want to make the same
//! thing, one holds the *lease*. Knows the provider and its labels, and nothing of builds.
//!
//! ```text
//!               create token 1                 renew at least twice per duration
//!   Unheld ───────────────────────▶ Held ◀────────────────────────────────────┐
//!     ▲                              │ └──────────────────────────────────────┘
//!     │ release: delete expired      │ not renewed for its duration,
//!     │ predecessors, then itself    ▼ or the holder's process has ended
//!     └──────── Held ◀─────────── Expired
//!               create token n+1, keep the predecessors
//! ```
//! A lease is a resource with only a name and labels. Its name is made of the thing's name and a
//! *fencing token*; creation under a unique name is the atomic step.
//!
//! 1. Without a lease, a process creates the one with token 1. Others fail to, and wait.
//! 2. If all leases have expired, a process creates the one with the next token. The expired ones are
//!    kept until it releases its own: while the lease with token 1 exists, no process can start over.
//! 3. After creating a lease, a process lists all of them once more, and withdraws if the list is not
//!    what it based its decision on.
//! 4. Leases are deleted with the lowest token first.
//!
//! A lease has expired when its holder is known to have ended (on the same machine), or when its
//! labels have been observed unchanged for its duration. Clocks of different machines are never
//! compared for this.
//!
//! **Invariant.** A holder that was silent for longer than its lease allows (it was stopped, its
//! machine slept, its network was down) first *writes its lease, then lists the leases*. A process
//! that takes over first *creates its lease, then lists the leases and compares the labels*. The
//! provider orders these operations, so at least one of the two observes the other.

mod acquire;
mod guard;
mod holder;
mod observer;
mod record;
mod terms;

pub(crate) use acquire::{AcquireError, acquire_first, take_over};
pub(crate) use guard::Lease;
pub(crate) use holder::{Liveness, holder_liveness};
pub(crate) use observer::{LeaseObserver, LeaseState, POLL};
pub(crate) use record::{LeaseRecord, list};
pub(crate) use terms::LeaseTerms;
