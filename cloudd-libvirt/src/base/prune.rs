//! Emptying the cache of base images.

use std::time::Duration;

use cloudd_core::provider::{ErrorKind, Result};
use virt::storage_vol::StorageVol;

use crate::error::During;
use crate::record::{Record, RecordKind, RecordState, now};
use crate::session::Session;

const PRUNE: &str = "delete base image";

impl Session {
    /// Deletes every cached base image of this age that no disk is an overlay of. Gives the names
    /// of the deleted ones.
    pub(crate) fn prune_base_images(&self, older_than: Duration) -> Result<Vec<String>> {
        let mut deleted = Vec::new();
        for mut record in self.records(RecordKind::Base)? {
            let young = record.created.saturating_add(older_than.as_secs()) > now();
            if young || may_have_a_writer(&record) {
                continue;
            }
            record.state = RecordState::Deleting;
            self.write_record(&record)?;
            if let Some(volume) = self.volume(&record.data)? {
                if let Err(error) = self.ensure_volume_unused(&volume, &record.data) {
                    record.state = RecordState::Ready;
                    self.write_record(&record)?;
                    if error.kind() == ErrorKind::Busy {
                        continue;
                    }
                    return Err(error);
                }
                self.delete_volume(&record.data)?;
            }
            self.delete_record(RecordKind::Base, &record.name)?;
            deleted.push(record.name);
        }
        Ok(deleted)
    }

    fn ensure_volume_unused(&self, volume: &StorageVol, name: &str) -> Result<()> {
        self.ensure_unused(PRUNE, &volume.get_path().during(PRUNE, name)?, None)
    }
}

/// No upload takes longer than a day.
fn may_have_a_writer(record: &Record) -> bool {
    const DAY: u64 = 24 * 60 * 60;
    record.state == RecordState::Creating && record.created.saturating_add(DAY) > now()
}
