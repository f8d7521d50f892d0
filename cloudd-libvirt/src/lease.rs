//! Leases: domains without devices that are never started.
//!
//! Of all objects of libvirt only a domain has what a lease needs. It is created atomically with name
//! and labels; of several processes that define one of the same name one succeeds; its labels are
//! replaced atomically; and its UUID, the id of the lease, distinguishes it from an earlier or later
//! lease of the same name. A file in the pool is created in one step and filled in another: a process
//! that dies in between would leave a lease without holder. A file also has no identity, so that the
//! former holder of a lease could change or delete the lease of the next one.

use cloudd_core::provider::{
    Architecture, Error, ErrorKind, Labels, LeaseId, LeaseSpec, Result, Size, keys,
};
use virt::domain::Domain as LibvirtDomain;
use virt::error::ErrorNumber;

use crate::connection::Session;
use crate::error::{ResultExt, failed, optional};
use crate::labels::{DomainMetadata, DomainState, same_label};
use crate::settings::Config;
use crate::xml::domain::Domain;

const CREATE: &str = "create lease";
const FIND: &str = "find lease";
const DESCRIPTION: &str = "Not a VM: a lease of an image build of cloudd. It is deleted when the \
                           build ends, or by a sweep if the build has died.";

impl Session {
    pub(crate) fn create_lease(
        &self,
        config: &Config,
        architecture: Architecture,
        spec: &LeaseSpec,
    ) -> Result<LeaseId> {
        // Names of domains are unique on the host, leases only in a pool.
        let name = format!("{}.{}", spec.name, self.pool_name);
        let metadata = self.new_domain_metadata(DomainState::Lease, &spec.labels);
        let machine = self.machine(config, architecture, Size::mib(1), 1)?;
        let xml = Domain {
            name: &name,
            uuid: None,
            description: Some(DESCRIPTION),
            metadata: metadata.element(),
            machine: &machine,
            devices: None,
        }
        .xml();
        let error = match LibvirtDomain::define_xml(&self.connection, &xml) {
            Ok(domain) => return id(&domain),
            Err(error) => failed(CREATE, &spec.name, &error),
        };
        if error.kind() != ErrorKind::AlreadyExists {
            return Err(error);
        }
        let lookup = optional(LibvirtDomain::lookup_by_name(&self.connection, &name));
        let Some(domain) = lookup.context(CREATE, &spec.name)? else { return Err(error) };
        match self.domain_metadata(&domain, &name)? {
            // The response to an earlier call was lost.
            Some(its) if same_label(keys::HOLDER, &its.labels, &spec.labels) => id(&domain),
            Some(its) if its.state == DomainState::Lease => Err(error),
            // Deleted in this moment.
            None if optional(domain.is_active()).context(CREATE, &spec.name)?.is_none() => {
                Err(error)
            }
            // A retry cannot succeed.
            _ => Err(Error::new(ErrorKind::Failed, CREATE).with_resource(&spec.name).with_message(
                format_args!("the domain {name} is not a lease, or its metadata are damaged"),
            )),
        }
    }

    /// A lease in this pool with its metadata.
    fn lease(&self, id: &LeaseId) -> Result<Option<(LibvirtDomain, DomainMetadata)>> {
        let lookup = LibvirtDomain::lookup_by_uuid_string(&self.connection, id.as_str());
        let domain = match optional(lookup) {
            // Not a UUID.
            Err(error) if error.code() == ErrorNumber::InvalidArg => None,
            lookup => lookup.context(FIND, id)?,
        };
        let Some(domain) = domain else { return Ok(None) };
        let metadata = self.domain_metadata(&domain, id.as_str())?;
        let metadata = metadata.filter(|metadata| metadata.state == DomainState::Lease);
        Ok(metadata.map(|metadata| (domain, metadata)))
    }

    pub(crate) fn label_lease(&self, id: &LeaseId, labels: &Labels) -> Result<()> {
        let (domain, metadata) = self.lease(id)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "label")
                .with_resource(id)
                .with_message("the lease does not exist")
        })?;
        let labels = metadata.labels.merged(labels);
        self.write_domain_metadata(&domain, id.as_str(), &DomainMetadata { labels, ..metadata })
    }

    /// Succeeds if the lease does not exist.
    pub(crate) fn delete_lease(&self, id: &LeaseId) -> Result<()> {
        match self.lease(id)? {
            Some((domain, _)) => self.undefine("delete lease", &domain, id.as_str()),
            None => Ok(()),
        }
    }
}

/// The id of a lease.
fn id(domain: &LibvirtDomain) -> Result<LeaseId> {
    domain.get_uuid_string().context(FIND, "UUID").map(LeaseId::new)
}
