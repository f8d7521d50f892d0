#![doc = include_str!("../README.md")]

pub mod cloud_init;
pub mod guest;
pub mod image;
pub mod install;
pub mod memory;
pub mod provider;
#[cfg(feature = "ssh")]
pub mod ssh;
#[cfg(feature = "testing")]
pub mod testing;
pub mod wait;
