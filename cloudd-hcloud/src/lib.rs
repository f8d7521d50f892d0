#![doc = include_str!("../README.md")]

pub mod client;
mod error;
mod provider;
pub mod schema;

pub use cloudd_core;
#[doc(no_inline)]
pub use cloudd_core::{image::ImageBuilder, install::InstallContainer};

pub use client::{Client, Token};
pub use error::{Error, ErrorKind};
pub use provider::{BaseImage, Hcloud, HcloudBuilder, ServerSpec};
