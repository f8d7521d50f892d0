// The first definition of a link counts: here the item, in README.md the file.
//! [what it costs]: crate::guide::cost
//! [coming from the Terraform modules]: crate::guide::terraform
//! [install containers]: cloudd_core::guide::install_containers
//! [security]: cloudd_core::guide::security
//! [writing a provider]: cloudd_core::guide::provider
#![doc = include_str!("../README.md")]

pub mod client;
mod error;
pub mod guide;
mod provider;
pub mod schema;

pub use cloudd_core;
#[doc(no_inline)]
pub use cloudd_core::{image::ImageBuilder, install::InstallContainer};

pub use client::{Client, Token};
pub use error::{Error, ErrorKind};
pub use provider::{BaseImage, Hcloud, HcloudBuilder, ServerSpec};
