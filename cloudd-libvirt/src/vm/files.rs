//! Names of VMs and of the volumes that belong to them.

use cloudd_core::provider::{Error, ErrorKind, Result, Size, Vm};

use crate::error::invalid;
use crate::labels::MetadataKind;
use crate::xml::volume::Format;

/// A root disk: an overlay of a shared volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RootDisk {
    /// The name of the backing volume.
    pub(crate) backing: String,
    /// The format of the backing volume.
    pub(crate) format: Format,
    pub(crate) size: Size,
    /// The metadata that must be ready as long as the disk is used.
    pub(crate) metadata: Option<(MetadataKind, String)>,
}

/// The names of the volumes of a VM, by its name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct VmFiles<'a>(pub(crate) &'a str);

impl VmFiles<'_> {
    pub(crate) fn root(self) -> String {
        format!("{}.root.qcow2", self.0)
    }

    pub(crate) fn seed(self) -> String {
        format!("{}.seed.img", self.0)
    }

    pub(crate) fn context(self) -> String {
        format!("{}.context.img", self.0)
    }

    pub(crate) fn console_log(self) -> String {
        format!("{}.console.log", self.0)
    }

    pub(crate) fn events_log(self) -> String {
        format!("{}.events.log", self.0)
    }

    pub(crate) fn logs(self) -> [String; 2] {
        [self.console_log(), self.events_log()]
    }

    pub(super) fn disks(self) -> [String; 3] {
        [self.root(), self.seed(), self.context()]
    }

    /// All volumes that are created with the VM.
    pub(super) fn all(self) -> Vec<String> {
        let mut all = Vec::from(self.disks());
        for log in self.logs() {
            all.extend((0..ROTATED).map(|number| rotated(&log, number)));
            all.push(log);
        }
        all
    }
}

/// The number of old files of a log that virtlogd keeps by default (`max_backups` in virtlogd.conf).
///
/// They are created with the log, empty, and virtlogd renames over them: libvirt lists a file that
/// was added to a pool by another program only after a refresh of the pool, and refuses the refresh
/// while an image is created in it.
pub(crate) const ROTATED: u32 = 3;

/// The name of a rotated file of a log; number 0 is the newest.
pub(crate) fn rotated(log: &str, number: u32) -> String {
    format!("{log}.{number}")
}

/// Turns a missing VM into [`ErrorKind::NotFound`].
pub(crate) fn existing(vm: Option<Vm>, operation: &str, name: &str) -> Result<Vm> {
    vm.ok_or_else(|| Error::new(ErrorKind::NotFound, operation).with_resource(name))
}

/// Checks a name, which becomes part of file names and a host name.
pub(crate) fn check_name(operation: &str, name: &str) -> Result<()> {
    let valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if !name.is_empty() && name.len() <= 63 && name.bytes().all(valid) {
        return Ok(());
    }
    let message = format!("{name:?} is not a valid name: expected 1 to 63 of a-z, 0-9 and -");
    Err(invalid(operation, message))
}
