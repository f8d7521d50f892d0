//! Images.

use serde::{Deserialize, Serialize};

use super::label::check_labels;
use super::lenient::{or_default, or_none};
use super::open_enum::open_enum;
use super::{Architecture, Deprecation, ImageId, Labels, Protection, ServerId, Timestamp};
use crate::Error;

/// An image: what a server's root disk starts from.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Image {
    /// The id.
    pub id: ImageId,
    /// Public, or a snapshot of the project.
    #[serde(rename = "type")]
    pub kind: ImageType,
    /// Whether servers can be made of it.
    pub status: ImageStatus,
    /// The name of a public image, not unique: architectures share it. Snapshots have none.
    #[serde(default)]
    pub name: Option<String>,
    /// For people.
    #[serde(default, deserialize_with = "or_default")]
    pub description: String,
    /// What is billed, in GB: the compressed image. Absent while it is created.
    #[serde(default)]
    pub image_size: Option<f64>,
    /// The disk that it needs at least, in GB.
    #[serde(default, deserialize_with = "or_default")]
    pub disk_size: f64,
    /// When it was created.
    #[serde(default, deserialize_with = "or_none")]
    pub created: Option<Timestamp>,
    /// The server it was taken of.
    #[serde(default, deserialize_with = "or_none")]
    pub created_from: Option<CreatedFrom>,
    /// The operating system's family, such as `fedora`.
    #[serde(default, deserialize_with = "or_default")]
    pub os_flavor: String,
    /// The operating system's version, such as `42`.
    #[serde(default)]
    pub os_version: Option<String>,
    /// Deletion protection.
    #[serde(default, deserialize_with = "or_default")]
    pub protection: Protection,
    /// Set when the image is about to be withdrawn.
    #[serde(default, deserialize_with = "or_none")]
    pub deprecation: Option<Deprecation>,
    /// When it was deprecated, in answers of before September 2026.
    #[serde(default, deserialize_with = "or_none")]
    pub deprecated: Option<Timestamp>,
    /// The labels.
    #[serde(default, deserialize_with = "or_default")]
    pub labels: Labels,
    /// What it runs on.
    #[serde(default)]
    pub architecture: Option<Architecture>,
}

impl Image {
    /// Whether the image is about to be withdrawn.
    #[must_use]
    pub fn is_deprecated(&self) -> bool {
        self.deprecation.is_some() || self.deprecated.is_some()
    }
}

open_enum! {
    /// Where an image comes from.
    pub enum ImageType {
        System = "system",
        App = "app",
        Snapshot = "snapshot",
        Backup = "backup",
    }
}

open_enum! {
    /// The state of an image.
    pub enum ImageStatus {
        Available = "available",
        Creating = "creating",
        Unavailable = "unavailable",
    }
}

/// The server that an image was taken of. It may be gone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct CreatedFrom {
    /// The server's id.
    pub id: ServerId,
    /// The server's name.
    #[serde(default, deserialize_with = "or_default")]
    pub name: String,
}

/// `POST /servers/{id}/actions/create_image`: a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CreateImage {
    /// `snapshot`; a backup would die with its server.
    #[serde(rename = "type")]
    kind: ImageType,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The labels.
    #[serde(skip_serializing_if = "Labels::is_empty")]
    pub labels: Labels,
}

impl CreateImage {
    /// A snapshot with this description.
    pub fn new(description: impl Into<String>) -> Self {
        Self { kind: ImageType::Snapshot, description: description.into(), labels: Labels::new() }
    }

    /// Sets the labels.
    #[must_use]
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = labels;
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        check_labels(&self.labels)
    }
}

/// `PUT /images/{id}`: what is not set stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct UpdateImage {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Replaces the whole set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
}

impl UpdateImage {
    /// Changes nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the description.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Replaces all labels.
    #[must_use]
    pub fn labels(mut self, labels: Labels) -> Self {
        self.labels = Some(labels);
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        self.labels.as_ref().map_or(Ok(()), check_labels)
    }
}
