//! A typed builder for cloud-init user data.
//!
//! [`CloudConfig`] writes `#cloud-config` for any datasource. It knows nothing of image builds and
//! is useful to every program that starts machines:
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
//! # What it promises
//! * **Errors come before machines.** [`CloudConfig::render`] checks what cloud-init would only
//!   complain about in a log on the machine, and some things it would do silently: an owner who
//!   does not exist yet, a group member who does not exist yet, a password hash that is none, two
//!   files at one path. Every fault is a named [`Error`] with the offending value.
//! * **The same input gives the same bytes**: keys in a fixed order, gzip without a time, a MIME
//!   boundary made from the content.
//! * **Text arrives as it was.** The output is JSON, which is YAML except where it is not;
//!   those places are written otherwise. The tests read every kind of character back with the
//!   parser of the real cloud-init, and files with its own writer.
//! * **Every section is accepted by the real `cloud-init schema`**, that of Debian 12
//!   (cloud-init 22.4), without a deprecation.
//! * **`Debug` shows no secret**: private host keys, passwords, their hashes, URLs' passwords, the
//!   content of files and of keys given to [`CloudConfig::extra`] are left out. Commands are shown.
//!
//! User data itself is no secret: on many clouds every process of the machine can read it.
//!
//! # Size
//! Clouds limit user data. [`UserData::sizes`] measures its forms; [`UserData::gzip`] and
//! [`UserData::gzip_base64`] give them. cloud-init reads YAML slowly (pure Python), so what
//! is big belongs elsewhere even where there is no limit.
//!
//! # More than a cloud-config
//! [`MultiPart`] puts several parts into one piece of user data: scripts, boothooks, templates, and
//! further cloud-configs, whose [`Merge`] decides whether they add to the first or replace it.

mod apt;
mod apt_source;
mod ca_certs;
mod check;
mod commands;
mod config;
mod disk;
mod error;
mod final_message;
mod host;
mod locale;
mod mounts;
mod multipart;
mod ntp;
mod packages;
mod part;
mod password;
mod phone_home;
mod power_state;
mod public_key;
mod render;
mod secret;
mod ssh;
mod user;
mod user_data;
mod users;
mod write_files;
mod yum;

pub use apt::Apt;
pub use apt_source::AptSource;
pub use ca_certs::CaCerts;
pub use commands::Command;
pub use config::CloudConfig;
pub use disk::{Growpart, GrowpartMode, ResizeRootfs};
pub use error::Error;
pub use host::EtcHosts;
pub use mounts::{Mount, Swap, SwapSize};
pub use multipart::MultiPart;
pub use ntp::{Ntp, NtpClient};
pub use part::{Merge, Part, PartKind};
pub use password::{Chpasswd, Login, PasswordExpiry};
pub use phone_home::{PhoneHome, PhoneHomeField};
pub use power_state::{PowerMode, PowerState};
pub use ssh::{HostKey, HostKeyAlgorithm, ImageHostKeys};
pub use user::User;
pub use user_data::{Sizes, UserData};
pub use users::Group;
pub use write_files::{Encoding, WriteFile};
pub use yum::{YumRepo, YumValue};
