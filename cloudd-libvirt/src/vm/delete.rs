//! Deletion of VMs: the volumes first, the domain with the metadata last.

use cloudd_core::provider::{Error, ErrorKind, Result};
use virt::domain::Domain;
use virt_sys as sys;

use super::files::VmFiles;
use crate::connection::{Driver, Session};
use crate::error::{ResultExt, optional};
use crate::labels::{DomainMetadata, DomainState};

const DELETE: &str = "delete VM";

impl Session {
    /// Deletes a VM, running or not, complete or not. Succeeds if it does not exist.
    pub(crate) fn delete_vm(&self, name: &str) -> Result<()> {
        let lookup = Domain::lookup_by_name(&self.connection, name);
        let Some(domain) = optional(lookup).context(DELETE, name)? else {
            self.ensure_disks_unused(name)?;
            return self.delete_vm_volumes(name);
        };
        let Some(metadata) = self.domain_metadata(&domain, name)? else {
            // It may have been deleted since.
            if optional(domain.is_active()).context(DELETE, name)?.is_none() {
                self.ensure_disks_unused(name)?;
                return self.delete_vm_volumes(name);
            }
            return Err(Error::new(ErrorKind::Unauthorized, DELETE)
                .with_resource(name)
                .with_message(
                    "the domain was not created by cloudd, or its volumes are in another pool",
                ));
        };
        let deleting = DomainMetadata { state: DomainState::Deleting, ..metadata.clone() };
        match self.write_domain_metadata(&domain, name, &deleting) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result?,
        }
        if let Err(error) = self.ensure_disks_unused(name) {
            self.write_domain_metadata(&domain, name, &metadata)?;
            return Err(error);
        }
        power_off(DELETE, &domain, name)?;
        self.delete_vm_volumes(name)?;
        self.undefine(DELETE, &domain, name)
    }

    /// Undefines a domain, running or not. Succeeds if it does not exist.
    pub(crate) fn undefine(&self, operation: &str, domain: &Domain, name: &str) -> Result<()> {
        // A running domain would lose its definition and continue to run.
        power_off(operation, domain, name)?;
        let everything = match self.driver {
            Driver::Qemu => {
                sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                    | sys::VIR_DOMAIN_UNDEFINE_NVRAM
                    | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            }
            Driver::Test => 0,
        };
        optional(domain.undefine_flags(everything)).context(operation, name).map(drop)
    }

    /// A user may have created an overlay of a disk of this VM, or attached a disk to another one.
    fn ensure_disks_unused(&self, name: &str) -> Result<()> {
        let mut paths = Vec::new();
        for disk in VmFiles(name).disks() {
            if let Some(volume) = self.volume(&disk)? {
                paths.extend(optional(volume.get_path()).context(DELETE, name)?);
            }
        }
        self.ensure_unused(DELETE, &paths, Some(name))
    }

    fn delete_vm_volumes(&self, name: &str) -> Result<()> {
        let files = VmFiles(name);
        for log in files.logs() {
            // The oldest first: `log_files` finds an older file only if the newer ones exist.
            for file in self.log_files(&log)?.iter().rev() {
                self.delete_volume(file)?;
            }
        }
        for file in files.all() {
            self.delete_volume(&file)?;
        }
        Ok(())
    }
}

/// Switches a running domain off.
fn power_off(operation: &str, domain: &Domain, name: &str) -> Result<()> {
    match domain.destroy() {
        Err(error) if optional(domain.is_active()).context(operation, name)? == Some(true) => {
            Err(error).context(operation, name)
        }
        _ => Ok(()),
    }
}
