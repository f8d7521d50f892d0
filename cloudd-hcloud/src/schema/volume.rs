//! Volumes.

use serde::{Deserialize, Serialize};

use super::lenient::{or_default, or_none};
use super::{Labels, Location, ServerId, VolumeId};

/// A volume: a disk that can be attached to one server.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Volume {
    pub(crate) id: VolumeId,
    /// The name, unique in the project.
    pub(crate) name: String,
    /// The server it is attached to.
    #[serde(default)]
    pub(crate) server: Option<ServerId>,
    #[serde(default, deserialize_with = "or_none")]
    pub(crate) location: Option<Location>,
    /// The size in GB.
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) size: f64,
    #[serde(default, deserialize_with = "or_default")]
    pub(crate) labels: Labels,
}

/// The body of `POST /volumes`. The volume has no file system, as the install container writes the
/// whole disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CreateVolume {
    /// The name, unique in the project.
    pub(crate) name: String,
    /// The size in GB, 10 to 10240.
    size: u32,
    location: String,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
}

impl CreateVolume {
    /// A volume of `size` GB that is attached to no server.
    pub(crate) fn new(name: impl Into<String>, size: u32, location: impl Into<String>) -> Self {
        Self { name: name.into(), size, location: location.into(), labels: Labels::new() }
    }

    /// Sets the labels.
    pub(crate) fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }
}
