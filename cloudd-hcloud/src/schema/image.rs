//! Images.

use serde::{Deserialize, Serialize};

use super::lenient::{or_default, or_none};
use super::open_enum::open_enum;
use super::{Architecture, Deprecation, ImageId, Labels, Timestamp};

/// An image: the initial contents of a server's root disk.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// The id.
    pub id: ImageId,
    /// A public image, or a snapshot of the project.
    #[serde(rename = "type")]
    pub kind: ImageType,
    /// Whether servers can be created from it.
    pub status: ImageStatus,
    /// The name of a public image. Not unique, as architectures share names. Snapshots have none.
    #[serde(default)]
    pub name: Option<String>,
    /// The description.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// The billed size of the compressed image, in GB. Absent while the image is created.
    #[serde(default)]
    pub image_size: Option<f64>,
    /// The smallest disk it fits on, in GB.
    #[serde(default, deserialize_with = "or_default")]
    pub disk_size: f64,
    /// When it was created.
    #[serde(default, deserialize_with = "or_none")]
    pub created: Option<Timestamp>,
    /// The operating system's family, such as `fedora`.
    #[serde(default, deserialize_with = "or_default")]
    pub os_flavor: String,
    /// The operating system's version, such as `42`.
    #[serde(default)]
    pub os_version: Option<String>,
    /// The deletion protection.
    #[serde(default, deserialize_with = "or_default")]
    pub protection: Protection,
    /// Set when Hetzner has announced to withdraw the image.
    #[serde(default, deserialize_with = "or_none")]
    pub deprecation: Option<Deprecation>,
    /// The labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    /// The CPU architecture it runs on.
    #[serde(default)]
    pub architecture: Option<Architecture>,
}

impl Image {
    /// Whether Hetzner has announced to withdraw the image.
    #[must_use]
    pub fn is_deprecated(&self) -> bool {
        self.deprecation.is_some()
    }
}

/// The deletion protection of a resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Protection {
    /// A deletion is rejected with the code `protected` while this is set.
    #[serde(default)]
    pub delete: bool,
}

open_enum! {
    /// The origin of an image.
    pub enum ImageType {
        System = "system",
        App = "app",
        Snapshot = "snapshot",
        Backup = "backup",
    }
}

open_enum! {
    /// The status of an image.
    pub enum ImageStatus {
        Available = "available",
        Creating = "creating",
        Unavailable = "unavailable",
    }
}

/// The body of `POST /servers/{id}/actions/create_image`, which creates a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CreateImage {
    /// Always `snapshot`: a backup is deleted with its server.
    #[serde(rename = "type")]
    kind: ImageType,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
}

impl CreateImage {
    /// A snapshot with this description.
    pub(crate) fn new(description: impl Into<String>) -> Self {
        Self { kind: ImageType::Snapshot, description: description.into(), labels: Labels::new() }
    }

    /// Sets the labels.
    pub(crate) fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }
}
