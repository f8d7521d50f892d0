//! The API: routes, and what each of them does to the world.

mod actions;
mod catalog;
mod extras;
mod images;
mod primary_ips;
mod route;
mod server_actions;
mod server_create;
mod servers;
mod service;
mod ssh_keys;
mod volume_actions;
mod volumes;

pub(crate) use service::{FAULT_HEADER, Service, Tokens};
