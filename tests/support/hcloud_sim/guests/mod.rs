//! What runs in a server: played by a script, or by a real VM.

mod qemu;
mod simulated;
mod user_data;

use std::fmt;
use std::net::Ipv4Addr;

pub use qemu::{Qemu, QemuFiles};
pub use simulated::{GuestScript, GuestTimes, ScriptedGuests, Simulated};
pub use user_data::{Builder, Delivery, cloud_config};

use super::clock::Time;

/// The machines behind the API's servers.
///
/// The API asks and waits; whatever takes long in here goes on behind [`state`](Self::state) and
/// [`captured`](Self::captured), which are asked again and again.
pub trait Guests: Send + fmt::Debug {
    /// Disks come, change and go.
    ///
    /// # Errors
    /// The message the action then fails with.
    fn storage(&mut self, change: Storage) -> Result<(), String>;

    /// Powers a machine on.
    ///
    /// # Errors
    /// The message the action then fails with.
    fn start(&mut self, boot: Boot, now: Time) -> Result<(), String>;

    /// Presses the power button: the guest may or may not obey.
    fn press_power(&mut self, server: u64, now: Time);

    /// Cuts the power.
    fn stop(&mut self, server: u64);

    /// Whether a started machine still runs.
    fn state(&mut self, server: u64, now: Time) -> Power;

    /// Begins to copy a server's disk into an image.
    ///
    /// # Errors
    /// The message the action then fails with.
    fn capture(&mut self, server: u64, image: u64, now: Time) -> Result<(), String>;

    /// How far the copying is.
    fn captured(&mut self, image: u64, now: Time) -> Capture;

    /// What an image holds, as far as these guests know.
    fn contents(&self, image: u64) -> Contents;
}

/// Everything a machine is started with.
#[derive(Debug, Clone)]
pub struct Boot {
    /// Id of the server.
    pub server: u64,
    /// Its name, which is the guest's hostname.
    pub name: String,
    /// As it was sent.
    pub user_data: Option<String>,
    /// Public keys of the ssh keys given.
    pub ssh_keys: Vec<String>,
    /// Volumes attached at this moment.
    pub volumes: Vec<u64>,
    /// Whether the rescue system boots in place of the disk.
    pub rescue: bool,
    /// Its public address.
    pub ipv4: Option<Ipv4Addr>,
    /// `x86` or `arm`.
    pub architecture: String,
    /// GB.
    pub memory: f64,
}

/// A change of disks. Fields are ids, or sizes in GB.
#[derive(Debug, Clone)]
pub enum Storage {
    /// A server's root disk is (re)made from an image.
    Root { server: u64, image: u64, gb: u64 },
    /// A volume is made.
    Volume { volume: u64, gb: u64 },
    /// A volume has grown.
    Resized { volume: u64, gb: u64 },
    /// A volume is plugged in.
    Attached { volume: u64, server: u64 },
    /// A volume is pulled out.
    Detached { volume: u64, server: u64 },
    /// A server and its root disk are gone.
    ServerGone { server: u64 },
    /// A volume is gone.
    VolumeGone { volume: u64 },
    /// An image is gone.
    ImageGone { image: u64 },
}

/// Whether a machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It runs.
    On,
    /// It has powered itself off.
    Off {
        /// When that was.
        at: Time,
    },
}

/// How far an image is.
#[derive(Debug, Clone, PartialEq)]
pub enum Capture {
    /// Not ready.
    Pending,
    /// Ready.
    Done {
        /// Size of the compressed image in GB.
        gb: f64,
    },
    /// It will never be.
    Failed(String),
}

/// What is on a disk or in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Contents {
    /// An operating system with cloud-init, as offered by Hetzner.
    System,
    /// What an install container wrote: stage 2 went through to its end.
    Installed,
    /// Half of a stage 2.
    Broken,
    /// These guests cannot say.
    Unknown,
}
