//! The channel to a builder VM over SSH, for clouds that give it an address.
//!
//! Both keys are made for one build and given to the VM in its user data: the host's public key is
//! *known* before the VM exists, so nothing is accepted on first sight and nobody in between is
//! believed.
//!
//! ```no_run
//! # use cloudd_core::cloud_init::{CloudConfig, HostKey, HostKeyAlgorithm, Login};
//! # use cloudd_core::ssh::{SshChannel, SshKeys};
//! # fn create_vm(_: CloudConfig) -> std::net::IpAddr { unimplemented!() }
//! # async fn example() -> cloudd_core::provider::Result<()> {
//! use cloudd_core::guest::GuestChannel;
//!
//! let keys = SshKeys::generate()?;
//! let address = create_vm(
//!     CloudConfig::new()
//!         .ssh_host_key(keys.host_key())
//!         .root_login(Login::Allowed)
//!         .ssh_authorized_key(keys.client_public()),
//! );
//! let mut channel = SshChannel::new(&keys, [address])?;
//! while let Some(lines) = channel.receive().await? {
//!     print!("{}", String::from_utf8_lossy(&lines));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! ```text
//!   SshChannel ◀──receive── Follower, a task ◀── Connection ◀── sshd ◀── ssh_follow.sh ◀── tail
//!       └──upload──▶ Upload ──▶ Connection ──▶ sshd ──▶ ssh_upload.sh ──▶ dd
//! ```
//! A connection that is refused, silent or lost is made again, for as long as the channel is kept:
//! the deadline is the caller's. What ends a channel for good is another host key, and a user key
//! or a command that is refused again and again before it ever worked.

mod channel;
mod command;
mod connection;
mod dial;
mod error;
mod follow;
mod keys;
mod lines;
mod remote_command;
mod retry_state;
mod target;
mod upload;

pub use channel::SshChannel;
pub use keys::SshKeys;
