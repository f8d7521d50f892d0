//! Code that the tests share.

pub mod boot_log;
pub mod boot_sector;
pub mod console;
pub mod containers;
pub mod hcloud_sim;
pub mod installer;
pub mod killed;
pub mod lab;
pub mod leftovers;
pub mod original;
pub mod process;
pub mod story;

/// The program of README.md compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct FrontPage;
