//! The base images in the cache.

use cloudd_core::provider::{Result, Size};

use crate::connection::Session;
use crate::error::ResultExt;
use crate::labels::{Metadata, MetadataKind};

const LIST: &str = "list base images";

/// A base image that cloudd has uploaded to the pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedBaseImage {
    /// Its name: `cloudd-base-` and the SHA-256 of the file.
    pub name: String,
    /// The path or URL that it was read from, without secrets; `None` until it is complete.
    pub source: Option<String>,
    /// The size of its disk; 0 until it is complete.
    pub size: Size,
    /// The space that it takes in the pool.
    pub allocated: Size,
    /// When its upload began, in seconds since 1970; 0 if that is not known.
    pub created: u64,
    /// Whether it is complete. If not, it is being uploaded or deleted, or a process that did so died.
    pub ready: bool,
    /// What uses it, for people: a volume that is an overlay of it, or a VM. If it cannot be determined
    /// whether it is used, the reason.
    pub used_by: Option<String>,
}

impl Session {
    /// All base images in the cache, by name.
    pub(crate) fn base_images(&self) -> Result<Vec<CachedBaseImage>> {
        let mut found = Vec::new();
        for metadata in self.all_metadata(MetadataKind::Base)? {
            found.push(self.cached_base_image(metadata)?);
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    }

    fn cached_base_image(&self, metadata: Metadata) -> Result<CachedBaseImage> {
        let (mut allocated, mut used_by) = (Size::bytes(0), None);
        // Empty for metadata that are not understood.
        if !metadata.data.is_empty()
            && let Some(data) = self.volume(&metadata.data)?
        {
            allocated = Size::bytes(data.get_info().context(LIST, &metadata.name)?.allocation);
            let path = data.get_path().context(LIST, &metadata.name)?;
            used_by = match self.user_of(&[path], None) {
                Ok(user) => user.map(|(_, user)| user),
                Err(error) => Some(format!("something that cannot be determined: {error}")),
            };
        }
        Ok(CachedBaseImage {
            ready: metadata.is_ready(),
            name: metadata.name,
            source: metadata.description,
            size: metadata.size,
            allocated,
            created: metadata.created,
            used_by,
        })
    }
}
