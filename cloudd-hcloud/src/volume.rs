//! The install volume of a build.

use cloudd_core::provider::{BuilderSpec, Error, ErrorKind, Result, Size, Volume, VolumeId};

use crate::builder::Hcloud;
use crate::client::CreateOutcome;
use crate::labels;
use crate::schema::{self, CreateVolume, Label};

impl Hcloud {
    /// Creates the volume of a build at `location`, or adopts the one that the build has already,
    /// which can be at another location.
    pub(crate) async fn create_volume(
        &self,
        spec: &BuilderSpec,
        location: &str,
        idempotency_label: &Label,
    ) -> std::result::Result<CreateOutcome<schema::Volume>, crate::Error> {
        let size = spec.requirements.volume_size.in_units_of(Size::gib(1));
        let size = u32::try_from(size).unwrap_or(u32::MAX).max(10);
        let request =
            CreateVolume::new(&spec.name, size, location).labels(labels::to_hetzner(&spec.labels));
        self.client().create_volume(&request, idempotency_label).await
    }

    pub(crate) async fn delete_volume(&self, id: schema::VolumeId) -> Result<()> {
        let Err(error) = self.client().delete_volume(id).await else { return Ok(()) };
        if error.kind() == ErrorKind::Failed {
            // The API has no error code of its own for an attached volume.
            let volume = self.client().volume(id).await.ok();
            if let Some(server) = volume.and_then(|volume| volume.server) {
                return Err(Error::new(ErrorKind::Busy, "delete volume")
                    .with_resource(id)
                    .with_message(format_args!("the volume is attached to server {server}"))
                    .with_source(error));
            }
        }
        Err(error.into())
    }
}

/// Converts a volume.
pub(crate) fn from_hetzner(volume: &schema::Volume) -> Volume {
    let device = format!("/dev/disk/by-id/scsi-0HC_Volume_{}", volume.id);
    // A gigabyte of a Hetzner volume is 2^30 bytes: a volume of 10 GB has 10 GiB in the guest.
    let size = Size::gib(crate::convert::whole(volume.size));
    let id = VolumeId::new(volume.id.to_string());
    let mut converted = Volume::new(id, &volume.name, size, device.into());
    converted.labels = labels::from_hetzner(&volume.labels);
    converted
}
