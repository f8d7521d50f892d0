// The first definition of a link counts: for rustdoc the item, in README.md the source file.
//! [`ImageBuilder`]: build::ImageBuilder
//! [`ImageBuilder::start`]: build::ImageBuilder::start
//! [`ImageBuilder::build`]: build::ImageBuilder::build
//! [`ImageBuilder::reuse`]: build::ImageBuilder::reuse
//! [`Deadlines::lease`]: build::Deadlines::lease
//! [`sweep`]: crate::sweep
//! [`retention`]: crate::retention
//! [`Provider`]: provider::Provider
//! [`build`]: crate::build
//! [`install`]: crate::install
//! [`provider`]: crate::provider
//! [`guest`]: crate::guest
//! [`guide`]: crate::guide
//! [`cloud_init`]: crate::cloud_init
//! [`memory`]: crate::memory
//! [`retry`]: crate::retry
//! [guide to install containers]: crate::guide::install_containers
#![doc = include_str!("../README.md")]

pub mod build;
pub mod cloud_init;
mod digest;
mod expiry;
pub mod guest;
pub mod guide;
pub mod install;
mod lease;
pub mod memory;
mod ownership;
pub mod provider;
pub mod retention;
pub mod retry;
#[cfg(feature = "ssh")]
pub mod ssh;
pub mod sweep;
#[cfg(feature = "testing")]
pub mod testing;
pub mod text;

pub use build::{
    BootCheck, BuildError, BuildErrorKind, BuildEvent, BuildEventKind, BuildHandle, Builds,
    BuiltImage, Deadlines, ImageBuilder, OnFailure, Phase, ReadinessProbe, ReusePolicy,
};
pub use install::{InstallContainer, containers};
pub use provider::{Architecture, Image, ImageId, Provider, Size};
