//! VMs: domains and the volumes that belong to them.
//!
//! The domain is the VM's record: it is defined, with the labels in it, before its first volume is
//! made, and undefined after its last volume is deleted.

mod create;
mod delete;
mod disk_errors;
mod state;

pub(crate) use create::{NewVm, RootDisk};
pub(crate) use state::{same, same_build};

/// The volumes that belong to a VM, by their names.
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

    /// Everything that is made with the VM.
    fn all(self) -> Vec<String> {
        let mut all = vec![self.root(), self.seed(), self.context()];
        for log in self.logs() {
            all.extend((0..ROTATED).map(|number| rotated(&log, number)));
            all.push(log);
        }
        all
    }
}

/// How many old files of a log virtlogd keeps, unless it is configured otherwise (`max_backups` in
/// virtlogd.conf).
///
/// They are made with the log, empty, and virtlogd then renames over them: libvirt learns of a file
/// that comes into a pool without it only when the pool is refreshed, and that it refuses as long as
/// anybody's image is being made there.
pub(crate) const ROTATED: u32 = 3;

/// Where virtlogd puts the part of a log that it rotates away; number 0 is the newest.
pub(crate) fn rotated(log: &str, number: u32) -> String {
    format!("{log}.{number}")
}
