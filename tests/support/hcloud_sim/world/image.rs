//! Images: those Hetzner offers, and snapshots and backups of servers.

use serde_json::{Map, Value, json};

use super::super::clock::Time;
use super::super::wire::ApiError;
use super::World;

/// Where an image comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageType {
    System,
    App,
    Snapshot,
    Backup,
}

impl ImageType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::App => "app",
            Self::Snapshot => "snapshot",
            Self::Backup => "backup",
        }
    }

    /// Whether it belongs to the project, so that it can be changed and deleted.
    pub(crate) fn is_own(self) -> bool {
        matches!(self, Self::Snapshot | Self::Backup)
    }
}

/// Whether an image can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ImageStatus {
    Available,
    Creating,
    Unavailable,
}

impl ImageStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Creating => "creating",
            Self::Unavailable => "unavailable",
        }
    }
}

/// One image.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub id: u64,
    pub kind: ImageType,
    pub status: ImageStatus,
    /// `None` for snapshots and backups.
    pub name: Option<String>,
    pub description: String,
    /// Compressed size.
    pub gb: Option<f64>,
    pub disk_gb: u64,
    pub created: Time,
    /// Id and name of the server it was taken from.
    pub from: Option<(u64, String)>,
    pub flavor: String,
    pub version: Option<String>,
    pub labels: Map<String, Value>,
    pub protected: bool,
    pub architecture: String,
    /// Days since deprecation was announced, days of notice.
    pub deprecated: Option<(u64, u64)>,
}

impl Image {
    /// Not to be had any more.
    pub(crate) fn is_past(&self) -> bool {
        self.deprecated.is_some_and(|(age, notice)| age >= notice)
    }
}

impl World {
    /// # Errors
    /// `not_found`.
    pub(crate) fn image(&self, id: u64) -> Result<&Image, ApiError> {
        self.images.get(&id).ok_or_else(|| ApiError::not_found("image", id))
    }

    pub(crate) fn with_image(&mut self, id: u64, change: impl FnOnce(&mut Image)) {
        if let Some(image) = self.images.get_mut(&id) {
            change(image);
        }
    }

    pub(crate) fn image_json(&self, image: &Image) -> Value {
        let deprecation =
            image.deprecated.map(|(age, notice)| self.catalog.deprecation(age, notice));
        json!({
            "id": image.id,
            "type": image.kind.name(),
            "status": image.status.name(),
            "name": image.name,
            "description": image.description,
            "image_size": image.gb,
            "disk_size": image.disk_gb,
            "created": image.created.rfc3339(),
            "created_from": image.from.as_ref().map(|(id, name)| json!({"id": id, "name": name})),
            "bound_to": image.from.as_ref().filter(|_| image.kind == ImageType::Backup).map(|(id, _)| id),
            "os_flavor": image.flavor,
            "os_version": image.version,
            "rapid_deploy": image.kind == ImageType::System,
            "protection": {"delete": image.protected},
            "deprecation": deprecation,
            "deleted": null,
            "labels": image.labels,
            "architecture": image.architecture,
        })
    }

    /// Puts the catalog's images on offer.
    pub(super) fn offer_system_images(&mut self) {
        for offer in self.catalog.system_images() {
            let image = Image {
                id: offer.id,
                kind: if offer.kind == "app" { ImageType::App } else { ImageType::System },
                status: ImageStatus::Available,
                name: Some(offer.name.to_owned()),
                description: offer.description.to_owned(),
                gb: None,
                disk_gb: 5,
                created: self.now.before(std::time::Duration::from_secs(offer.age * 86_400)),
                from: None,
                flavor: offer.flavor.to_owned(),
                version: Some(offer.version.to_owned()),
                labels: Map::new(),
                protected: false,
                architecture: offer.architecture.to_owned(),
                deprecated: offer.deprecated(),
            };
            self.images.insert(image.id, image);
        }
    }
}
