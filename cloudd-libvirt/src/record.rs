//! What libvirt has no place for: the labels of volumes and images, and how far each is.
//!
//! A record is a small JSON file beside the volume that it is about, itself a volume of the pool,
//! so that it travels with the pool and every process finds it. It is written before the volume
//! and deleted after it: nothing is ever there that cannot be found. A volume or image counts
//! only when its record says [`RecordState::Ready`].

use std::time::{SystemTime, UNIX_EPOCH};

use cloudd_core::provider::{Architecture, BuildId, Labels, Size, keys};
use serde::{Deserialize, Serialize};

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordKind {
    /// A volume that an install container writes.
    Volume,
    /// An image.
    Image,
    /// A base image in the cache.
    Base,
}

impl RecordKind {
    fn suffix(self) -> &'static str {
        match self {
            Self::Volume => ".cloudd-volume.json",
            Self::Image => ".cloudd-image.json",
            Self::Base => ".cloudd-base.json",
        }
    }

    /// The name of the record of what has this name.
    pub(crate) fn file(self, name: &str) -> String {
        format!("{name}{}", self.suffix())
    }

    /// The name of what such a file is the record of.
    pub(crate) fn name_in(self, file: &str) -> Option<&str> {
        file.strip_suffix(self.suffix())
    }
}

/// How far something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum RecordState {
    /// Being made, or given up half made.
    Creating,
    /// Complete.
    Ready,
    /// Being deleted: nobody may begin to use it.
    Deleting,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The version of this format.
    pub(crate) cloudd: u32,
    pub(crate) kind: RecordKind,
    pub(crate) name: String,
    pub(crate) state: RecordState,
    /// The volume with the data.
    pub(crate) data: String,
    /// The size of the disk in it.
    pub(crate) size: Size,
    #[serde(default, skip_serializing_if = "Labels::is_empty")]
    pub(crate) labels: Labels,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) architecture: Option<Architecture>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    /// The format of the data, where it can differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) format: Option<String>,
    /// Seconds since 1970.
    pub(crate) created: u64,
}

const VERSION: u32 = 1;
/// Records are whole pages: writing one over another is one write of as many bytes.
const PAGE: usize = 4096;
/// How long a record may stay unreadable before a sweep takes it: its writer needs milliseconds.
const TORN_FOR: u64 = 600;

impl Record {
    pub(crate) fn new(kind: RecordKind, name: &str, data: String, size: Size) -> Self {
        Self {
            cloudd: VERSION,
            kind,
            name: name.to_owned(),
            state: RecordState::Creating,
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
        self.state == RecordState::Ready
    }

    pub(crate) fn file(&self) -> String {
        self.kind.file(&self.name)
    }

    /// One line of JSON, filled up with spaces to whole pages, at least `at_least` bytes.
    pub(crate) fn encode(&self, at_least: usize) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        let length = (bytes.len() + 1).max(at_least).next_multiple_of(PAGE);
        bytes.resize(length - 1, b' ');
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// `None` when the bytes are not a whole record of a known version.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let record: Self = serde_json::from_slice(bytes).ok()?;
        (record.cloudd == VERSION).then_some(record)
    }

    /// What is known of a record whose writer died before its first byte: nothing was made yet, as
    /// records come first. The build is the last part of the name that looks like one: an
    /// image's own name, which comes before it, may have such a part, too.
    pub(crate) fn torn(kind: RecordKind, name: &str, modified: Option<u64>) -> Self {
        let build = name
            .rsplit(|c: char| !c.is_ascii_alphanumeric())
            .find_map(|part| BuildId::try_from(part.to_owned()).ok());
        let build = build.map_or_else(|| "unknown".to_owned(), String::from);
        let created = modified.unwrap_or(0);
        let expires = created.saturating_add(TORN_FOR).to_string();
        let labels = Labels::from_iter([(keys::BUILD, build), (keys::EXPIRES, expires)]);
        let data = match kind {
            RecordKind::Volume => volume_file(name),
            RecordKind::Image => image_file(name),
            RecordKind::Base => String::new(),
        };
        Self { labels, created, ..Self::new(kind, name, data, Size::bytes(0)) }
    }
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

/// The volume with the data of a volume.
pub(crate) fn volume_file(name: &str) -> String {
    format!("{name}.volume.qcow2")
}

/// The volume with the data of an image.
pub(crate) fn image_file(name: &str) -> String {
    format!("{name}.qcow2")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut record = Record::new(RecordKind::Image, "leap", image_file("leap"), Size::gib(10));
        record.labels.insert(keys::BUILD, "abcdefghij").unwrap();
        record
    }

    #[test]
    fn a_record_comes_back_and_overwrites_a_longer_one() {
        let mut long = record();
        long.description = Some("x".repeat(5000));
        let mut file = long.encode(0).unwrap();
        assert_eq!(file.len(), 2 * PAGE);
        let short = record();
        let bytes = short.encode(file.len()).unwrap();
        file[..bytes.len()].copy_from_slice(&bytes);
        assert_eq!(Record::decode(&file), Some(short));
    }

    #[test]
    fn half_a_record_and_one_of_the_future_are_no_records() {
        let bytes = record().encode(0).unwrap();
        assert_eq!(Record::decode(&bytes[..100]), None);
        assert_eq!(Record::decode(&[0; PAGE]), None);
        let future = Record { cloudd: 2, ..record() };
        assert_eq!(Record::decode(&future.encode(0).unwrap()), None);
    }

    #[test]
    fn a_torn_record_still_tells_its_build_and_can_be_swept() {
        let torn = Record::torn(RecordKind::Volume, "cloudd-abc123defg-volume", Some(1000));
        assert_eq!(torn.labels.get(keys::BUILD), Some("abc123defg"));
        assert_eq!(torn.labels.get(keys::EXPIRES), Some("1600"));
        assert!(!torn.is_ready());
        let image = Record::torn(RecordKind::Image, "kubernetes-1.31-abc123defg", Some(1000));
        assert_eq!(image.labels.get(keys::BUILD), Some("abc123defg"));
        let nameless = Record::torn(RecordKind::Volume, "x", None);
        assert!(nameless.labels.is_managed());
    }

    #[test]
    fn names_of_records_are_read_back() {
        for kind in [RecordKind::Volume, RecordKind::Image, RecordKind::Base] {
            assert_eq!(kind.name_in(&kind.file("a.b")), Some("a.b"));
            assert_eq!(kind.name_in("a.qcow2"), None);
        }
        assert_eq!(RecordKind::Image.name_in(&RecordKind::Volume.file("a")), None);
    }
}
