//! Claims: domains with nothing in them that never run.
//!
//! Of all that libvirt keeps, only a domain has what a claim needs. It comes into being whole, name
//! and labels at once; of several processes that define one of the same name one succeeds; its
//! labels are replaced in one piece; and its UUID, which is the claim's id, tells it from one that
//! had the name before or has it after. A file in the pool would be created in one step and filled
//! in another, so that whoever died between them left a claim of nobody knows whom; and whoever
//! found that it is still its own could change or delete that of somebody else a moment later.

use cloudd_core::provider::{
    Architecture, ClaimId, ClaimSpec, Error, ErrorKind, Labels, Result, Size, keys,
};
use virt::domain::Domain as LibvirtDomain;
use virt::error::ErrorNumber;

use crate::error::{During, failed, found};
use crate::session::Session;
use crate::settings::Config;
use crate::vm::same;
use crate::xml::domain::Domain;
use crate::xml::metadata::{VmRecord, VmRecordState};

const CREATE: &str = "create claim";
const FIND: &str = "find claim";
const DESCRIPTION: &str = "No machine: this says that somebody builds an image with cloudd. It goes \
                           when the build ends, and dead builds are removed by a sweep.";

impl Session {
    pub(crate) fn create_claim(
        &self,
        config: &Config,
        architecture: Architecture,
        spec: &ClaimSpec,
    ) -> Result<ClaimId> {
        // Names of domains are those of the whole host; builds into different pools have nothing
        // to do with each other.
        let name = format!("{}.{}", spec.name, self.pool_name);
        let record = self.new_vm_record(VmRecordState::Claim, &spec.labels);
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
            Some(its) if same(keys::OWNER, &its.labels, &spec.labels) => id(&domain),
            Some(its) if its.state == VmRecordState::Claim => Err(error),
            // Given up in this moment.
            None if found(domain.is_active()).during(CREATE, &spec.name)?.is_none() => Err(error),
            // No patience helps against this one.
            _ => Err(Error::new(ErrorKind::Failed, CREATE).on(&spec.name).message(format_args!(
                "a domain has the name {name} and is no claim, or somebody has spoilt its metadata"
            ))),
        }
    }

    /// A claim in this pool with its record.
    fn claim(&self, id: &ClaimId) -> Result<Option<(LibvirtDomain, VmRecord)>> {
        let lookup = LibvirtDomain::lookup_by_uuid_string(&self.connection, id.as_str());
        let domain = match found(lookup) {
            // No UUID, so none of ours.
            Err(error) if error.code() == ErrorNumber::InvalidArg => None,
            lookup => lookup.during(FIND, id)?,
        };
        let Some(domain) = domain else { return Ok(None) };
        let record = self.vm_record(&domain, id.as_str())?;
        let record = record.filter(|record| record.state == VmRecordState::Claim);
        Ok(record.map(|record| (domain, record)))
    }

    pub(crate) fn label_claim(&self, id: &ClaimId, labels: &Labels) -> Result<()> {
        let (domain, record) = self.claim(id)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, "label").on(id).message("there is no such claim")
        })?;
        let labels = record.labels.merged(labels);
        self.write_vm_record(&domain, id.as_str(), &VmRecord { labels, ..record })
    }

    /// One that does not exist is success.
    pub(crate) fn delete_claim(&self, id: &ClaimId) -> Result<()> {
        match self.claim(id)? {
            Some((domain, _)) => self.undefine("delete claim", &domain, id.as_str()),
            None => Ok(()),
        }
    }
}

/// The id of the claim that a domain is.
pub(crate) fn id(domain: &LibvirtDomain) -> Result<ClaimId> {
    domain.get_uuid_string().during(FIND, "UUID").map(ClaimId::new)
}
