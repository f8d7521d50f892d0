//! Install containers: what is to be installed.
//!
//! An install container is a container image whose `RUN` label says how to run it. The builder VM
//! gets the image, runs `podman container runlabel run` on it, and the container writes an
//! operating system to the volume. The image is built in the builder VM from a *build context*, or
//! pulled by *reference*. Some come with this crate, in [`containers`]:
//!
//! ```
//! use cloudd_core::install::InstallContainer;
//!
//! let built = InstallContainer::directory("./leap").build_arg("VERSION", "15.6");
//! let pulled = InstallContainer::reference("quay.example/images/leap:15.6");
//! # let _ = (built, pulled);
//! ```
//!
//! ```text
//! InstallContainer ── load() ──▶ LoadedContainer
//!  what was asked for             ├ BuildContext    Containerfile, RUN label, ContextArchive
//!  (no I/O)                       ├ ImageReference  checked in shape; the builder pulls it
//!                                 └ fingerprint     equal inputs, equal fingerprint
//! ```
//!
//! [`InstallContainer`] is cheap to make and does no I/O. [`InstallContainer::load`] reads the
//! context, checks what can be known of it before anything is created, packs it, and blocks while
//! it does.

mod archive;
mod args;
mod container;
mod containerfile;
pub mod containers;
mod digest;
mod error;
mod ignore;
mod load;
mod loaded;
mod pack;
mod reference;
mod scan;

pub use archive::{ArchiveReader, ContextArchive};
pub use container::InstallContainer;
pub use digest::Sha256Digest;
pub use error::InstallError;
pub use loaded::{BuildContext, ContainerSource, LoadedContainer};
pub use reference::ImageReference;
