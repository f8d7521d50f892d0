use super::error::Leftovers;
use crate::provider::Image;

/// A build that succeeded: the image, and what could not be deleted.
#[derive(Debug)]
#[non_exhaustive]
pub struct BuiltImage {
    /// The image, available.
    pub image: Image,
    /// Resources of the build that could not be deleted and may cost money. `None`: everything else
    /// was deleted. A [sweep](crate::sweep) deletes them after their expiry.
    pub leftovers: Option<Leftovers>,
}

impl BuiltImage {
    pub(super) fn new(image: Image) -> Self {
        Self { image, leftovers: None }
    }
}
