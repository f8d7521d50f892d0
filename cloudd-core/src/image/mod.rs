//! Building an image: [`ImageBuilder`] and the phases that a build goes through.
//!
//! ```text
//!  ImageBuilder ──▶ Planned ──▶ claim ──▶ Provisioned ──▶ PoweredOff ──▶ Image
//!                   (plan)    (acquire)  (provision)     (follow)      (capture, boot_check)
//!                      │          │ ╰──── a dead process left something: adopt ────▶ further on
//!                      │          ├─ another process makes it ──▶ wait, then its image
//!                      │          ╰─ an image is there ──▶ that image (reuse)
//!              every input error
//!              ends here, before     any failure, cancel, deadline ─╮      success
//!              anything is created                                  ▼         ▼
//!                                          teardown: everything of this build but the image, then
//!                                          the claim, with a deadline of its own
//!                                                                   │
//!                                                                   ▼
//!                                              BuildError { phase, cause, log, left }
//! ```
//! Each phase is a type that the next one consumes, in a file of its own. What they share (the
//! provider, events, cancelling, deadlines, the claim) is the `Run`.
//!
//! The cloud is the only state. A claim, a resource with nothing but a name and labels, says which
//! process makes which image and how far it is; everything else is found by the labels of its
//! build. So a process can die at any instant, and the next one finds out what is to be done.

mod acquire;
mod adopt;
mod boot_check;
mod builder;
mod builds;
mod capture;
mod claim;
mod control;
mod deadlines;
mod error;
mod follow;
mod listen;
mod owner;
mod plan;
mod preview;
mod provision;
mod reuse;
mod run;
mod teardown;

pub use boot_check::{BootCheck, OnBootCheckFailure, ReadinessProbe};
pub use builder::{ImageBuilder, OnFailure, ReusePolicy};
pub use builds::Builds;
pub use control::{BuildControl, BuildEvent, BuildEventKind, CancelHandle, Events, Phase};
pub use deadlines::Deadlines;
pub use error::{BuildError, Cause, InvalidInput};
pub use preview::{Preview, PreviewStep};

// What a sweep must know of builds.
pub(crate) use acquire::{SKEW, expired};
pub(crate) use owner::{Life as OwnerLife, life as owner_life};
