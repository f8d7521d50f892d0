//! The metadata of volumes, images and base images: labels, state, and what else libvirt does not
//! store.
//!
//! Metadata are a small JSON file next to the data, itself a volume of the pool, so that they move
//! with the pool and are found by every process. The file is written before the data and deleted
//! after them. A volume or image is complete only if its state is [`MetadataState::Ready`].

use std::time::{SystemTime, UNIX_EPOCH};

use cloudd_core::provider::{
    Architecture, BuildId, Error, ErrorKind, Image, ImageId, ImageStatus, Labels, Size, keys,
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

    /// Whether a resource of this name may have its data in this volume.
    fn allows_data(self, name: &str, data: &str) -> bool {
        let is_word =
            |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        match self {
            Self::Volume => data == volume_file(name),
            Self::Image => data == image_file(name),
            // `cloudd-base-SHA256` has its data in `cloudd-base-` with the first digits, and the id of
            // the upload.
            Self::Base => {
                let digits = name.strip_prefix("cloudd-base-").and_then(|sha256| sha256.get(..16));
                let id = digits
                    .and_then(|digits| data.strip_prefix("cloudd-base-")?.strip_prefix(digits))
                    .and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".img"));
                id.is_some_and(is_word)
            }
        }
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
    /// Why this process cannot use or delete what the file describes.
    #[serde(skip)]
    pub(crate) problem: Option<Problem>,
}

/// Why the contents of a metadata file are not used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Problem {
    /// Its writer died, or was writing while the file was read. No data existed yet when the file was
    /// created.
    #[error("its metadata file is damaged")]
    Torn,
    #[error("its metadata file is of version {0}, which this version of cloudd does not know")]
    Version(String),
    #[error("its metadata file has values that this version of cloudd does not know: {0}")]
    Unknown(String),
    #[error("its metadata file describes {0}, which is not what the name of the file says")]
    Misnamed(String),
    #[error("its metadata file is too large")]
    TooLarge,
}

const VERSION: u32 = 1;
/// Files are whole pages, so that an update overwrites all of the previous contents.
const PAGE: usize = 4096;
/// The size limit of a file.
pub(super) const MAX_SIZE: Size = Size::mib(1);
/// Seconds until a torn file expires. Writing one takes milliseconds.
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
            problem: None,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.state == MetadataState::Ready && self.problem.is_none()
    }

    pub(crate) fn file(&self) -> String {
        self.kind.file(&self.name)
    }

    /// JSON and a line end, padded with spaces to whole pages and to at least `at_least` bytes.
    pub(crate) fn encode(&self, at_least: usize) -> Result<Vec<u8>, serde_json::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        let length = bytes.len().max(at_least);
        let length = length.checked_next_multiple_of(PAGE).unwrap_or(length);
        bytes.resize(length, b' ');
        Ok(bytes)
    }

    /// Parses the contents of a file. Whatever they are, the result describes nothing but the
    /// resource that the name of the file says; if it has a [`Problem`], nothing may be changed or
    /// deleted, except what [`Problem::Torn`] allows.
    pub(crate) fn decode(kind: MetadataKind, name: &str, bytes: &[u8]) -> Self {
        let json: serde_json::Value = match serde_json::from_slice(bytes) {
            Ok(json) => json,
            // The end is not known.
            Err(_) if bytes.len() as u64 >= MAX_SIZE.as_bytes() => {
                return Self::unusable(kind, name, None, Problem::TooLarge);
            }
            Err(_) => return Self::unusable(kind, name, None, Problem::Torn),
        };
        let version = &json["cloudd"];
        if *version != VERSION {
            let version = crate::error::one_line(&version.to_string());
            return Self::unusable(kind, name, Some(&json), Problem::Version(version));
        }
        let metadata = match serde_json::from_value::<Self>(json.clone()) {
            Ok(metadata) => metadata,
            Err(error) => {
                let problem = Problem::Unknown(crate::error::one_line(&error.to_string()));
                return Self::unusable(kind, name, Some(&json), problem);
            }
        };
        if metadata.kind != kind || metadata.name != name {
            let problem = Problem::Misnamed(format!("{:?}", metadata.file()));
            return Self::unusable(kind, name, Some(&json), problem);
        }
        if !kind.allows_data(name, &metadata.data) {
            let problem = Problem::Misnamed(format!("the volume {:?}", metadata.data));
            return Self::unusable(kind, name, Some(&json), problem);
        }
        metadata
    }

    /// Stands for a file with a problem. The labels are those of the file, without its expiry, so that
    /// no sweep selects it. The build is the last part of the name that has the form of a build id; the
    /// name of an image, which comes before it, may contain such a part, too.
    fn unusable(
        kind: MetadataKind,
        name: &str,
        json: Option<&serde_json::Value>,
        problem: Problem,
    ) -> Self {
        let build = name
            .rsplit(|c: char| !c.is_ascii_alphanumeric())
            .find_map(|part| BuildId::try_from(part.to_owned()).ok());
        let build = build.map_or_else(|| "unknown".to_owned(), String::from);
        let mut labels = Labels::from_iter([(keys::BUILD, build)]);
        if let Some(own) = json.and_then(|json| json["labels"].as_object()) {
            let own = own.iter().filter(|(key, _)| *key != keys::EXPIRES);
            let own = own.filter_map(|(key, value)| Some((key.clone(), value.as_str()?)));
            labels = labels.merged(&Labels::from_iter(own));
        }
        let created = json.and_then(|json| json["created"].as_u64()).unwrap_or(0);
        let data = match kind {
            MetadataKind::Volume => volume_file(name),
            MetadataKind::Image => image_file(name),
            MetadataKind::Base => String::new(),
        };
        let problem = Some(problem);
        Self { labels, created, problem, ..Self::new(kind, name, data, Size::bytes(0)) }
    }

    /// As [`Self::decode`] for a file that stays unreadable: a torn one expires some time after it was
    /// written.
    pub(crate) fn with_expiry(mut self, modified: Option<u64>) -> Self {
        if self.problem == Some(Problem::Torn) {
            self.created = modified.unwrap_or(0);
            let expires = self.created.saturating_add(CORRUPT_EXPIRES_AFTER).to_string();
            self.labels = self.labels.merged(&Labels::from_iter([(keys::EXPIRES, expires)]));
        }
        self
    }

    /// Fails if the file is not understood.
    pub(crate) fn ensure_understood(&self, operation: &str) -> Result<(), Error> {
        match &self.problem {
            None | Some(Problem::Torn) => Ok(()),
            Some(problem) => Err(self.refused(operation, problem)),
        }
    }

    /// Fails if the metadata stand for a file with a problem: they are not its contents.
    pub(crate) fn ensure_writable(&self, operation: &str) -> Result<(), Error> {
        self.problem.as_ref().map_or(Ok(()), |problem| Err(self.refused(operation, problem)))
    }

    /// Fails if what the file describes must not be deleted: it is not understood, or it is damaged
    /// although the data exist, so that they may be complete.
    pub(crate) fn ensure_deletable(&self, operation: &str, data_exist: bool) -> Result<(), Error> {
        match &self.problem {
            Some(problem @ Problem::Torn) if data_exist => Err(self.refused(operation, problem)),
            _ => self.ensure_understood(operation),
        }
    }

    fn refused(&self, operation: &str, problem: &Problem) -> Error {
        Error::new(ErrorKind::Protected, operation)
            .with_resource(&self.name)
            .with_message(problem)
            .with_hint(format!("the file is {} in the pool", self.file()))
    }

    /// The image that the metadata describe.
    pub(crate) fn image(&self) -> Image {
        let status = match self.state {
            MetadataState::Creating => ImageStatus::Creating,
            MetadataState::Ready => ImageStatus::Available,
            MetadataState::Deleting => ImageStatus::Broken,
        };
        let mut image = Image::new(ImageId::new(&self.name), status, self.size);
        if !matches!(self.problem, None | Some(Problem::Torn)) {
            image.status = ImageStatus::Broken;
            image.protected = true;
        }
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
        assert_eq!(decode(&file), short);
    }

    fn decode(bytes: &[u8]) -> Metadata {
        Metadata::decode(MetadataKind::Image, "leap", bytes)
    }

    fn changed(change: impl Fn(&mut serde_json::Value)) -> Metadata {
        let mut json = serde_json::to_value(Metadata {
            state: MetadataState::Ready,
            architecture: Some(Architecture::X86_64),
            ..metadata()
        })
        .unwrap();
        change(&mut json);
        decode(json.to_string().as_bytes())
    }

    /// Nothing about it may be changed or deleted, whether there are data or not.
    fn assert_kept(metadata: &Metadata) {
        for data_exist in [false, true] {
            let error = metadata.ensure_deletable("delete image", data_exist).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protected);
        }
        assert!(metadata.ensure_understood("label").is_err());
        assert!(metadata.ensure_writable("label").is_err());
        assert!(!metadata.is_ready());
        assert_eq!(metadata.labels.get(keys::EXPIRES), None);
        assert!(metadata.labels.is_managed(), "it would not be listed");
        let image = metadata.image();
        assert!(image.protected && image.status == ImageStatus::Broken);
    }

    #[test]
    fn valid_json_that_is_not_understood_is_listed_and_never_deleted() {
        let newer = changed(|json| {
            json["cloudd"] = 2.into();
            json["labels"][keys::EXPIRES] = "1".into();
            json["labels"]["team"] = "a".into();
        });
        assert_eq!(newer.labels.get("team"), Some("a"));
        assert_kept(&newer);
        for (field, value) in [
            ("architecture", serde_json::json!("riscv64")),
            ("state", "archived".into()),
            ("kind", "volume".into()),
            ("kind", "stack".into()),
            ("name", "other".into()),
            ("size", "big".into()),
            ("size", (-1).into()),
            ("data", "prod.qcow2".into()),
            ("data", "../leap.qcow2".into()),
            ("data", "".into()),
            ("cloudd", "1".into()),
            ("cloudd", serde_json::Value::Null),
        ] {
            assert_kept(&changed(|json| json[field] = value.clone()));
        }
        for json in ["null", "[]", "{}", "7", "\"text\""] {
            assert_kept(&decode(json.as_bytes()));
        }
        // A file that was not read to its end.
        let mut large = format!("{{\"cloudd\":2,\"x\":\"{}", "x".repeat(2 << 20)).into_bytes();
        large.truncate(usize::try_from(MAX_SIZE.as_bytes()).unwrap());
        assert_kept(&decode(&large));
        assert_eq!(changed(|_| {}).problem, None);
    }

    #[test]
    fn a_torn_file_is_deletable_only_without_data() {
        let bytes = metadata().encode(0).unwrap();
        for torn in [&bytes[..100], &[0; PAGE][..], b"", b"{"] {
            let torn = decode(torn);
            assert_eq!(torn.problem, Some(Problem::Torn));
            torn.ensure_deletable("delete", false).unwrap();
            let error = torn.ensure_deletable("delete", true).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protected);
        }
    }

    #[test]
    fn the_data_of_a_base_image_have_its_name() {
        let name = format!("cloudd-base-{}", "0123456789abcdef".repeat(4));
        let allows = |data: &str| MetadataKind::Base.allows_data(&name, data);
        assert!(allows("cloudd-base-0123456789abcdef-abc123defg.img"));
        for data in [
            "prod.qcow2",
            "cloudd-base-0123456789abcdef-.img",
            "cloudd-base-0123456789abcdef-a/../b.img",
            "cloudd-base-fedcba9876543210-abc123defg.img",
            "cloudd-base-0123456789abcdef-abc123defg.img.qcow2",
            "",
        ] {
            assert!(!allows(data), "{data}");
        }
        assert!(!MetadataKind::Base.allows_data("other", "cloudd-base-0123456789abcdef-a.img"));
    }

    #[test]
    fn a_torn_file_has_its_build_and_can_be_swept() {
        let torn = |kind, name, modified| Metadata::decode(kind, name, b"").with_expiry(modified);
        let volume = torn(MetadataKind::Volume, "cloudd-abc123defg-volume", Some(1000));
        assert_eq!(volume.labels.get(keys::BUILD), Some("abc123defg"));
        assert_eq!(volume.labels.get(keys::EXPIRES), Some("1600"));
        assert!(!volume.is_ready());
        let image = torn(MetadataKind::Image, "kubernetes-1.31-abc123defg", Some(u64::MAX));
        assert_eq!(image.labels.get(keys::BUILD), Some("abc123defg"));
        let nameless = torn(MetadataKind::Volume, "x", None);
        assert!(nameless.labels.is_managed());
    }

    /// Any JSON, with fields of a record among others.
    fn any_json() -> impl proptest::strategy::Strategy<Value = serde_json::Value> {
        use proptest::prelude::*;
        let field = prop_oneof![
            Just("cloudd"),
            Just("kind"),
            Just("name"),
            Just("state"),
            Just("data"),
            Just("size"),
            Just("labels"),
            Just("architecture"),
            Just("created"),
            Just("format"),
        ];
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<u64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            any::<bool>().prop_map(Into::into),
            "(ready|creating|image|volume|base|leap|leap.qcow2|prod.qcow2|.{0,9})"
                .prop_map(Into::into),
            Just(serde_json::json!(1)),
            Just(serde_json::json!({"cloudd/expires": "1", "cloudd/build": "abcdefghij"})),
        ];
        proptest::collection::vec((field, leaf), 0..10).prop_map(|fields| {
            let mut json = serde_json::to_value(metadata()).unwrap();
            for (field, value) in fields {
                json[field] = value;
            }
            json
        })
    }

    proptest::proptest! {
        #[test]
        fn arbitrary_bytes_never_allow_data_to_be_deleted(
            bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..300),
        ) {
            let decoded = decode(&bytes);
            proptest::prop_assert!(decoded.ensure_deletable("delete", true).is_err());
        }

        #[test]
        fn a_record_directs_deletion_to_its_own_data_only(json in any_json()) {
            let decoded = decode(json.to_string().as_bytes()).with_expiry(Some(0));
            proptest::prop_assert_eq!(&decoded.name, "leap");
            proptest::prop_assert_eq!(&decoded.data, "leap.qcow2");
            proptest::prop_assert_ne!(&decoded.problem, &Some(Problem::Torn));
            if decoded.problem.is_some() {
                assert_kept(&decoded);
            }
        }
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
