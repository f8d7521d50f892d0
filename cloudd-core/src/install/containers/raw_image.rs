use super::{
    Checksum,
    built_in::{Definition, files, required},
    rule,
};
use crate::install::InstallContainer;

/// Writes a disk image from a URL: raw or qcow2, as it is or packed by gzip, bzip2, xz or zstd.
///
/// What it is is seen from its content. All but qcow2 streams from the URL to the volume; a qcow2
/// image must fit the root file system of the builder first.
#[derive(Clone, Debug)]
#[must_use]
pub struct RawImage(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "raw_image",
    files: files![
        0o644 "common/common.sh",
        0o644 "common/download.sh",
        0o644 "common/image.sh",
        0o755 "common/packages",
        0o644 "raw_image/Containerfile",
        0o755 "raw_image/install",
    ],
    parameters: &[required("IMAGE_URL", rule::URL), required("IMAGE_CHECKSUM", rule::CHECKSUM)],
    config: None,
};

impl RawImage {
    /// The image at `url`, `http` or `https`. The checksum is that of the file as it is downloaded,
    /// packed or not.
    pub fn new(url: impl Into<String>, checksum: Checksum) -> Self {
        let container = DEFINITION.container();
        Self(container.env("IMAGE_URL", url).env("IMAGE_CHECKSUM", checksum.to_string()))
    }
}

impl From<RawImage> for InstallContainer {
    fn from(image: RawImage) -> Self {
        image.0
    }
}
