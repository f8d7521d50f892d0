#![doc = include_str!("../README.md")]

pub mod client;
mod error;
mod provider;
pub mod schema;

pub use client::{Client, Token};
pub use error::{Error, ErrorKind};
pub use provider::{BaseImage, Hcloud, HcloudBuilder, ServerSpec};
