//! VMs: domains and the volumes that belong to them.
//!
//! The domain is defined, with the labels in its metadata, before the first volume is created, and
//! undefined after the last volume is deleted.

mod create;
mod delete;
mod disk_errors;
mod files;
mod state;

pub(crate) use create::NewVm;
pub(crate) use files::{ROTATED, RootDisk, VmFiles, check_name, existing, rotated};
