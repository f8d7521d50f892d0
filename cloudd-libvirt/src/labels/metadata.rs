//! The metadata of volumes, images and base images: labels, state, and what else libvirt does not
//! store.
//!
//! Metadata are a small JSON file next to the data, itself a volume of the pool, so that they move
//! with the pool and are found by every process. The file is written before the data and deleted
//! after them. A volume or image is complete only if its state is [`MetadataState::Ready`].

use std::time::{SystemTime, UNIX_EPOCH};

use cloudd_core::provider::{
    Architecture, BuildId, Image, ImageId, ImageStatus, Labels, Size, keys,
};
use serde::{Deserialize, Serialize};

/// The kind of resource that metadata describe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MetadataKind {
    /// An install volume.
    Volume,
    /// An image.
    Image,
    /// A cached base image.
    Base,
}

impl MetadataKind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Volume => ".cloudd-volume.json",
            Self::Image => ".cloudd-image.json",
            Self::Base => ".cloudd-base.json",
        }
    }

    /// The name of the metadata file of a resource.
    pub(crate) fn file(self, name: &str) -> String {
        format!("{name}{}", self.suffix())
    }

    /// The name of the resource that a metadata file describes.
    pub(crate) fn name_in(self, file: &str) -> Option<&str> {
        file.strip_suffix(self.suffix())
    }
}

/// The state of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum MetadataState {
    /// Being created, or left incomplete.
    Creating,
    /// Complete.
    Ready,
    /// Being deleted; no new use may begin.
    Deleting,
}

/// The contents of a metadata file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Metadata {
    /// The version of the file format.
    pub(crate) cloudd: u32,
    pub(crate) kind: MetadataKind,
    pub(crate) name: String,
    pub(crate) state: MetadataState,
    /// The name of the volume with the data.
    pub(crate) data: String,
    /// The virtual size of the disk.
    pub(crate) size: Size,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) architecture: Option<Architecture>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The format of the data of a base image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    /// Seconds since 1970.
    pub(crate) created: u64,
}

const VERSION: u32 = 1;
/// Files are whole pages, so that an update overwrites all of the previous contents.
const PAGE: usize = 4096;
/// Seconds until a corrupt file expires. Writing one takes milliseconds.
const CORRUPT_EXPIRES_AFTER: u64 = 600;

impl Metadata {
    pub(crate) fn new(kind: MetadataKind, name: &str, data: String, size: Size) -> Self {
        Self {
            cloudd: VERSION,
            kind,
            name: name.to_owned(),
            state: MetadataState::Creating,
            data,
            size,
            labels: Labels::new(),
            architecture: None,
            description: None,
            format: None,
            created: now(),
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == MetadataState::Ready
    }

    pub(crate) fn file(&self) -> String {
        self.kind.file(&self.name)
    }

    /// One line of JSON, padded with spaces to whole pages and to at least `at_least` bytes.
    pub(crate) fn encode(&self, at_least: usize) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        let length = (bytes.len() + 1).max(at_least).next_multiple_of(PAGE);
        bytes.resize(length - 1, b' ');
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// `None` if the bytes are incomplete or of an unknown version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let metadata: Self = serde_json::from_slice(bytes).ok()?;
        (metadata.cloudd == VERSION).then_some(metadata)
    }

    /// Replaces a file whose writer died before its first byte, when no data existed yet. The build
    /// is the last part of the name that has the form of a build id; the name of an image, which
    /// comes before it, may contain such a part, too.
    pub(crate) fn corrupt(kind: MetadataKind, name: &str, modified: Option<u64>) -> Self {
        let build = name
            .rsplit(|c: char| !c.is_ascii_alphanumeric())
            .find_map(|part| BuildId::try_from(part.to_owned()).ok());
        let build = build.map_or_else(|| "unknown".to_owned(), String::from);
        let created = modified.unwrap_or(0);
        let expires = created.saturating_add(CORRUPT_EXPIRES_AFTER).to_string();
        let labels = Labels::from_iter([(keys::BUILD, build), (keys::EXPIRES, expires)]);
        let data = match kind {
            MetadataKind::Volume => volume_file(name),
            MetadataKind::Image => image_file(name),
            MetadataKind::Base => String::new(),
        };
        Self { labels, created, ..Self::new(kind, name, data, Size::bytes(0)) }
    }

    /// The image that the metadata describe.
    pub(crate) fn image(&self) -> Image {
        let status = match self.state {
            MetadataState::Creating => ImageStatus::Creating,
            MetadataState::Ready => ImageStatus::Available,
            MetadataState::Deleting => ImageStatus::Broken,
        };
        let mut image = Image::new(ImageId::new(&self.name), status, self.size);
        image.created = self.created;
        image.labels = self.labels.clone();
        image
    }
}

/// Whether both have the same build label.
pub(crate) fn same_build(existing: &Labels, wanted: &Labels) -> bool {
    same_label(keys::BUILD, existing, wanted)
}

/// Whether both have this label with the same value.
pub(crate) fn same_label(key: &str, existing: &Labels, wanted: &Labels) -> bool {
    existing.get(key).is_some_and(|value| wanted.get(key) == Some(value))
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The name of the data volume of an install volume.
pub(crate) fn volume_file(name: &str) -> String {
    format!("{name}.volume.qcow2")
}

/// The name of the data volume of an image.
pub(crate) fn image_file(name: &str) -> String {
    format!("{name}.qcow2")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metadata() -> Metadata {
        let mut metadata =
            Metadata::new(MetadataKind::Image, "leap", image_file("leap"), Size::gib(10));
        metadata.labels.insert(keys::BUILD, "abcdefghij").unwrap();
        metadata
    }

    #[test]
    fn metadata_are_read_back_and_overwrite_longer_ones() {
        let mut long = metadata();
        long.description = Some("x".repeat(5000));
        let mut file = long.encode(0).unwrap();
        assert_eq!(file.len(), 2 * PAGE);
        let short = metadata();
        let bytes = short.encode(file.len()).unwrap();
        file[..bytes.len()].copy_from_slice(&bytes);
        assert_eq!(Metadata::decode(&file), Some(short));
    }

    #[test]
    fn incomplete_and_future_files_are_rejected() {
        let bytes = metadata().encode(0).unwrap();
        assert_eq!(Metadata::decode(&bytes[..100]), None);
        assert_eq!(Metadata::decode(&[0; PAGE]), None);
        let future = Metadata { cloudd: 2, ..metadata() };
        assert_eq!(Metadata::decode(&future.encode(0).unwrap()), None);
    }

    #[test]
    fn a_corrupt_file_has_its_build_and_can_be_swept() {
        let corrupt =
            Metadata::corrupt(MetadataKind::Volume, "cloudd-abc123defg-volume", Some(1000));
        assert_eq!(corrupt.labels.get(keys::BUILD), Some("abc123defg"));
        assert_eq!(corrupt.labels.get(keys::EXPIRES), Some("1600"));
        assert!(!corrupt.is_ready());
        let image =
            Metadata::corrupt(MetadataKind::Image, "kubernetes-1.31-abc123defg", Some(1000));
        assert_eq!(image.labels.get(keys::BUILD), Some("abc123defg"));
        let nameless = Metadata::corrupt(MetadataKind::Volume, "x", None);
        assert!(nameless.labels.is_managed());
    }

    #[test]
    fn names_of_files_are_parsed() {
        for kind in [MetadataKind::Volume, MetadataKind::Image, MetadataKind::Base] {
            assert_eq!(kind.name_in(&kind.file("a.b")), Some("a.b"));
            assert_eq!(kind.name_in("a.qcow2"), None);
        }
        assert_eq!(MetadataKind::Image.name_in(&MetadataKind::Volume.file("a")), None);
    }
}
