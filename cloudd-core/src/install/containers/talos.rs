use super::{
    Checksum,
    built_in::{Config, Definition, files, optional, required},
    rule,
};
use crate::install::InstallContainer;

/// Writes Talos Linux's image for Hetzner, where Talos reads its machine config from the user data of
/// each server.
///
/// The Image Factory publishes no checksums. Without one, the image is as the server sent it over
/// HTTPS.
#[derive(Clone, Debug)]
#[must_use]
pub struct Talos(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "talos",
    files: files![
        0o644 "common/common.sh",
        0o644 "common/download.sh",
        0o644 "common/image.sh",
        0o755 "common/packages",
        0o644 "talos/Containerfile",
        0o755 "talos/install",
    ],
    parameters: &[
        required("TALOS_VERSION", rule::VERSION),
        optional("TALOS_SCHEMATIC", rule::SCHEMATIC),
        optional("TALOS_PLATFORM", rule::WORD),
        optional("TALOS_FACTORY", rule::URL),
        optional("IMAGE_CHECKSUM", rule::CHECKSUM),
    ],
    config: Some(Config { file: "schematic.yaml", rule: rule::TEXT }),
};

impl Talos {
    /// This version, as in `v1.11.0`, without customization.
    pub fn new(version: impl Into<String>) -> Self {
        Self(DEFINITION.container().env("TALOS_VERSION", version))
    }

    /// The id of a schematic that the Image Factory knows.
    pub fn schematic(self, id: impl Into<String>) -> Self {
        Self(self.0.env("TALOS_SCHEMATIC", id))
    }

    /// A schematic, which the Image Factory is told: system extensions, extra kernel arguments.
    pub fn schematic_yaml(self, yaml: impl Into<String>) -> Self {
        Self(self.0.config(yaml))
    }

    /// Another platform than `hcloud`, as in `nocloud`.
    pub fn platform(self, platform: impl Into<String>) -> Self {
        Self(self.0.env("TALOS_PLATFORM", platform))
    }

    /// An Image Factory of one's own.
    pub fn factory(self, url: impl Into<String>) -> Self {
        Self(self.0.env("TALOS_FACTORY", url))
    }

    /// The sum that the image must have.
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self(self.0.env("IMAGE_CHECKSUM", checksum.to_string()))
    }
}

impl From<Talos> for InstallContainer {
    fn from(container: Talos) -> Self {
        container.0
    }
}
