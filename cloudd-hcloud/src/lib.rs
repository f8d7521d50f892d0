#![doc = include_str!("../README.md")]

mod error;
pub mod schema;

pub use error::{Error, ErrorKind};
