//! State and start of VMs.

use cloudd_core::provider::{Error, ErrorKind, PowerState, Result, Vm, VmId};
use virt::domain::Domain;
use virt_sys as sys;

use super::disk_errors;
use super::files::VmFiles;
use crate::connection::{Driver, Session};
use crate::error::{ResultExt, optional};
use crate::labels::{DomainMetadata, DomainState, NAMESPACE, PREFIX};
use crate::xml::Node;

impl Session {
    /// A VM whose metadata name this pool. A VM of another pool is deleted by a provider for that
    /// pool, together with its volumes.
    pub(crate) fn domain(&self, name: &str) -> Result<Option<(Domain, DomainMetadata)>> {
        let lookup = Domain::lookup_by_name(&self.connection, name);
        let Some(domain) = optional(lookup).context("find VM", name)? else { return Ok(None) };
        let metadata = self.domain_metadata(&domain, name)?;
        let metadata = metadata.filter(|metadata| metadata.state != DomainState::Lease);
        Ok(metadata.map(|metadata| (domain, metadata)))
    }

    /// As [`Self::domain`]; a missing VM is an error.
    pub(crate) fn existing_domain(
        &self,
        operation: &str,
        name: &str,
    ) -> Result<(Domain, DomainMetadata)> {
        self.domain(name)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, operation)
                .with_resource(name)
                .with_message("the VM does not exist, or was not created by cloudd")
        })
    }

    /// The metadata of a domain, if the domain belongs to cloudd and this pool.
    pub(crate) fn domain_metadata(
        &self,
        domain: &Domain,
        name: &str,
    ) -> Result<Option<DomainMetadata>> {
        let kind = sys::VIR_DOMAIN_METADATA_ELEMENT.cast_signed();
        let xml = optional(domain.get_metadata(kind, Some(NAMESPACE), 0));
        let xml = xml.context("read metadata of VM", name)?;
        Ok(xml
            .and_then(|xml| Node::parse(&xml).ok())
            .and_then(|node| DomainMetadata::read(&node))
            .filter(|metadata| metadata.labels.is_managed() && metadata.pool == self.pool_name))
    }

    pub(crate) fn write_domain_metadata(
        &self,
        domain: &Domain,
        name: &str,
        metadata: &DomainMetadata,
    ) -> Result<()> {
        const WRITE: &str = "write metadata of VM";
        let xml = metadata.bare_element().to_string();
        let write = |flags| {
            domain.set_metadata(
                sys::VIR_DOMAIN_METADATA_ELEMENT.cast_signed(),
                Some(&xml),
                Some(PREFIX),
                Some(NAMESPACE),
                flags,
            )
        };
        // A running domain has a live and a persistent definition; only the latter survives
        // power-off. A domain that goes off in this moment has only the persistent one.
        let both = sys::VIR_DOMAIN_AFFECT_CONFIG | sys::VIR_DOMAIN_AFFECT_LIVE;
        if domain.is_active().context(WRITE, name)? && write(both).is_ok() {
            return Ok(());
        }
        write(sys::VIR_DOMAIN_AFFECT_CONFIG).context(WRITE, name).map(drop)
    }

    pub(crate) fn vm(&self, name: &str) -> Result<Option<Vm>> {
        let Some((domain, metadata)) = self.domain(name)? else { return Ok(None) };
        let Some(state) = self.power_state(&domain, name)? else { return Ok(None) };
        let mut vm = Vm::new(VmId::new(name), name);
        vm.state = state;
        vm.labels = metadata.labels;
        vm.addresses = self.addresses(&domain);
        vm.started = match vm.state {
            PowerState::Off => self.was_started(&domain, name)?,
            _ => Some(true),
        };
        Ok(Some(vm))
    }

    pub(crate) fn power_state(&self, domain: &Domain, name: &str) -> Result<Option<PowerState>> {
        let Some((state, reason)) =
            optional(domain.get_state()).context("read state of VM", name)?
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
        let state = optional(domain.get_state()).context("read state of VM", name)?;
        let Some((state, reason)) = state else { return Ok(None) };
        let files = VmFiles(name);
        Ok(Some(
            has_run(state, reason.cast_unsigned())
                || self.was_written(&files.events_log())?
                || self.was_written(&files.console_log())?,
        ))
    }

    /// The addresses that libvirt's own networks leased to the VM; none in other networks.
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
        let (domain, metadata) = self.existing_domain(START, name)?;
        if metadata.state != DomainState::Ready {
            return Err(Error::new(ErrorKind::Failed, START)
                .with_resource(name)
                .with_message("the VM is incomplete or being deleted"));
        }
        if domain.is_active().context(START, name)? {
            return Ok(());
        }
        match domain.create() {
            Ok(_) => Ok(()),
            // Another process has started it.
            Err(_) if domain.is_active().unwrap_or(false) => Ok(()),
            Err(error) => Err(error).context(START, name),
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
    let error = |reason: &str| Power::Known(PowerState::Error(reason.to_owned()));
    match (state, reason) {
        (sys::VIR_DOMAIN_RUNNING | sys::VIR_DOMAIN_BLOCKED, _) => Power::Known(PowerState::Running),
        (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_IOERROR) => Power::IoError,
        (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_CRASHED) | (sys::VIR_DOMAIN_CRASHED, _) => {
            error("the guest has crashed")
        }
        (sys::VIR_DOMAIN_PAUSED, sys::VIR_DOMAIN_PAUSED_WATCHDOG) => {
            error("paused by the VM's watchdog")
        }
        (sys::VIR_DOMAIN_SHUTOFF, sys::VIR_DOMAIN_SHUTOFF_CRASHED) => {
            error("the QEMU process has ended; its log is on the host in /var/log/libvirt/qemu")
        }
        (sys::VIR_DOMAIN_SHUTOFF, _) => Power::Known(PowerState::Off),
        // Suspended by a user, starting, being saved: it may continue.
        _ => Power::Known(PowerState::Changing),
    }
}

/// Whether a VM can have this state only after a start. A VM that was never started is off for an
/// unknown reason, and so is every VM that is off when the daemon starts.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_started_vm_is_recognized_by_its_state() {
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
