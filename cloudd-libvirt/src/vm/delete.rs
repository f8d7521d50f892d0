//! Unmaking a VM: its volumes first, the domain, which is its record, last.

use cloudd_core::provider::{Error, ErrorKind, Result};
use virt::domain::Domain;
use virt_sys as sys;

use super::VmFiles;
use crate::error::{During, found};
use crate::session::{Driver, Session};
use crate::xml::metadata::{VmRecord, VmRecordState};

const DELETE: &str = "delete VM";

impl Session {
    /// Running or not, whole or half made; one that does not exist is success.
    pub(crate) fn delete_vm(&self, name: &str) -> Result<()> {
        let lookup = Domain::lookup_by_name(&self.connection, name);
        let Some(domain) = found(lookup).during(DELETE, name)? else {
            return self.delete_vm_volumes(name);
        };
        let Some(record) = self.vm_record(&domain, name)? else {
            // It may have vanished since.
            if found(domain.is_active()).during(DELETE, name)?.is_none() {
                return self.delete_vm_volumes(name);
            }
            return Err(Error::new(ErrorKind::Unauthorized, DELETE)
                .with_resource(name)
                .with_message("this domain is not cloudd's, or its volumes are in another pool"));
        };
        let deleting = VmRecord { state: VmRecordState::Deleting, ..record };
        match self.write_vm_record(&domain, name, &deleting) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            result => result?,
        }
        cut(DELETE, &domain, name)?;
        self.delete_vm_volumes(name)?;
        self.undefine(DELETE, &domain, name)
    }

    /// Running or not; one that does not exist is success.
    pub(crate) fn undefine(&self, operation: &str, domain: &Domain, name: &str) -> Result<()> {
        // What runs would only lose its definition, and stay.
        cut(operation, domain, name)?;
        let everything = match self.driver {
            Driver::Qemu => {
                sys::VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
                    | sys::VIR_DOMAIN_UNDEFINE_NVRAM
                    | sys::VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
            }
            Driver::Test => 0,
        };
        found(domain.undefine_flags(everything)).during(operation, name).map(drop)
    }

    fn delete_vm_volumes(&self, name: &str) -> Result<()> {
        let files = VmFiles(name);
        if let Some(root) = self.volume(&files.root())? {
            // Somebody may have built upon the disk of this VM by hand.
            let path = root.get_path().during(DELETE, name)?;
            self.ensure_unused(DELETE, &path, Some(name))?;
        }
        for log in files.logs() {
            // The oldest first: what is still there is found by the one before it.
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

/// Cuts the power of what runs.
fn cut(operation: &str, domain: &Domain, name: &str) -> Result<()> {
    match domain.destroy() {
        Err(error) if found(domain.is_active()).during(operation, name)? == Some(true) => {
            Err(error).during(operation, name)
        }
        _ => Ok(()),
    }
}
