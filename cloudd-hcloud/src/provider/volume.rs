//! Volumes.

use cloudd_core::provider::{
    Architecture, Error, ErrorKind, Result, Size, Volume, VolumeId, VolumeSpec, keys,
};

use super::{ACTION, Hcloud, labels, parse};
use crate::client::{ActionWait, Made};
use crate::schema::{self, CreateVolume, LocationRef, VolumePlace};

impl Hcloud {
    /// Creates a volume in the best location that has room for it.
    pub(super) async fn new_volume(&self, spec: &VolumeSpec) -> Result<Volume> {
        const CREATE: &str = "create volume";
        let mine = labels::build_label(CREATE, &spec.labels)?;
        let size = u32::try_from(spec.size.in_units_of(Size::gib(1))).unwrap_or(u32::MAX).max(10);
        let architecture = architecture(spec);
        for location in self.locations(mine.value(), architecture, spec.size).await? {
            let place = VolumePlace::Location(LocationRef::name(&location));
            let wish =
                CreateVolume::new(&spec.name, size, place).labels(labels::to_hetzner(&spec.labels));
            match self.client().create_volume(&wish, &mine).await {
                Ok(Made { resource, actions, .. }) => {
                    // One that was adopted may be elsewhere.
                    let place = resource.location.as_ref().map_or(&location, |place| &place.name);
                    self.known().note_volume(resource.id, place, actions);
                    return Ok(of(&resource));
                }
                Err(error) if error.kind() == crate::ErrorKind::NoCapacity => {
                    self.refused(mine.value(), &location, "volume", &error);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Err(self.no_room(CREATE, mine.value(), &[]).with_resource(&spec.name))
    }

    /// The location of a volume, which is ready to be attached.
    pub(super) async fn ready_volume(&self, id: schema::VolumeId) -> Result<String> {
        if let Some(known) = self.known().volume(id) {
            self.client().wait(ActionWait::new(known.actions, ACTION)).await?;
            self.known().volume_is_ready(id);
            return Ok(known.location);
        }
        // Of another process; if it is not ready, it is locked, and waited for by that.
        let volume = self.client().volume(id).await?;
        let location = volume.location.ok_or_else(|| {
            Error::new(ErrorKind::Failed, "attach volume")
                .with_resource(id)
                .with_message("the API does not say where it is")
        })?;
        Ok(location.name)
    }

    pub(super) async fn delete_volume(&self, id: schema::VolumeId) -> Result<()> {
        let Err(error) = self.client().delete_volume(id).await else {
            self.known().forget_volume(id);
            return Ok(());
        };
        if error.kind() == crate::ErrorKind::Refused {
            // The API has no code of its own for this.
            let attached = self.client().volume(id).await.ok().and_then(|volume| volume.server);
            if let Some(server) = attached {
                return Err(Error::new(ErrorKind::Busy, "delete volume")
                    .with_resource(id)
                    .with_message(format_args!("it is attached to server {server}"))
                    .with_source(error));
            }
        }
        Err(error.into())
    }
}

/// A volume as the core has it.
fn of(volume: &schema::Volume) -> Volume {
    let device = format!("/dev/disk/by-id/scsi-0HC_Volume_{}", volume.id);
    // Hetzner's GB of volumes are 2^30 bytes: a volume of 10 GB shows as 10 GiB in the guest.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the API gives whole numbers of 10 to 10240"
    )]
    let size = Size::gib(volume.size as u64);
    let id = VolumeId::new(volume.id.to_string());
    let mut made = Volume::new(id, &volume.name, size, device.into());
    made.labels = labels::of_hetzner(&volume.labels);
    made
}

pub(super) fn id(id: &VolumeId) -> Result<schema::VolumeId> {
    parse("find volume", id.as_str())
}

/// For which architecture a volume is: without the builder's label, the common one. A wrong guess
/// costs a move.
fn architecture(spec: &VolumeSpec) -> Architecture {
    match spec.labels.get(keys::ARCHITECTURE) {
        Some(name) if name == Architecture::Aarch64.as_str() => Architecture::Aarch64,
        _ => Architecture::X86_64,
    }
}
