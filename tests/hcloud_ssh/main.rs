//! Builds on the simulated Hetzner Cloud whose servers have Debian's OpenSSH server, configured by
//! the user data of the build, so that the host key is the one that the builder expects.

mod agent;
mod builds;
mod crash;
mod machines;
#[path = "../../cloudd-core/tests/ssh_support/mod.rs"]
mod support;
