#![doc = include_str!("../README.md")]

pub mod client;
mod error;
pub mod schema;

pub use client::{Client, Token};
pub use error::{Error, ErrorKind};
