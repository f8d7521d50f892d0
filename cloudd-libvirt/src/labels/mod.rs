//! Labels and states of what cloudd creates. libvirt has no labels: those of volumes and images are
//! kept in metadata files, those of VMs and leases in the metadata of the domain.

mod domain;
mod inventory;
mod lifecycle;
mod metadata;
mod store;

pub(crate) use domain::{DomainMetadata, DomainState, NAMESPACE, PREFIX};
pub(crate) use lifecycle::Adopted;
pub(crate) use metadata::{
    Metadata, MetadataKind, MetadataState, image_file, now, same_build, same_label, volume_file,
};
