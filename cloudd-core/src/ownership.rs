//! Whether a build created a resource for itself.
//!
//! A label is no proof: users copy the labels of an image to the servers that run from it, and a
//! clone inherits the metadata of its original. A resource belongs to a build only if its labels, its
//! kind and its name all agree with what the build would have created.

use crate::provider::{BuildId, Resource, ResourceKind, keys};

/// The name of the builder VM of a build and of its volume: unique, and a valid host name.
pub(crate) fn builder_name(build: &BuildId) -> String {
    format!("cloudd-{build}")
}

/// The name of the VM that checks whether the image of a build boots.
pub(crate) fn boot_check_name(build: &BuildId) -> String {
    format!("cloudd-{build}-check")
}

/// The build that created this resource for itself. `None`: it belongs to no build, or its name, its
/// kind and its labels contradict each other, so that nothing but its owner may delete it.
///
/// An image has no name of its own on some clouds, so that its kind and labels decide; a caller
/// deletes an image only if it is incomplete or was made under a lease that the caller holds.
pub(crate) fn build_of(resource: &Resource) -> Option<BuildId> {
    let build: BuildId = resource.labels.get(keys::BUILD)?.parse().ok()?;
    let name = resource.name.as_str();
    let is_own = match resource.id.kind() {
        ResourceKind::Vm => name == builder_name(&build) || name == boot_check_name(&build),
        ResourceKind::Volume => name == builder_name(&build),
        ResourceKind::Image => true,
        // A lease is named after the fingerprint and the token. Both are labels that could be lost, and
        // a lease costs nothing: it is enough that it has a label that only leases have.
        ResourceKind::Lease => {
            let of_lease = [keys::LEASE, keys::HOLDER, keys::FENCING_TOKEN];
            name.starts_with("cloudd-")
                && of_lease.iter().any(|key| resource.labels.get(key).is_some())
        }
    };
    is_own.then_some(build)
}

/// Whether this build created the resource for itself.
pub(crate) fn is_of_build(resource: &Resource, build: &BuildId) -> bool {
    build_of(resource).as_ref() == Some(build)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{ImageId, Labels, LeaseId, ResourceId, VmId, VolumeId};

    #[test]
    fn a_resource_belongs_to_a_build_only_if_label_name_and_kind_agree() {
        let build = BuildId::random();
        let labels = Labels::from_iter([
            (keys::BUILD, build.as_str()),
            (keys::FINGERPRINT, "835a"),
            (keys::FENCING_TOKEN, "2"),
        ]);
        let vm = ResourceId::from(VmId::new("1"));
        let volume = ResourceId::from(VolumeId::new("2"));
        let lease = ResourceId::from(LeaseId::new("3"));
        let image = ResourceId::from(ImageId::new("4"));
        let (builder, check) = (builder_name(&build), boot_check_name(&build));
        let cases = [
            (&vm, builder.as_str(), true),
            (&vm, &check, true),
            (&vm, "prod", false),
            (&vm, "cloudd-other", false),
            (&vm, "", false),
            (&volume, &builder, true),
            (&volume, &check, false),
            (&volume, "data", false),
            (&lease, "cloudd-835a-2", true),
            (&lease, "cloudd-835a-2.pool", true),
            (&lease, "laptop", false),
            (&image, "", true),
        ];
        for (id, name, expected) in cases {
            let resource = Resource::new(id.clone(), name, labels.clone());
            assert_eq!(is_of_build(&resource, &build), expected, "{id} {name}");
            assert!(!is_of_build(&resource, &BuildId::random()));
            let unlabelled = Resource::new(id.clone(), name, Labels::new());
            assert_eq!(build_of(&unlabelled), None);
            let unreadable = Labels::from_iter([(keys::BUILD, "../x")]);
            assert_eq!(build_of(&Resource::new(id.clone(), name, unreadable)), None);
        }
    }
}
