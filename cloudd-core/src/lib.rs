// The first definition of a link counts: here the item, in README.md its source file.
//! [`ImageBuilder`]: image::ImageBuilder
//! [`ImageBuilder::reuse`]: image::ImageBuilder::reuse
//! [`Deadlines::lease`]: image::Deadlines::lease
//! [`sweep`]: crate::sweep
//! [`retention`]: crate::retention
//! [`Provider`]: provider::Provider
//! [`image`]: crate::image
//! [`install`]: crate::install
//! [`provider`]: crate::provider
//! [`guest`]: crate::guest
//! [`guide`]: crate::guide
//! [`cloud_init`]: crate::cloud_init
//! [`memory`]: crate::memory
//! [guide to install containers]: crate::guide::install_containers
#![doc = include_str!("../README.md")]

pub mod cloud_init;
pub mod guest;
pub mod guide;
pub mod image;
pub mod install;
pub mod memory;
pub mod provider;
pub mod retention;
pub mod retry;
#[cfg(feature = "ssh")]
pub mod ssh;
pub mod sweep;
#[cfg(feature = "testing")]
pub mod testing;
