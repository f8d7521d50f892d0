//! Building an image: [`ImageBuilder`] and the phases that a build goes through.
//!
//! ```text
//!  ImageBuilder ──▶ Planned ──▶ Provisioned ──▶ PoweredOff ──▶ Image
//!                   (plan)      (provision)     (follow)       (capture)
//!                      │             │              │             │
//!                      │             ╰──────┬───────┴─────────────╯
//!              every input error     any failure, cancel, deadline
//!              ends here, before            │        success
//!              anything is created          ▼           ▼
//!                                     teardown: everything of this build
//!                                     (the image stays on success), with
//!                                     a deadline of its own
//!                                           │
//!                                           ▼
//!                              BuildError { phase, cause, log, left }
//! ```
//! Each phase is a type that the next one consumes, in a file of its own. What they share (the
//! provider, events, cancelling, deadlines) is the `Run`.

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

pub use boot_check::{BootCheck, FailedImage, SignOfLife};
pub use builder::{Existing, ImageBuilder, OnFailure};
pub use builds::Builds;
pub use control::{BuildControl, BuildEvent, CancelHandle, Events, Phase, Update};
pub use deadlines::Deadlines;
pub use error::{BuildError, Cause, InvalidInput};
pub use preview::{Preview, PreviewStep};

// What a sweep must know of builds.
pub(crate) use acquire::{SKEW, expired};
pub(crate) use owner::{Life as OwnerLife, life as owner_life};
