// The first definition of a link counts: here the item, in README.md the file.
//! [install containers]: cloudd_core::guide::install_containers
//! [security]: cloudd_core::guide::security
//! [writing a provider]: cloudd_core::guide::provider
#![doc = include_str!("../README.md")]

mod base;
mod builder;
mod channel;
mod disk;
mod error;
mod event_loop;
mod from_image;
mod host;
mod image;
mod in_use;
mod lease;
mod provider;
mod record;
mod records;
mod resources;
mod seed;
mod session;
mod settings;
mod upload;
mod vm;
mod volume;
mod xml;

pub use cloudd_core;
#[doc(no_inline)]
pub use cloudd_core::{
    Architecture, BuildError, Builds, BuiltImage, Image, ImageBuilder, InstallContainer, Size,
    containers,
};

pub use base::BaseImage;
pub use builder::LibvirtBuilder;
pub use from_image::VmOptions;
pub use provider::Libvirt;
pub use settings::{Accel, Cpu, DiskCache, Network};
