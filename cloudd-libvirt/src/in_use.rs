//! Who uses a disk. libvirt guards nothing: it deletes, overwrites and copies disks of running
//! VMs, and the base under an overlay, without a word.
//!
//! Two processes that share a pool keep out of each other's way without a lock: who wants to
//! *use* a disk first makes its use visible (defines the domain, creates the overlay) and then
//! looks whether the disk's record still says ready; who wants to *delete* first writes "deleting"
//! into the record and then looks for users. libvirt puts these calls in one order, so at least
//! one of the two sees the other and gives way. A process that dies in between leaves a record
//! or a domain that anybody may clear away, never a lock that nobody may break.

use cloudd_core::provider::{Error, ErrorKind, Result};
use virt::domain::Domain;

use crate::error::{During, found};
use crate::session::Session;
use crate::xml::domain::disk_paths;

const LOOK: &str = "look for users of disk";

impl Session {
    /// Fails with [`ErrorKind::Busy`] when a domain other than `own` has this file as a disk, or
    /// when a volume of the pool is an overlay of it.
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

    /// A domain, running or not, that has this file as a disk.
    pub(crate) fn domain_with_disk(
        &self,
        path: &str,
        except: Option<&str>,
    ) -> Result<Option<String>> {
        for domain in self.connection.list_all_domains(0).during(LOOK, path)? {
            let name = domain.get_name().during(LOOK, path)?;
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

/// A running domain and its definition can differ: both count.
fn has_disk(domain: &Domain, path: &str) -> Result<bool> {
    for flags in [0, virt_sys::VIR_DOMAIN_XML_INACTIVE] {
        let Some(xml) = found(domain.get_xml_desc(flags)).during(LOOK, path)? else {
            return Ok(false);
        };
        if disk_paths(&xml).iter().any(|disk| disk == path) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Saves a call of libvirt for each record and log of ours.
fn may_be_overlay(name: &str) -> bool {
    ![".json", ".log", ".img"].iter().any(|suffix| name.ends_with(suffix))
}
