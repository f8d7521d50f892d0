//! A typed builder for cloud-init user data.
//!
//! [`CloudConfig`] renders a `#cloud-config` document for any datasource. It does not depend on the
//! rest of this crate, so programs that only create servers can use it too:
//!
//! ```
//! use cloudd_core::cloud_init::{CloudConfig, Login, User, WriteFile};
//!
//! let data = CloudConfig::new()
//!     .hostname("web-1")
//!     .timezone("Europe/Berlin")
//!     .user(
//!         User::new("core")
//!             .sudo("ALL=(ALL) NOPASSWD:ALL")
//!             .shell("/bin/bash")
//!             .authorized_key(
//!                 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpwRhW/BcfsUE0A0zfrw/FLJ4QVSWYLLBgc7au5RgnC me",
//!             ),
//!     )
//!     .ssh_password_login(Login::Refused)
//!     .package("nginx")
//!     .write_file(WriteFile::new("/etc/motd", "Hello.\n").permissions(0o644))
//!     .runcmd(["systemctl", "enable", "--now", "nginx"])
//!     .runcmd("echo done > /run/ready")
//!     .render()?;
//!
//! assert!(data.as_str().starts_with("#cloud-config\n"));
//! assert!(data.sizes().gzip_base64 <= 32 * 1024, "it fits Hetzner's limit");
//! # Ok::<(), cloudd_core::cloud_init::Error>(())
//! ```
//!
//! # Guarantees
//! * **Mistakes are found before a machine exists.** [`CloudConfig::render`] rejects what cloud-init
//!   would report only in a log on the machine, or not at all: a file owner or group member that
//!   does not exist yet, a password hash that is not one, two files at one path. Each mistake is a
//!   named [`Error`] with the offending value.
//! * **Equal input gives equal bytes**: keys in a fixed order, gzip without a time stamp, a MIME
//!   boundary derived from the content.
//! * **Text arrives unchanged.** The output is JSON restricted to what YAML 1.1 reads as the same
//!   value. The tests read every kind of character back with the parser of the real cloud-init.
//! * **Every section passes `cloud-init schema`** of Debian 12 (cloud-init 22.4) without a
//!   deprecation warning.
//! * **`Debug` shows no secret**: it leaves out private host keys, passwords and their hashes, the
//!   content of files, and the values of [`CloudConfig::extra`]. It does show commands.
//!
//! User data is not secret: on many clouds every process of the machine can read it.
//!
//! # Other keys
//! [`CloudConfig::extra`] sets any top-level key that has no setter here, for instance `apt`, `ntp`,
//! `ca_certs`, `swap` or `growpart`.
//!
//! # Size
//! Clouds limit the size of user data. [`UserData::sizes`] measures it in each form;
//! [`UserData::gzip`] and [`UserData::gzip_base64`] return the compressed forms. cloud-init parses
//! YAML slowly (in pure Python), so large content should be delivered by other means even where no
//! limit applies.
//!
//! # Several parts
//! [`MultiPart`] combines scripts, boothooks, templates and several cloud-configs in one piece of
//! user data. [`Merge`] decides whether a cloud-config extends or replaces the earlier ones.

mod check;
mod command;
mod config;
mod error;
mod host_key;
mod mount;
mod multipart;
mod part;
mod password;
mod power_state;
mod public_key;
mod render;
mod secret;
mod user;
mod user_data;
mod write_file;

pub use command::Command;
pub use config::CloudConfig;
pub use error::Error;
pub use host_key::{HostKey, HostKeyAlgorithm};
pub use mount::Mount;
pub use multipart::MultiPart;
pub use part::{Merge, Part, PartKind};
pub use password::{Chpasswd, Login, PasswordExpiry};
pub use power_state::{PowerMode, PowerState};
pub use user::{Group, User};
pub use user_data::{Sizes, UserData};
pub use write_file::{Encoding, WriteFile};
