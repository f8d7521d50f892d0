//! The channel to a builder VM over SSH, for clouds whose VMs have an address.
//!
//! The client key and the host key are made for one build and given to the VM in its user data. So the
//! host key is *known* before the VM exists: no key is trusted on first use, and a man in the middle
//! is detected.
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
//! A connection that is refused, silent or lost is retried as long as the channel exists: deadlines
//! are the caller's. Two things end a channel: a wrong host key, and a user key or command that is
//! refused several times before the first success.

mod access;
mod channel;
mod connection;
mod error;
mod follow;
mod keys;
mod remote_command;
mod retry_state;
mod upload;

pub use channel::SshChannel;
pub use keys::SshKeys;

pub(crate) use access::SshAccess;
