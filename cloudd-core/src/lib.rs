#![doc = include_str!("../README.md")]

pub mod cloud_init;
pub mod install;
