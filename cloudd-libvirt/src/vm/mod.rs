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

    /// Everything but the logs that were rotated away.
    fn all(self) -> [String; 5] {
        [self.root(), self.seed(), self.context(), self.console_log(), self.events_log()]
    }
}
