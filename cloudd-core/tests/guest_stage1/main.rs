//! The parts of the agent (`assets/stage1.sh`) on regular files, with a fake podman.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

mod agent;
mod container;
mod context;
mod disks;
#[path = "../guest_support/mod.rs"]
mod guest_support;
mod life;
mod output;
mod programs;
