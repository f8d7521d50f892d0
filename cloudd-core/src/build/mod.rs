//! Building an image: [`ImageBuilder`] and the phases of a build.
//!
//! `driver` has the state diagram and is the only module that knows the order of the phases. Each
//! phase is a function in a module of its own (`acquire`, `recovery`, `provision`, `monitor`,
//! `snapshot`, `boot_check`, `cleanup`) that takes the state of the build and returns the next one.
//! They share a `BuildContext`, which does not change, and a `Build`, which they hand on: the lease,
//! the journal of created resources, the log.
//!
//! The cloud is the only state. A [lease](crate#the-lease), a resource with only a name and labels,
//! says which process makes which image and in which phase it is; everything else is found by the
//! labels of the build. A process can therefore die at any time, and the next one resumes its build.

mod acquire;
mod batch;
mod boot_check;
mod builder;
mod cleanup;
mod console;
mod context;
mod deadlines;
mod driver;
mod error;
mod events;
mod handle;
mod journal;
mod monitor;
mod outcome;
mod plan;
mod policy;
mod preview;
mod probe;
mod provision;
mod recovery;
mod reuse;
mod snapshot;
mod ssh_access;
mod state;

pub use batch::Builds;
pub use builder::ImageBuilder;
pub use deadlines::Deadlines;
pub use error::{BuildError, BuildErrorKind, InvalidInput, Leftovers};
pub use events::{BuildEvent, BuildEventKind, Events, Phase};
pub use handle::{BuildFuture, BuildHandle, CancelHandle};
pub use outcome::BuiltImage;
pub use policy::{BootCheck, OnBootCheckFailure, OnFailure, ReusePolicy};
pub use preview::{Preview, PreviewStep};
pub use probe::ReadinessProbe;
