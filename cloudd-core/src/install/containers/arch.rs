use super::{
    Checksum,
    built_in::{Definition, files, optional},
    rule,
};
use crate::install::InstallContainer;

/// Writes Arch Linux's cloud image, a qcow2 image with cloud-init. For x86 only.
#[derive(Clone, Debug)]
#[must_use]
pub struct Arch(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "arch",
    files: files![
        0o644 "arch/Containerfile",
        0o755 "arch/install",
        0o644 "common/common.sh",
        0o644 "common/download.sh",
        0o644 "common/image.sh",
        0o755 "common/packages",
    ],
    parameters: &[
        optional("ARCH_VERSION", rule::VERSION),
        optional("ARCH_MIRROR", rule::URL),
        optional("IMAGE_CHECKSUM", rule::CHECKSUM),
    ],
    config: None,
};

impl Arch {
    /// The newest build.
    pub fn new() -> Self {
        Self(DEFINITION.container())
    }

    /// A build, as in `v20250901.414475`.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self(self.0.env("ARCH_VERSION", version))
    }

    /// A mirror in place of the publisher's own server.
    pub fn mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("ARCH_MIRROR", url))
    }

    /// The sum that the image must have, in place of the one that stands beside it on the server.
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self(self.0.env("IMAGE_CHECKSUM", checksum.to_string()))
    }
}

impl Default for Arch {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Arch> for InstallContainer {
    fn from(container: Arch) -> Self {
        container.0
    }
}
