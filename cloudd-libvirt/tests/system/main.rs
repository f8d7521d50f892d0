//! Against a real libvirt with a real QEMU, and guests of 512 bytes that live for a second.
//!
//! `tests/machine/libvirtd.sh start` sets up what is needed: a libvirt at `CLOUDD_TEST_URI`
//! (`qemu:///system`) with the storage pool `CLOUDD_TEST_POOL` (`cloudd-tests`).

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]
#![expect(clippy::print_stderr, reason = "resources that a test could not delete are printed")]

mod base_images;
mod contract;
mod events;
mod exports;
mod full_pool;
mod guards;
mod http;
mod in_use;
mod leases;
mod life;
mod remote;
mod seed;
mod sshd;
mod standing_copy;
mod support;
