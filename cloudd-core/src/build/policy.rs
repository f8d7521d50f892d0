//! What a build does with existing images, with its own leftovers, and with an image that does not
//! boot.

use super::error::InvalidInput;
use super::probe::ReadinessProbe;
use crate::provider::Capabilities;

/// The value of the boot check label of an image that has passed.
pub(super) const PASSED: &str = "passed";

/// The value of the boot check label of an image whose build has not returned it: the build checks it
/// first.
pub(super) const PENDING: &str = "pending";

/// What happens to the builder VM of a build that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnFailure {
    /// VM and volume are deleted.
    #[default]
    Delete,
    /// VM and volume are kept for inspection, and the error lists them. They cost money until they are
    /// deleted; a [sweep](crate::sweep) deletes them after their expiry.
    Keep,
}

/// How existing images are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum ReusePolicy {
    /// An available image with the same fingerprint is returned, and nothing is created. The
    /// fingerprint contains the name, the container, the architecture and the size of the volume, and
    /// not the builder's base image, server type and root disk, on which the content does not depend.
    #[default]
    SameInputs,
    /// The newest available image of this name and architecture is returned, whatever its
    /// fingerprint.
    SameName,
    /// A new image is always built; existing images are kept.
    Never,
    /// A new image is always built. Once it is available, unprotected images with the same
    /// fingerprint are deleted.
    Replace,
}

/// What happens to an image that does not pass its boot check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnBootCheckFailure {
    /// The image is deleted.
    #[default]
    Delete,
    /// The image is kept, without the label of images that have passed.
    Keep,
}

/// Starts a VM from the image and runs a readiness probe on it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct BootCheck {
    pub(super) probe: ReadinessProbe,
    pub(super) on_failure: OnBootCheckFailure,
}

impl BootCheck {
    /// A check with this probe, which has to pass within
    /// [`Deadlines::boot_check`](super::Deadlines::boot_check).
    pub fn new(probe: ReadinessProbe) -> Self {
        Self { probe, on_failure: OnBootCheckFailure::default() }
    }

    /// What happens to an image that does not pass; default [`OnBootCheckFailure::Delete`].
    pub fn on_failure(mut self, on_failure: OnBootCheckFailure) -> Self {
        self.on_failure = on_failure;
        self
    }

    /// Checks that a provider with these capabilities can run the check.
    pub(super) fn validate(&self, capabilities: &Capabilities) -> Result<(), InvalidInput> {
        if !capabilities.boots_images {
            let reason = "the provider cannot start a VM from an image";
            return Err(InvalidInput::BootCheck(reason.to_owned()));
        }
        self.probe.validate(capabilities).map_err(InvalidInput::BootCheck)
    }
}
