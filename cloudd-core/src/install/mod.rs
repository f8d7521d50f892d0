//! Install containers, which define the operating system of an image.
//!
//! An install container is a container image with a `RUN` label, which says how to run it. The builder
//! VM gets the image and runs `podman container runlabel run` on it; the container writes an operating
//! system to the volume. The image is either built in the builder VM from a *build context*, or pulled
//! by *reference*. The module [`containers`] has ready-made ones.
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
//!  parameters, no I/O             ├ BuildContext    Containerfile, RUN label, ContextArchive
//!                                 ├ ImageReference  syntax checked, pulled by the builder
//!                                 └ fingerprint     equal inputs, equal fingerprint
//! ```
//!
//! [`InstallContainer::load`] reads the build context, checks what can be checked before anything is
//! created, and packs it. It blocks while it reads the file system.
//!
//! # Limits
//! A build context has at most [`InstallContainer::MAX_CONTEXT_SIZE`] bytes, unless
//! [`max_context_size`](InstallContainer::max_context_size) sets another limit. A Containerfile and an
//! ignore file have at most 256 KiB, a line of an ignore file 4096 bytes, and the value of a build
//! argument or an environment variable 32 KiB. Named pipes, sockets and devices are errors unless an
//! ignore file excludes them; they are never opened. A symbolic link is packed as a link; what it
//! leads to is not read.

mod archive;
mod built_in;
mod container;
mod containerfile;
pub mod containers;
mod copies;
mod error;
mod ignore;
mod inspect;
mod load;
mod loaded;
mod pack;
mod read;
mod redact;
mod reference;
mod run_label;
mod scan;
mod variables;

pub use crate::digest::{InvalidDigest, Sha256Digest};
pub use archive::{ArchiveReader, ContextArchive};
pub use container::InstallContainer;
pub use error::InstallError;
pub use loaded::{BuildContext, ContainerSource, LoadedContainer};
pub use reference::ImageReference;
