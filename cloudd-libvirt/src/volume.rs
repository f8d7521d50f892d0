//! The install volume of a build, which the install container writes.

use cloudd_core::provider::{Error, ErrorKind, Labels, Result, Size, Volume, VolumeId};

use crate::connection::Session;
use crate::error::invalid;
use crate::labels::{Adopted, Metadata, MetadataKind, MetadataState, volume_file};
use crate::xml::domain::Serial;
use crate::xml::volume::{Format, NewVolume};

impl Session {
    /// Creates the install volume, or adopts the one of the same name and build. The size is rounded
    /// up to whole sectors.
    pub(crate) fn create_install_volume(
        &self,
        name: &str,
        labels: &Labels,
        size: Size,
    ) -> Result<Volume> {
        let size =
            size.as_bytes().checked_next_multiple_of(512).map(Size::bytes).ok_or_else(|| {
                invalid("create volume", "the size is too large").with_resource(name)
            })?;
        let mut wanted = Metadata::new(MetadataKind::Volume, name, volume_file(name), size);
        wanted.labels = labels.clone();
        match self.create_or_adopt(&wanted)? {
            Adopted::New => {}
            Adopted::Ready(existing) => return Ok(volume(&existing)),
            Adopted::Resume(existing) if existing.state == MetadataState::Deleting => {
                return Err(Error::new(ErrorKind::Busy, "create volume")
                    .with_resource(name)
                    .with_message("an older volume of this name is being deleted"));
            }
            Adopted::Resume(_) => self.write_metadata(&wanted)?,
        }
        self.recreate_volume(&NewVolume::new(&wanted.data, Format::Qcow2, size))?;
        wanted.state = MetadataState::Ready;
        self.write_metadata(&wanted)?;
        Ok(volume(&wanted))
    }

    pub(crate) fn delete_install_volume(&self, name: &str) -> Result<()> {
        self.delete_with_metadata("delete volume", MetadataKind::Volume, name)
    }
}

fn volume(metadata: &Metadata) -> Volume {
    let device = Serial::Volume.device().into();
    let id = VolumeId::new(&metadata.name);
    let mut volume = Volume::new(id, &metadata.name, metadata.size, device);
    volume.labels = metadata.labels.clone();
    volume
}
