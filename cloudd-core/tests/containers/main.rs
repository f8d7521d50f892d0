//! The install containers that come with cloudd, each built and run by the real podman as the
//! builder VM does, with a loop device as the volume and a local HTTP server as the internet.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod debian;
mod disk;
mod fixtures;
mod k3os;
mod kernel;
mod nixos;
mod podman;
mod published;
mod raw_image;
mod server;
