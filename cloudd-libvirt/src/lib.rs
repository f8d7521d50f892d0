// The first definition of a link counts: here the item, in README.md the file.
//! [install containers]: cloudd_core::guide::install_containers
//! [security]: cloudd_core::guide::security
//! [writing a provider]: cloudd_core::guide::provider
#![doc = include_str!("../README.md")]

mod base_image;
mod builder;
mod channel;
mod connection;
mod error;
mod image;
mod labels;
mod lease;
mod libvirt;
mod pool;
mod provider;
mod seed;
mod server;
mod settings;
mod vm;
mod volume;
mod xml;

pub use cloudd_core;
#[doc(no_inline)]
pub use cloudd_core::{
    Architecture, BuildError, Builds, BuiltImage, Image, ImageBuilder, InstallContainer, Size,
    containers,
};

pub use base_image::CachedBaseImage;
pub use builder::LibvirtBuilder;
pub use libvirt::Libvirt;
pub use server::VmOptions;
pub use settings::{Accel, BaseImage, Cpu, DiskCache, Network};
