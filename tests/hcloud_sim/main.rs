//! The simulated Hetzner Cloud behaves as its API reference says.

mod alone;
mod auth;
mod client;
mod faults;
mod guests;
mod life;
mod lists;
mod quotas;
mod record;
mod shape;
mod stats;
mod storage;
mod validation;
mod vms;
