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
//! Each is a type with a method for each of its parameters, and becomes an [`InstallContainer`].
//! A parameter is a variable in the container's environment, or a file beside its script; the
//! README of each says which, and how to use it with podman alone. [`InstallContainer::env`] sets
//! the same variables by name, and [`InstallContainer::config`] the file. All of them are checked by [`InstallContainer::load`], before
//! anything is created, and all of them count for the fingerprint.
//!
//! What a server has today under a name such as `latest` does not count, nor do the versions of
//! packages: equal parameters, equal fingerprint, and so an image that is there is reused. Say a
//! version or a checksum where there is one, and [`ReusePolicy::Replace`] where there is none.
//!
//! The files are in `containers/` of the crate. Every one starts from the same base image, which
//! the build argument `BASE` replaces, by one of a registry of your own for instance:
//!
//! ```
//! # use cloudd_core::install::{InstallContainer, containers::by_name};
//! # let container = by_name("raw_image").unwrap();
//! let container = container.build_arg("BASE", "registry.example/debian:trixie-slim");
//! ```
//!
//! [`ReusePolicy::Replace`]: crate::image::ReusePolicy::Replace

mod alpine;
mod arch;
mod built_in;
mod checksum;
mod debian;
mod fedora_coreos;
mod flatcar;
mod k3os;
mod nixos;
mod open_suse_leap;
mod raw_image;
mod rule;
mod talos;
mod ubuntu;

pub use alpine::Alpine;
pub use arch::Arch;
pub(super) use built_in::BuiltIn;
pub use checksum::Checksum;
pub use debian::Debian;
pub use fedora_coreos::FedoraCoreos;
pub use flatcar::Flatcar;
pub use k3os::K3os;
pub use nixos::Nixos;
pub use open_suse_leap::OpenSuseLeap;
pub use raw_image::RawImage;
pub use talos::Talos;
pub use ubuntu::Ubuntu;

use super::InstallContainer;
use built_in::Definition;

static ALL: &[&Definition] = &[
    &alpine::DEFINITION,
    &arch::DEFINITION,
    &debian::DEFINITION,
    &fedora_coreos::DEFINITION,
    &flatcar::DEFINITION,
    &k3os::DEFINITION,
    &nixos::DEFINITION,
    &open_suse_leap::DEFINITION,
    &raw_image::DEFINITION,
    &talos::DEFINITION,
    &ubuntu::DEFINITION,
];

/// The names of all of them, as [`by_name`] takes them.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|definition| definition.name)
}

/// The container of this name with the parameters that it has by itself; others can be set by
/// [`InstallContainer::env`] and [`InstallContainer::config`]. `None` where there is no such container.
#[must_use]
pub fn by_name(name: &str) -> Option<InstallContainer> {
    ALL.iter().find(|definition| definition.name == name).map(|definition| definition.container())
}
