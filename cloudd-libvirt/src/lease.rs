//! Leases: domains with nothing in them that never run.
//!
//! Of all that libvirt keeps, only a domain has what a lease needs. It comes into being whole, name
//! and labels at once; of several processes that define one of the same name one succeeds; its
//! labels are replaced in one piece; and its UUID, which is the lease's id, tells it from one that
//! had the name before or has it after. A file in the pool would be created in one step and filled
//! in another, so that whoever died between them left a lease of nobody knows whom; and whoever
//! found that it is still its own could change or delete that of somebody else a moment later.

use cloudd_core::provider::{
    Architecture, Error, ErrorKind, Labels, LeaseId, LeaseSpec, Result, Size, keys,
};
use virt::domain::Domain as LibvirtDomain;
use virt::error::ErrorNumber;

use crate::error::{During, failed, found};
use crate::session::Session;
use crate::settings::Config;
use crate::vm::same;
use crate::xml::domain::Domain;
use crate::xml::metadata::{VmRecord, VmRecordState};

const CREATE: &str = "create lease";
const FIND: &str = "find lease";
const DESCRIPTION: &str = "No machine: this says that somebody builds an image with cloudd. It goes \
                           when the build ends, and dead builds are removed by a sweep.";

impl Session {
    pub(crate) fn create_lease(
        &self,
        config: &Config,
        architecture: Architecture,
        spec: &LeaseSpec,
    ) -> Result<LeaseId> {
        // Names of domains are those of the whole host; builds into different pools have nothing
        // to do with each other.
        let name = format!("{}.{}", spec.name, self.pool_name);
        let record = self.new_vm_record(VmRecordState::Lease, &spec.labels);
        let machine = self.machine(config, architecture, Size::mib(1), 1)?;
        let xml = Domain {
            name: &name,
            uuid: None,
            description: Some(DESCRIPTION),
            record: &record,
            machine: &machine,
            devices: None,
        }
        .xml();
        let error = match LibvirtDomain::define_xml(&self.connection, &xml) {
            Ok(domain) => return id(&domain),
            Err(error) => failed(CREATE, &spec.name, error),
        };
        if error.kind() != ErrorKind::AlreadyExists {
            return Err(error);
        }
        let lookup = found(LibvirtDomain::lookup_by_name(&self.connection, &name));
        let Some(domain) = lookup.during(CREATE, &spec.name)? else { return Err(error) };
        match self.vm_record(&domain, &name)? {
            // An earlier answer was lost.
            Some(its) if same(keys::HOLDER, &its.labels, &spec.labels) => id(&domain),
            Some(its) if its.state == VmRecordState::Lease => Err(error),
            // Given up in this moment.
            None if found(domain.is_active()).during(CREATE, &spec.name)?.is_none() => Err(error),
            // No patience helps against this one.
            _ => Err(Error::new(ErrorKind::Failed, CREATE).with_resource(&spec.name).with_message(format_args!(
                "a domain has the name {name} and is no lease, or somebody has spoilt its metadata"
            ))),
        }
    }

    /// A lease in this pool with its record.
    fn lease(&self, id: &LeaseId) -> Result<Option<(LibvirtDomain, VmRecord)>> {
        let lookup = LibvirtDomain::lookup_by_uuid_string(&self.connection, id.as_str());
        let domain = match found(lookup) {
            // No UUID, so none of ours.
            Err(error) if error.code() == ErrorNumber::InvalidArg => None,
            lookup => lookup.during(FIND, id)?,
        };
        let Some(domain) = domain else { return Ok(None) };
        let record = self.vm_record(&domain, id.as_str())?;
        let record = record.filter(|record| record.state == VmRecordState::Lease);
        Ok(record.map(|record| (domain, record)))
    }

    pub(crate) fn label_lease(&self, id: &LeaseId, labels: &Labels) -> Result<()> {
        let (domain, record) = self.lease(id)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "label")
                .with_resource(id)
                .with_message("there is no such lease")
        })?;
        let labels = record.labels.merged(labels);
        self.write_vm_record(&domain, id.as_str(), &VmRecord { labels, ..record })
    }

    /// One that does not exist is success.
    pub(crate) fn delete_lease(&self, id: &LeaseId) -> Result<()> {
        match self.lease(id)? {
            Some((domain, _)) => self.undefine("delete lease", &domain, id.as_str()),
            None => Ok(()),
        }
    }
}

/// The id of the lease that a domain is.
pub(crate) fn id(domain: &LibvirtDomain) -> Result<LeaseId> {
    domain.get_uuid_string().during(FIND, "UUID").map(LeaseId::new)
}
