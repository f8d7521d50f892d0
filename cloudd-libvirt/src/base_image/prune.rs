//! Removal of unused base images from the cache.

use std::time::Duration;

use cloudd_core::provider::{ErrorKind, Result};

use crate::connection::Session;
use crate::labels::{Metadata, MetadataKind, MetadataState, now};

const DELETE: &str = "delete base image";
/// The age at which an incomplete upload is considered abandoned: a day.
const ABANDONED: u64 = 24 * 60 * 60;

impl Session {
    /// Deletes every cached base image of at least this age that is not the backing file of a disk.
    /// Returns the names of those deleted.
    pub(crate) fn prune_base_images(&self, older_than: Duration) -> Result<Vec<String>> {
        let mut deleted = Vec::new();
        for metadata in self.all_metadata(MetadataKind::Base)? {
            let recent = |seconds| metadata.created.saturating_add(seconds) > now();
            let uploading = metadata.state == MetadataState::Creating && recent(ABANDONED);
            if recent(older_than.as_secs()) || uploading {
                continue;
            }
            // Of a newer version, for example.
            if metadata.ensure_understood(DELETE).is_err() {
                continue;
            }
            let ready = Metadata { state: MetadataState::Ready, ..metadata.clone() };
            match self.delete_metadata_and_data(DELETE, &metadata, &ready) {
                Err(error) if error.kind() == ErrorKind::Busy => {}
                result => {
                    result?;
                    deleted.push(metadata.name);
                }
            }
        }
        Ok(deleted)
    }
}
