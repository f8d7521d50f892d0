//! Volumes that install containers write: created, found, deleted.

use cloudd_core::provider::{Error, ErrorKind, Labels, Result, Size, Volume, VolumeId};

use crate::error::During;
use crate::record::{Record, RecordKind, RecordState, volume_file};
use crate::session::Session;
use crate::vm::same_build;
use crate::xml::domain::Serial;
use crate::xml::volume::{Format, NewVolume};

impl Session {
    pub(crate) fn create_disk(&self, name: &str, labels: &Labels, size: Size) -> Result<Volume> {
        const CREATE: &str = "create volume";
        // Disks are whole sectors.
        let size = Size::bytes(size.as_bytes().next_multiple_of(512));
        let mut record = Record::new(RecordKind::Volume, name, volume_file(name), size);
        record.labels = labels.clone();
        match self.create_record(&record) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                let existing = self.record(RecordKind::Volume, name)?;
                match existing {
                    Some(existing) if same_build(&existing.labels, labels) => {
                        match existing.state {
                            RecordState::Ready => return Ok(volume(&existing)),
                            RecordState::Creating => self.write_record(&record)?,
                            RecordState::Deleting => {
                                return Err(Error::new(ErrorKind::Busy, CREATE)
                                    .with_resource(name)
                                    .with_message(
                                        "an older volume of this name is being deleted",
                                    ));
                            }
                        }
                    }
                    _ => return Err(error),
                }
            }
            Err(error) => return Err(error),
        }
        self.recreate_volume(&NewVolume {
            name: &record.data,
            format: Format::Qcow2,
            capacity: size,
            backing: None,
        })?;
        record.state = RecordState::Ready;
        self.write_record(&record)?;
        Ok(volume(&record))
    }

    pub(crate) fn delete_disk(&self, name: &str) -> Result<()> {
        self.delete_recorded("delete volume", RecordKind::Volume, name)
    }

    /// Deletes a volume or image: says so in its record, looks for users, deletes the data, and
    /// then the record.
    pub(crate) fn delete_recorded(
        &self,
        operation: &str,
        kind: RecordKind,
        name: &str,
    ) -> Result<()> {
        let Some(record) = self.record(kind, name)? else { return Ok(()) };
        let deleting = Record { state: RecordState::Deleting, ..record.clone() };
        match self.write_record(&deleting) {
            // Somebody else has deleted it meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            result => result?,
        }
        if let Some(data) = self.volume(&record.data)? {
            let path = data.get_path().during(operation, name)?;
            if let Err(error) = self.ensure_unused(operation, &path, None) {
                self.write_record(&record)?;
                return Err(error);
            }
            self.delete_volume(&record.data)?;
        }
        self.delete_record(kind, name)
    }
}

fn volume(record: &Record) -> Volume {
    let device = Serial::Volume.device().into();
    let mut volume = Volume::new(VolumeId::new(&record.name), &record.name, record.size, device);
    volume.labels = record.labels.clone();
    volume
}
