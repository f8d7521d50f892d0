use super::{
    Checksum,
    built_in::{Definition, files, optional},
    rule,
};
use crate::install::InstallContainer;

/// Writes Alpine Linux's cloud image, a qcow2 image with cloud-init.
#[derive(Clone, Debug)]
#[must_use]
pub struct Alpine(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "alpine",
    files: files![
        0o644 "alpine/Containerfile",
        0o755 "alpine/install",
        0o644 "common/common.sh",
        0o644 "common/download.sh",
        0o644 "common/image.sh",
        0o755 "common/packages",
    ],
    parameters: &[
        optional("ALPINE_VERSION", rule::VERSION),
        optional("ALPINE_REVISION", rule::VERSION),
        optional("ALPINE_FLAVOUR", rule::WORD),
        optional("ALPINE_FIRMWARE", rule::WORD),
        optional("ALPINE_MIRROR", rule::URL),
        optional("IMAGE_CHECKSUM", rule::CHECKSUM),
    ],
    config: None,
};

impl Alpine {
    /// The release that was current when this version of cloudd was made.
    pub fn new() -> Self {
        Self(DEFINITION.container())
    }

    /// The release, as in `3.22.2`.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self(self.0.env("ALPINE_VERSION", version))
    }

    /// The revision of its image, where it is not `0`.
    pub fn revision(self, revision: impl Into<String>) -> Self {
        Self(self.0.env("ALPINE_REVISION", revision))
    }

    /// Where it will run: `generic`, as by itself, or `nocloud`.
    pub fn flavour(self, flavour: impl Into<String>) -> Self {
        Self(self.0.env("ALPINE_FLAVOUR", flavour))
    }

    /// `bios` or `uefi`; by itself `bios` on x86 and `uefi` on Arm.
    pub fn firmware(self, firmware: impl Into<String>) -> Self {
        Self(self.0.env("ALPINE_FIRMWARE", firmware))
    }

    /// A mirror in place of the publisher's own server.
    pub fn mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("ALPINE_MIRROR", url))
    }

    /// The sum that the image must have, in place of the one that stands beside it on the server.
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self(self.0.env("IMAGE_CHECKSUM", checksum.to_string()))
    }
}

impl Default for Alpine {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Alpine> for InstallContainer {
    fn from(container: Alpine) -> Self {
        container.0
    }
}
