//! The storage pool: its volumes, their contents, and what refers to a disk.

mod backing;
mod disk_refs;
mod upload;
mod volume;

pub(crate) use volume::{for_minutes, retry_while_busy};
