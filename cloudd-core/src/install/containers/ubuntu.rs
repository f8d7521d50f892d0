use super::{
    Checksum,
    built_in::{Definition, files, optional},
    rule,
};
use crate::install::InstallContainer;

/// Writes Ubuntu's cloud image, a qcow2 image with cloud-init.
#[derive(Clone, Debug)]
#[must_use]
pub struct Ubuntu(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "ubuntu",
    files: files![
        0o644 "common/common.sh",
        0o644 "common/download.sh",
        0o644 "common/image.sh",
        0o755 "common/packages",
        0o644 "ubuntu/Containerfile",
        0o755 "ubuntu/install",
    ],
    parameters: &[
        optional("UBUNTU_VERSION", rule::VERSION),
        optional("UBUNTU_SERIAL", rule::VERSION),
        optional("UBUNTU_MIRROR", rule::URL),
        optional("IMAGE_CHECKSUM", rule::CHECKSUM),
    ],
    config: None,
};

impl Ubuntu {
    /// The last release with long-term support when this version of cloudd was made.
    pub fn new() -> Self {
        Self(DEFINITION.container())
    }

    /// The release, as in `24.04`.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self(self.0.env("UBUNTU_VERSION", version))
    }

    /// The build of that release, a date as in `20250805`; otherwise the newest.
    pub fn serial(self, serial: impl Into<String>) -> Self {
        Self(self.0.env("UBUNTU_SERIAL", serial))
    }

    /// A mirror in place of the publisher's own server.
    pub fn mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("UBUNTU_MIRROR", url))
    }

    /// The sum that the image must have, in place of the one that stands beside it on the server.
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self(self.0.env("IMAGE_CHECKSUM", checksum.to_string()))
    }
}

impl Default for Ubuntu {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Ubuntu> for InstallContainer {
    fn from(container: Ubuntu) -> Self {
        container.0
    }
}
