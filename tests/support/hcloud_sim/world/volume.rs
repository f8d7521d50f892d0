//! Volumes.

use serde_json::{Map, Value, json};

use super::super::clock::Time;
use super::super::wire::ApiError;
use super::World;

/// A volume's status. Being attached shows in `server`, not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum VolumeStatus {
    Creating,
    Available,
}

impl VolumeStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Available => "available",
        }
    }
}

/// One volume.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub id: u64,
    pub name: String,
    pub status: VolumeStatus,
    pub created: Time,
    pub gb: u64,
    pub location: u64,
    pub server: Option<u64>,
    pub format: Option<String>,
    pub labels: Map<String, Value>,
    pub protected: bool,
}

/// The by-id path under which a server finds a volume.
pub(crate) fn linux_device(id: u64) -> String {
    format!("/dev/disk/by-id/scsi-0HC_Volume_{id}")
}

impl World {
    /// # Errors
    /// `not_found`.
    pub(crate) fn volume(&self, id: u64) -> Result<&Volume, ApiError> {
        self.volumes.get(&id).ok_or_else(|| ApiError::not_found("volume", id))
    }

    pub(crate) fn with_volume(&mut self, id: u64, change: impl FnOnce(&mut Volume)) {
        if let Some(volume) = self.volumes.get_mut(&id) {
            change(volume);
        }
    }

    pub(crate) fn volume_json(&self, volume: &Volume) -> Value {
        json!({
            "id": volume.id,
            "created": volume.created.rfc3339(),
            "name": volume.name,
            "server": volume.server,
            "location": self.location_of(volume.location).json(),
            "size": volume.gb,
            "linux_device": linux_device(volume.id),
            "protection": {"delete": volume.protected},
            "labels": volume.labels,
            "status": volume.status.name(),
            "format": volume.format,
        })
    }
}
