//! Search, labelling and deletion of all kinds of resources.

use cloudd_core::provider::{
    Error, ErrorKind, Image, ImageId, Labels, LeaseId, Resource, ResourceId, ResourceKind, Result,
    Selector, VmId, VolumeId,
};

use super::domain::{DomainMetadata, DomainState};
use super::metadata::{Metadata, MetadataKind};
use crate::connection::Session;
use crate::error::ResultExt;

const LABEL: &str = "label";
const LIST: &str = "list domains";

impl Session {
    /// Reads only what the selector needs: every metadata file costs several calls.
    pub(crate) fn resources(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let mut found = Vec::new();
        if selector.takes(ResourceKind::Vm) || selector.takes(ResourceKind::Lease) {
            found.extend(self.domains()?);
        }
        // Base images are shared by builds and belong to none.
        if selector.takes(ResourceKind::Volume) {
            let volumes = self.all_metadata(MetadataKind::Volume)?.into_iter();
            found.extend(
                volumes.map(|it| Resource::new(VolumeId::new(&it.name), it.name, it.labels)),
            );
        }
        if selector.takes(ResourceKind::Image) {
            let images = self.all_metadata(MetadataKind::Image)?.into_iter();
            found
                .extend(images.map(|it| Resource::new(ImageId::new(&it.name), it.name, it.labels)));
        }
        found.retain(|resource| selector.selects(resource));
        Ok(found)
    }

    /// All VMs and leases.
    fn domains(&self) -> Result<Vec<Resource>> {
        let mut found = Vec::new();
        for domain in self.connection.list_all_domains(0).context(LIST, &self.pool_name)? {
            let name = domain.get_name().context(LIST, &self.pool_name)?;
            let Some(metadata) = self.domain_metadata(&domain, &name)? else { continue };
            let id: ResourceId = match metadata.state {
                DomainState::Lease => {
                    LeaseId::new(domain.get_uuid_string().context(LIST, &name)?).into()
                }
                _ => VmId::new(&name).into(),
            };
            found.push(Resource::new(id, name, metadata.labels));
        }
        Ok(found)
    }

    pub(crate) fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
        if !selector.takes(ResourceKind::Image) {
            return Ok(Vec::new());
        }
        let mut images = self.all_metadata(MetadataKind::Image)?;
        images.retain(|image| selector.matches(&image.labels));
        Ok(images.iter().map(Metadata::image).collect())
    }

    pub(crate) fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        let missing = || Error::new(ErrorKind::NotFound, LABEL).with_resource(resource);
        let (kind, name) = match resource {
            ResourceId::Vm(id) => {
                let (domain, metadata) = self.existing_domain(LABEL, id.as_str())?;
                let labels = metadata.labels.merged(labels);
                let metadata = DomainMetadata { labels, ..metadata };
                return self.write_domain_metadata(&domain, id.as_str(), &metadata);
            }
            ResourceId::Lease(id) => return self.label_lease(id, labels),
            ResourceId::Volume(id) => (MetadataKind::Volume, id.as_str()),
            ResourceId::Image(id) => (MetadataKind::Image, id.as_str()),
            _ => return Err(missing()),
        };
        let mut metadata = self.metadata(kind, name)?.ok_or_else(missing)?;
        metadata.labels = metadata.labels.merged(labels);
        self.write_metadata(&metadata)
    }

    pub(crate) fn delete(&self, resource: &ResourceId) -> Result<()> {
        match resource {
            ResourceId::Vm(id) => self.delete_vm(id.as_str()),
            ResourceId::Volume(id) => self.delete_install_volume(id.as_str()),
            ResourceId::Image(id) => self.delete_image(id.as_str()),
            ResourceId::Lease(id) => self.delete_lease(id),
            // Of a kind that this provider does not create.
            _ => Ok(()),
        }
    }
}
