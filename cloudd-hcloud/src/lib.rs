// README.md defines these links, too; the first definition counts. Here a link leads to the item, in
// the file to its source file.
//! [cost]: crate::guide::cost
//! [migrating from the Terraform modules]: crate::guide::terraform
//! [install containers]: cloudd_core::guide::install_containers
//! [security]: cloudd_core::guide::security
//! [writing a provider]: cloudd_core::guide::provider
#![doc = include_str!("../README.md")]

mod base_image;
mod builder;
pub mod client;
mod convert;
mod cost;
mod error;
pub mod guide;
mod hints;
mod image;
mod labels;
mod lease;
mod placement;
mod provider;
pub mod schema;
mod server;
mod vm;
mod volume;

pub use cloudd_core;
#[doc(no_inline)]
pub use cloudd_core::{
    Architecture, BuildError, BuiltImage, Image, ImageBuilder, ImageId, InstallContainer, Provider,
    Size, containers,
};

pub use base_image::BaseImage;
pub use builder::{Hcloud, HcloudBuilder};
pub use client::{Client, Token};
pub use error::Error;
pub use server::ServerSpec;
