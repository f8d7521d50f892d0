//! References to a disk. libvirt does not prevent deleting, overwriting or copying the disks of
//! running VMs, or the backing file of an overlay.
//!
//! Two processes that share a pool avoid conflicts without a lock. A process that wants to *use* a
//! disk first makes its use visible (it defines the domain or creates the overlay) and then checks
//! that the metadata of the disk are still ready. A process that wants to *delete* a disk first marks
//! its metadata as deleting and then checks for references. libvirt serializes these calls, so at
//! least one of the two sees the other and stops. A process that dies in between leaves metadata or
//! a domain that any other process can clean up.

use cloudd_core::provider::{Error, ErrorKind, Result};
use virt::domain::Domain;

use crate::connection::Session;
use crate::error::{ResultExt, optional};
use crate::xml::domain::disk_paths;

const FIND: &str = "find references to disk";

impl Session {
    /// Fails with [`ErrorKind::Busy`] if this file is a disk of a domain other than `own`, or the
    /// backing file of a volume of the pool.
    pub(crate) fn ensure_unused(
        &self,
        operation: &str,
        path: &str,
        own: Option<&str>,
    ) -> Result<()> {
        let busy = |user: String| {
            Err(Error::new(ErrorKind::Busy, operation)
                .with_resource(path)
                .with_message(format_args!("in use by {user}")))
        };
        if let Some(domain) = self.domain_with_disk(path, own)? {
            return busy(format!("VM {domain}"));
        }
        match self.overlay_of(path)? {
            Some(overlay) => busy(format!("volume {overlay}, which is an overlay of it")),
            None => Ok(()),
        }
    }

    /// The name of a domain, running or not, that has this file as a disk.
    pub(crate) fn domain_with_disk(
        &self,
        path: &str,
        except: Option<&str>,
    ) -> Result<Option<String>> {
        for domain in self.connection.list_all_domains(0).context(FIND, path)? {
            let name = domain.get_name().context(FIND, path)?;
            if Some(name.as_str()) != except && has_disk(&domain, path)? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    fn overlay_of(&self, path: &str) -> Result<Option<String>> {
        for name in self.volume_names()?.into_iter().filter(|name| may_be_overlay(name)) {
            let described = self.described_volume(&name)?;
            if described.is_some_and(|(_, volume)| volume.backing.as_deref() == Some(path)) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }
}

/// Checks the running domain and its persistent definition, which can differ.
fn has_disk(domain: &Domain, path: &str) -> Result<bool> {
    for flags in [0, virt_sys::VIR_DOMAIN_XML_INACTIVE] {
        let Some(xml) = optional(domain.get_xml_desc(flags)).context(FIND, path)? else {
            return Ok(false);
        };
        if disk_paths(&xml).iter().any(|disk| disk == path) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Saves a call of libvirt for each metadata and log file.
fn may_be_overlay(name: &str) -> bool {
    ![".json", ".log", ".img"].iter().any(|suffix| name.ends_with(suffix))
}
