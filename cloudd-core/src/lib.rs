#![doc = include_str!("../README.md")]

pub mod cloud_init;
pub mod guest;
pub mod install;
pub mod provider;
pub mod wait;
