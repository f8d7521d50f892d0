//! `growpart` and `resize_rootfs`.

use serde::{Serialize, Serializer};

use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Disk {
    growpart: Option<Growpart>,
    resize_rootfs: Option<ResizeRootfs>,
}

impl CloudConfig {
    /// Which partitions grow to the end of their disk. cloud-init's own choice is the root's.
    pub fn growpart(mut self, growpart: Growpart) -> Self {
        self.disk.growpart = Some(growpart);
        self
    }

    /// Whether the root file system grows to the end of its partition. cloud-init's own choice
    /// is that it does.
    pub fn resize_rootfs(mut self, resize: ResizeRootfs) -> Self {
        self.disk.resize_rootfs = Some(resize);
        self
    }
}

/// Which partitions grow, and by what.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use]
pub struct Growpart {
    mode: GrowpartMode,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    devices: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ignore_growroot_disabled: bool,
}

/// The tool that grows partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum GrowpartMode {
    /// Whichever the machine has.
    Auto,
    /// growpart, of cloud-utils.
    Growpart,
    /// gpart, of FreeBSD.
    Gpart,
    /// None: no partition grows.
    Off,
}

impl Growpart {
    /// Grows the partition under `/`, or none if the mode is `Off`.
    pub fn new(mode: GrowpartMode) -> Self {
        Self { mode, devices: Vec::new(), ignore_growroot_disabled: false }
    }

    /// Grows this partition: a directory on which it is mounted, or a path below `/dev`. The
    /// first call replaces `/`.
    pub fn device(mut self, path: impl Into<String>) -> Self {
        self.devices.push(path.into());
        self
    }

    /// Does not care for `/etc/growroot-disabled`.
    pub fn ignore_growroot_disabled(mut self) -> Self {
        self.ignore_growroot_disabled = true;
        self
    }
}

/// Whether the root file system grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResizeRootfs {
    /// It grows, and the boot waits for it.
    Yes,
    /// It stays as it is.
    No,
    /// It grows in the background.
    InBackground,
}

impl Serialize for ResizeRootfs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Yes => serializer.serialize_bool(true),
            Self::No => serializer.serialize_bool(false),
            Self::InBackground => serializer.serialize_str("noblock"),
        }
    }
}

impl Section for Disk {
    fn check(&self) -> Result<()> {
        let devices = self.growpart.iter().flat_map(|growpart| &growpart.devices);
        check::no_duplicates("growpart.devices", devices.clone().map(String::as_str))?;
        devices.into_iter().try_for_each(|path| check::directory("growpart.devices", path))
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("growpart", &self.growpart);
        document.entry_if("resize_rootfs", &self.resize_rootfs);
        Ok(())
    }
}
