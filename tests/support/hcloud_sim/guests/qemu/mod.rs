//! Guests that are real VMs under QEMU, made to look like servers of Hetzner.

mod command;
mod disks;
mod files;
mod machine;
mod metadata;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::PathBuf;

use super::super::clock::Time;
use super::{Boot, Capture, Contents, Guests, Power, Storage};

use command::{Accel, Hardware};
use disks::{Disks, Export};
pub use files::QemuFiles;
use machine::Machine;

/// Real VMs. Each has
///
/// * DMI, disks on SCSI and the metadata service of a server of Hetzner, so that cloud-init finds
///   its Hetzner data source and volumes their names;
/// * its public IPv4 address on loopback, with the guest's SSH behind [`ssh_port`](Self::ssh_port);
/// * its first serial port in a file, see [`QemuFiles`].
///
/// Every image that Hetzner offers is one base image here; snapshots are what was on the disk. Not
/// there are Arm, a rescue system, volumes that come and go while a server runs, snapshots of one
/// that runs, and networks but for the way out: the IPv6 and private addresses of the API lead
/// nowhere. Nothing runs any more when this is dropped, or when its process ends in any way.
pub struct Qemu {
    disks: Disks,
    files: QemuFiles,
    accel: Accel,
    ssh_port: u16,
    user_data: Option<UserDataChange>,
    machines: BTreeMap<u64, Machine>,
    exports: BTreeMap<u64, Export>,
}

type UserDataChange = Box<dyn Fn(String) -> String + Send>;

/// MiB of a VM at most, whatever the server type says: all of them share one machine.
const MEMORY: u64 = 2048;

impl Qemu {
    /// VMs whose system image is the file `base` (qcow2), and whose files are in `directory`.
    ///
    /// # Errors
    /// When there is no such image, or the directory cannot be used.
    pub fn new(base: impl Into<PathBuf>, directory: impl Into<PathBuf>) -> io::Result<Self> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        let files = QemuFiles::new(fs::canonicalize(directory)?);
        Ok(Self {
            disks: Disks::new(base.into(), files.clone())?,
            files,
            accel: Accel::of_this_machine(),
            ssh_port: 22,
            user_data: None,
            machines: BTreeMap::new(),
            exports: BTreeMap::new(),
        })
    }

    /// The port of the servers' addresses at which their port 22 is found; default 22. Below 1024
    /// is for root, and an SSH server of the machine's own may have 22 on every address.
    #[must_use]
    pub fn ssh_port(mut self, port: u16) -> Self {
        self.ssh_port = port;
        self
    }

    /// Gives guests other user data than the API was given.
    #[must_use]
    pub fn altering_user_data(
        mut self,
        change: impl Fn(String) -> String + Send + 'static,
    ) -> Self {
        self.user_data = Some(Box::new(change));
        self
    }

    /// Refuses what only a machine that is off can have done to it.
    fn off(&self, server: u64, what: &str) -> Result<(), String> {
        if self.machines.get(&server).is_some_and(|machine| machine.ended().is_none()) {
            return Err(format!("{what} while server {server} runs is not simulated"));
        }
        Ok(())
    }
}

impl Guests for Qemu {
    fn storage(&mut self, change: Storage) -> Result<(), String> {
        match change {
            Storage::Root { server, image, gb } => self.disks.make_root(server, image, gb),
            Storage::Volume { volume, gb } => self.disks.make_volume(volume, gb),
            Storage::Resized { volume, gb } => self.disks.resize_volume(volume, gb),
            Storage::Attached { server, .. } => self.off(server, "attaching a volume"),
            Storage::Detached { server, .. } => self.off(server, "detaching a volume"),
            Storage::ServerGone { server } => self.disks.delete_server(server),
            Storage::VolumeGone { volume } => self.disks.delete_volume(volume),
            Storage::ImageGone { image } => {
                self.exports.remove(&image);
                self.disks.delete_image(image)
            }
        }
    }

    fn start(&mut self, mut boot: Boot, now: Time) -> Result<(), String> {
        if boot.architecture != "x86" || boot.rescue {
            return Err("neither Arm nor a rescue system is simulated".to_owned());
        }
        if let Some(change) = &self.user_data {
            boot.user_data = boot.user_data.map(change);
        }
        let hardware = Hardware { accel: self.accel, memory: MEMORY, ssh_port: self.ssh_port };
        let server = boot.server;
        let machine = Machine::start(boot, &hardware, &self.files, now)?;
        self.machines.insert(server, machine);
        Ok(())
    }

    fn press_power(&mut self, server: u64, _: Time) {
        if let Some(machine) = self.machines.get_mut(&server) {
            machine.press_power();
        }
    }

    fn stop(&mut self, server: u64) {
        self.machines.remove(&server);
    }

    fn state(&mut self, server: u64, now: Time) -> Power {
        match self.machines.get(&server) {
            None => Power::Off { at: now },
            Some(machine) => match machine.ended_at(now) {
                None => Power::On,
                Some(at) => Power::Off { at },
            },
        }
    }

    fn capture(&mut self, server: u64, image: u64, _: Time) -> Result<(), String> {
        self.off(server, "a snapshot")?;
        self.exports.insert(image, self.disks.export(server, image)?);
        Ok(())
    }

    fn captured(&mut self, image: u64, _: Time) -> Capture {
        match self.exports.get_mut(&image) {
            None => Capture::Failed("there is no such copy".to_owned()),
            Some(export) => export.outcome(),
        }
    }

    /// The contents of a disk are not known here.
    fn contents(&self, image: u64) -> Contents {
        if self.exports.contains_key(&image) { Contents::Unknown } else { Contents::System }
    }
}

impl fmt::Debug for Qemu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Qemu")
            .field("disks", &self.disks)
            .field("machines", &self.machines)
            .finish_non_exhaustive()
    }
}
