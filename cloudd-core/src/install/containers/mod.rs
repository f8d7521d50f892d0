//! The install containers that come with cloudd.
//!
//! ```
//! use cloudd_core::install::InstallContainer;
//! use cloudd_core::install::containers::{Checksum, RawImage};
//!
//! let sum = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
//! let image = RawImage::new("https://mirror.example/os.raw.xz", Checksum::sha256(sum));
//! let container = InstallContainer::from(image);
//! # container.load().unwrap();
//! ```
//!
//! Each is a type with a method per parameter, and converts into an [`InstallContainer`]. A parameter
//! is an environment variable of the container or a file next to its script; the README of each
//! container lists them and shows how to use it with podman alone. [`InstallContainer::env`] sets the
//! same variables by name, and [`InstallContainer::config`] the file. [`InstallContainer::load`]
//! validates all parameters before anything is created. All of them are part of the fingerprint.
//!
//! What a server currently offers under a name such as `latest`, and the versions of packages, are
//! not part of the fingerprint: with equal parameters an existing image is reused. To get a newer
//! one, set a version or a checksum if the container has such a parameter, and use
//! [`ReusePolicy::Replace`] otherwise.
//!
//! The files are in the folder `containers/` of this crate. All containers use the same base image.
//! The build argument `BASE` replaces it, for instance by an image of a private registry:
//!
//! ```
//! # use cloudd_core::install::{InstallContainer, containers::by_name};
//! # let container = by_name("raw_image").unwrap();
//! let container = container.build_arg("BASE", "registry.example/debian:trixie-slim");
//! ```
//!
//! [`ReusePolicy::Replace`]: crate::build::ReusePolicy::Replace

mod catalog;
mod checksum;
mod rule;

pub use catalog::{
    Alpine, Arch, Debian, FedoraCoreos, Flatcar, K3os, Nixos, OpenSuseLeap, RawImage, Talos, Ubuntu,
};
pub use checksum::Checksum;

use super::built_in::BuiltIn;
use super::container::InstallContainer;

const ALL: [&BuiltIn; 11] = [
    Alpine::BUILT_IN,
    Arch::BUILT_IN,
    Debian::BUILT_IN,
    FedoraCoreos::BUILT_IN,
    Flatcar::BUILT_IN,
    K3os::BUILT_IN,
    Nixos::BUILT_IN,
    OpenSuseLeap::BUILT_IN,
    RawImage::BUILT_IN,
    Talos::BUILT_IN,
    Ubuntu::BUILT_IN,
];

/// The names of all containers, as accepted by [`by_name`].
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.into_iter().map(|built_in| built_in.name)
}

/// The container with this name and default parameters, or `None` if there is no such container.
/// [`InstallContainer::env`] and [`InstallContainer::config`] set its parameters.
#[must_use]
pub fn by_name(name: &str) -> Option<InstallContainer> {
    ALL.into_iter().find(|built_in| built_in.name == name).map(InstallContainer::built_in)
}
