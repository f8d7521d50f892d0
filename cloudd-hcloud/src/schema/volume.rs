//! Volumes.

use serde::{Deserialize, Serialize};

use super::label::check_labels;
use super::lenient::{or_default, or_none};
use super::open_enum::open_enum;
use super::rules::{check_volume_name, check_volume_size};
use super::{Labels, Location, LocationRef, Protection, ServerId, Timestamp, VolumeId};
use crate::Error;

/// A volume: a disk of its own, attached to at most one server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Volume {
    /// The id.
    pub id: VolumeId,
    /// The name, unique in the project.
    pub name: String,
    /// Creating or available. Says nothing about attachment.
    pub status: VolumeStatus,
    /// The server it is attached to.
    #[serde(default)]
    pub server: Option<ServerId>,
    /// Where it stands.
    #[serde(default, deserialize_with = "or_none")]
    pub location: Option<Location>,
    /// Size, in GB.
    #[serde(default, deserialize_with = "or_default")]
    pub size: f64,
    /// Its path in the guest, `/dev/disk/by-id/scsi-0HC_Volume_<id>`.
    #[serde(default, deserialize_with = "or_default")]
    pub linux_device: String,
    /// Deletion protection.
    #[serde(default, deserialize_with = "or_default")]
    pub protection: Protection,
    /// The labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    /// When it was created.
    #[serde(default, deserialize_with = "or_none")]
    pub created: Option<Timestamp>,
}

open_enum! {
    /// The state of a volume.
    pub enum VolumeStatus {
        Creating = "creating",
        Available = "available",
    }
}

/// Where a new volume goes: the API takes one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum VolumePlace {
    /// Free, in a location.
    Location(LocationRef),
    /// Attached to a server, in its location. The server is locked meanwhile.
    Server(ServerId),
}

/// `POST /volumes`. Without file system and never mounted: the install container writes the whole
/// disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CreateVolume {
    /// The name, unique in the project.
    pub name: String,
    /// Size, in GB: 10 to 10240.
    pub size: u32,
    /// Where it goes.
    #[serde(flatten)]
    pub place: VolumePlace,
    /// The labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

impl CreateVolume {
    /// A volume of `size` GB.
    pub fn new(name: impl Into<String>, size: u32, place: VolumePlace) -> Self {
        Self { name: name.into(), size, place, labels: Labels::new() }
    }

    /// Sets the labels.
    #[must_use]
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_volume_name(&self.name)?;
        check_volume_size(self.size)?;
        check_labels(&self.labels)
    }
}

/// `PUT /volumes/{id}`: what is not set stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpdateVolume {
    /// Replaces the whole set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
}

impl UpdateVolume {
    /// Replaces all labels.
    #[must_use]
    pub fn labels(labels: Labels) -> Self {
        Self { labels: Some(labels) }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.labels.as_ref().map_or(Ok(()), check_labels)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_volume_goes_to_a_location_or_to_a_server() {
        let free = CreateVolume::new("v", 10, VolumePlace::Location(LocationRef::name("fsn1")));
        assert_eq!(
            serde_json::to_value(free).unwrap(),
            json!({"name": "v", "size": 10, "location": "fsn1"})
        );
        let attached = CreateVolume::new("v", 10, VolumePlace::Server(ServerId(7)));
        assert_eq!(
            serde_json::to_value(attached).unwrap(),
            json!({"name": "v", "size": 10, "server": 7})
        );
    }
}
