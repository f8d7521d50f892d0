//! What a VM is and does.

use cloudd_core::provider::{
    Error, ErrorKind, Labels, PowerState, Resource, ResourceId, Result, Vm, VmId, keys,
};
use virt::domain::Domain;
use virt_sys as sys;

use super::{VmFiles, disk_errors};
use crate::error::{During, found};
use crate::lease;
use crate::session::{Driver, Session};
use crate::xml::Node;
use crate::xml::metadata::{NAMESPACE, PREFIX, VmRecord, VmRecordState};

impl Session {
    /// A domain of cloudd's in this pool, with its record. Others are none of our business: a VM
    /// goes together with its volumes, by somebody who has their pool.
    pub(crate) fn domain(&self, name: &str) -> Result<Option<(Domain, VmRecord)>> {
        let lookup = Domain::lookup_by_name(&self.connection, name);
        let Some(domain) = found(lookup).during("find VM", name)? else { return Ok(None) };
        let record = self.vm_record(&domain, name)?;
        let record = record.filter(|record| record.state != VmRecordState::Lease);
        Ok(record.map(|record| (domain, record)))
    }

    /// Like [`Self::domain`], for calls that need one.
    pub(crate) fn existing_domain(
        &self,
        operation: &str,
        name: &str,
    ) -> Result<(Domain, VmRecord)> {
        self.domain(name)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, operation)
                .with_resource(name)
                .with_message("there is no such VM of cloudd")
        })
    }

    /// What cloudd wrote into a domain, if the domain is one of this pool.
    pub(crate) fn vm_record(&self, domain: &Domain, name: &str) -> Result<Option<VmRecord>> {
        let kind = sys::VIR_DOMAIN_METADATA_ELEMENT.cast_signed();
        let metadata = found(domain.get_metadata(kind, Some(NAMESPACE), 0));
        let metadata = metadata.during("read the record of VM", name)?;
        Ok(metadata
            .and_then(|xml| Node::parse(&xml).ok())
            .and_then(|node| VmRecord::read(&node))
            .filter(|record| record.labels.is_managed() && record.pool == self.pool_name))
    }

    pub(crate) fn write_vm_record(
        &self,
        domain: &Domain,
        name: &str,
        record: &VmRecord,
    ) -> Result<()> {
        const WRITE: &str = "write the record of VM";
        let xml = record.bare_element().to_string();
        let write = |flags| {
            domain.set_metadata(
                sys::VIR_DOMAIN_METADATA_ELEMENT.cast_signed(),
                Some(&xml),
                Some(PREFIX),
                Some(NAMESPACE),
                flags,
            )
        };
        // A running domain has two definitions, and only the lasting one outlives its power-off;
        // one that goes off in this moment has one.
        let both = sys::VIR_DOMAIN_AFFECT_CONFIG | sys::VIR_DOMAIN_AFFECT_LIVE;
        if domain.is_active().during(WRITE, name)? && write(both).is_ok() {
            return Ok(());
        }
        write(sys::VIR_DOMAIN_AFFECT_CONFIG).during(WRITE, name).map(drop)
    }

    pub(crate) fn vm(&self, name: &str) -> Result<Option<Vm>> {
        let Some((domain, record)) = self.domain(name)? else { return Ok(None) };
        let Some(state) = self.power_state(&domain, name)? else { return Ok(None) };
        let mut vm = Vm::new(VmId::new(name), name);
        vm.state = state;
        vm.labels = record.labels;
        vm.addresses = self.addresses(&domain);
        vm.started = match vm.state {
            PowerState::Off => self.was_started(&domain, name)?,
            _ => Some(true),
        };
        Ok(Some(vm))
    }

    /// Every VM and every lease of cloudd's.
    pub(crate) fn domains(&self) -> Result<Vec<Resource>> {
        const LIST: &str = "list domains";
        let mut found = Vec::new();
        for domain in self.connection.list_all_domains(0).during(LIST, &self.pool_name)? {
            let name = domain.get_name().during(LIST, &self.pool_name)?;
            let Some(record) = self.vm_record(&domain, &name)? else { continue };
            let id = match record.state {
                VmRecordState::Lease => ResourceId::from(lease::id(&domain)?),
                _ => VmId::new(name).into(),
            };
            found.push(Resource::new(id, record.labels));
        }
        Ok(found)
    }

    pub(crate) fn power_state(&self, domain: &Domain, name: &str) -> Result<Option<PowerState>> {
        let Some((state, reason)) =
            found(domain.get_state()).during("read the state of VM", name)?
        else {
            return Ok(None);
        };
        Ok(Some(match power(state, reason.cast_unsigned()) {
            Power::Known(state) => state,
            Power::IoError => PowerState::Error(disk_errors::explain(domain)),
        }))
    }

    /// Whether a VM that is off was ever started.
    ///
    /// libvirt knows why a VM is off until its daemon is restarted; after that, what the guest has
    /// written to its logs still tells. A VM that was cut before it wrote anything, on a host whose
    /// daemon was restarted, is therefore reported as never started. That does no harm: the build
    /// starts it again, as after any power cut, and nothing of the build is done before the first
    /// event of the agent.
    fn was_started(&self, domain: &Domain, name: &str) -> Result<Option<bool>> {
        let state = found(domain.get_state()).during("read the state of VM", name)?;
        let Some((state, reason)) = state else { return Ok(None) };
        let files = VmFiles(name);
        Ok(Some(
            has_run(state, reason.cast_unsigned())
                || self.was_written(&files.events_log())?
                || self.was_written(&files.console_log())?,
        ))
    }

    /// What libvirt's own networks leased to the VM; nothing where another gives the addresses.
    fn addresses(&self, domain: &Domain) -> Vec<std::net::IpAddr> {
        if self.driver == Driver::Test || !domain.is_active().unwrap_or(false) {
            return Vec::new();
        }
        domain
            .interface_addresses(sys::VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_LEASE, 0)
            .unwrap_or_default()
            .iter()
            .flat_map(|interface| &interface.addrs)
            .filter_map(|address| address.addr.parse().ok())
            .collect()
    }

    pub(crate) fn start_vm(&self, name: &str) -> Result<()> {
        const START: &str = "start VM";
        let (domain, record) = self.existing_domain(START, name)?;
        if record.state != VmRecordState::Ready {
            return Err(Error::new(ErrorKind::Failed, START)
                .with_resource(name)
                .with_message("it is half made or being deleted"));
        }
        if domain.is_active().during(START, name)? {
            return Ok(());
        }
        match domain.create() {
            Ok(_) => Ok(()),
            // Somebody else was faster.
            Err(_) if domain.is_active().unwrap_or(false) => Ok(()),
            Err(error) => Err(error).during(START, name),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Power {
    Known(PowerState),
    /// Paused because the host could not read or write a disk.
    IoError,
}

fn power(state: sys::virDomainState, reason: u32) -> Power {
    let stuck = |reason: &str| Power::Known(PowerState::Error(reason.to_owned()));
    match (state, reason) {
        (sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED, _) => Power::Known(PowerState::Running),
        (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_IOERROR) => Power::IoError,
        (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_CRASHED) | (sys::VIR_DOMAIN_CRASHED, _) => {
            stuck("the guest has crashed")
        }
        (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_WATCHDOG) => {
            stuck("paused by the VM's watchdog")
        }
        (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_CRASHED) => {
            stuck("QEMU itself has ended; its log is on the host in /var/log/libvirt/qemu")
        }
        (sys::VIR_DOMAIN_SHUTOFF, _) => Power::Known(PowerState::Off),
        // Suspended by somebody, starting, being saved: it may go on.
        _ => Power::Known(PowerState::Changing),
    }
}

/// Whether a state is one that a VM can only have after a start. What was never started is off for
/// an unknown reason, and so is everything that is off when the daemon begins.
fn has_run(state: sys::virDomainState, reason: u32) -> bool {
    match state {
        sys::VIR_DOMAIN_NOSTATE => false,
        sys::VIR_DOMAIN_SHUTOFF => matches!(
            reason,
            sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN
                | sys::VIR_DOMAIN_SHUTOFF_DESTROYED
                | sys::VIR_DOMAIN_SHUTOFF_CRASHED
                | sys::VIR_DOMAIN_SHUTOFF_SAVED
                | sys::VIR_DOMAIN_SHUTOFF_DAEMON
        ),
        _ => true,
    }
}

/// Whether what exists was made by the same build: then an earlier answer was lost.
pub(crate) fn same_build(existing: &Labels, wanted: &Labels) -> bool {
    same(keys::BUILD, existing, wanted)
}

/// Whether both have this label, with one value.
pub(crate) fn same(key: &str, existing: &Labels, wanted: &Labels) -> bool {
    existing.get(key).is_some_and(|value| wanted.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_tells_of_a_start_only_where_there_was_one() {
        let table = [
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_UNKNOWN, false),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_FAILED, false),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN, true),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_DESTROYED, true),
            (sys::VIR_DOMAIN_RUNNING, sys::VIR_DOMAIN_RUNNING_BOOTED, true),
            (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_IOERROR, true),
        ];
        for (state, reason, expected) in table {
            assert_eq!(has_run(state, reason), expected, "{state} {reason}");
        }
    }

    #[test]
    fn only_a_shutdown_counts_as_off() {
        let is = |state, reason| match power(state, reason) {
            Power::Known(PowerState::Off) => "off",
            Power::Known(PowerState::Running) => "running",
            Power::Known(PowerState::Changing) => "changing",
            Power::Known(_) | Power::IoError => "stuck",
        };
        let table = [
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_UNKNOWN, "off"),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_SHUTDOWN, "off"),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_DESTROYED, "off"),
            (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_CRASHED, "stuck"),
            (sys::VIR_DOMAIN_SHUTDOWN, 0, "changing"),
            (sys::VIR_DOMAIN_RUNNING, sys::VIR_DOMAIN_RUNNING_BOOTED, "running"),
            (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_IOERROR, "stuck"),
            (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_USER, "changing"),
            (sys::VIR_DOMAIN_CRASHED, 0, "stuck"),
        ];
        for (state, reason, expected) in table {
            assert_eq!(is(state, reason), expected, "{state} {reason}");
        }
    }
}
