//! What there is of all kinds: found, labelled, deleted.

use cloudd_core::provider::{
    Error, ErrorKind, Image, ImageId, Labels, Resource, ResourceId, ResourceKind, Result, Selector,
    VolumeId,
};

use crate::image::image;
use crate::record::{Record, RecordKind};
use crate::session::Session;
use crate::xml::metadata::VmRecord;

impl Session {
    /// Reads no more than it must: records are files, and a look at leases needs none of them.
    pub(crate) fn resources(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let mut found = Vec::new();
        if selector.takes(ResourceKind::Vm) || selector.takes(ResourceKind::Lease) {
            found.extend(self.domains()?);
        }
        // Base images are shared by builds, and of none of them.
        if selector.takes(ResourceKind::Volume) {
            let of = |it: Record| Resource::new(VolumeId::new(it.name), it.labels);
            found.extend(self.records(RecordKind::Volume)?.into_iter().map(of));
        }
        if selector.takes(ResourceKind::Image) {
            let of = |it: Record| Resource::new(ImageId::new(it.name), it.labels);
            found.extend(self.records(RecordKind::Image)?.into_iter().map(of));
        }
        found.retain(|resource| selector.selects(resource));
        Ok(found)
    }

    pub(crate) fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
        if !selector.takes(ResourceKind::Image) {
            return Ok(Vec::new());
        }
        let mut records = self.records(RecordKind::Image)?;
        records.retain(|record| selector.matches(&record.labels));
        Ok(records.iter().map(image).collect())
    }

    pub(crate) fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        const LABEL: &str = "label";
        let (kind, name) = match resource {
            ResourceId::Vm(id) => {
                let (domain, record) = self.existing_domain(LABEL, id.as_str())?;
                let labels = record.labels.merged(labels);
                return self.write_vm_record(&domain, id.as_str(), &VmRecord { labels, ..record });
            }
            ResourceId::Lease(id) => return self.label_lease(id, labels),
            ResourceId::Volume(id) => (RecordKind::Volume, id.as_str()),
            ResourceId::Image(id) => (RecordKind::Image, id.as_str()),
            _ => return Err(Error::new(ErrorKind::NotFound, LABEL).with_resource(resource)),
        };
        let mut record = self
            .record(kind, name)?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, LABEL).with_resource(resource))?;
        record.labels = record.labels.merged(labels);
        self.write_record(&record)
    }

    pub(crate) fn delete(&self, resource: &ResourceId) -> Result<()> {
        match resource {
            ResourceId::Vm(id) => self.delete_vm(id.as_str()),
            ResourceId::Volume(id) => self.delete_disk(id.as_str()),
            ResourceId::Image(id) => self.delete_image(id.as_str()),
            ResourceId::Lease(id) => self.delete_lease(id),
            // None of ours, so it does not exist.
            _ => Ok(()),
        }
    }
}
