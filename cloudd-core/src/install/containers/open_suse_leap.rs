use super::{
    Checksum,
    built_in::{Definition, files, optional},
    rule,
};
use crate::install::InstallContainer;

/// Writes openSUSE Leap's cloud image, a qcow2 image with cloud-init. It was once called JeOS.
#[derive(Clone, Debug)]
#[must_use]
pub struct OpenSuseLeap(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "open_suse_leap",
    files: files![
        0o644 "common/common.sh",
        0o644 "common/download.sh",
        0o644 "common/image.sh",
        0o755 "common/packages",
        0o644 "open_suse_leap/Containerfile",
        0o755 "open_suse_leap/install",
    ],
    parameters: &[
        optional("LEAP_VERSION", rule::VERSION),
        optional("LEAP_MIRROR", rule::URL),
        optional("IMAGE_CHECKSUM", rule::CHECKSUM),
    ],
    config: None,
};

impl OpenSuseLeap {
    /// The release that was current when this version of cloudd was made.
    pub fn new() -> Self {
        Self(DEFINITION.container())
    }

    /// The release, as in `16.0` or `15.6`.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self(self.0.env("LEAP_VERSION", version))
    }

    /// A mirror in place of the publisher's own server.
    pub fn mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("LEAP_MIRROR", url))
    }

    /// The sum that the image must have, in place of the one that stands beside it on the server.
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self(self.0.env("IMAGE_CHECKSUM", checksum.to_string()))
    }
}

impl Default for OpenSuseLeap {
    fn default() -> Self {
        Self::new()
    }
}

impl From<OpenSuseLeap> for InstallContainer {
    fn from(container: OpenSuseLeap) -> Self {
        container.0
    }
}
