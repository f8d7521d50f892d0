use super::{
    Checksum,
    built_in::{Config, Definition, files, optional},
    rule,
};
use crate::install::InstallContainer;

/// Writes Flatcar's image for Hetzner, where Ignition reads the user data of each server.
#[derive(Clone, Debug)]
#[must_use]
pub struct Flatcar(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "flatcar",
    files: files![
        0o644 "common/common.sh",
        0o644 "common/download.sh",
        0o644 "common/image.sh",
        0o755 "common/packages",
        0o644 "common/partition.sh",
        0o644 "flatcar/Containerfile",
        0o755 "flatcar/install",
    ],
    parameters: &[
        optional("FLATCAR_CHANNEL", rule::CODENAME),
        optional("FLATCAR_VERSION", rule::VERSION),
        optional("FLATCAR_PLATFORM", rule::WORD),
        optional("FLATCAR_MIRROR", rule::URL),
        optional("KERNEL_ARGS", rule::KERNEL_ARGS),
        optional("IMAGE_CHECKSUM", rule::CHECKSUM),
    ],
    config: Some(Config { file: "config.ign", rule: rule::IGNITION }),
};

impl Flatcar {
    /// The current version of the stable channel.
    pub fn new() -> Self {
        Self(DEFINITION.container())
    }

    /// `stable`, `beta`, `alpha` or `lts`.
    pub fn channel(self, channel: impl Into<String>) -> Self {
        Self(self.0.env("FLATCAR_CHANNEL", channel))
    }

    /// A version, as in `4230.2.1`.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self(self.0.env("FLATCAR_VERSION", version))
    }

    /// Another platform than `hetzner`.
    pub fn platform(self, platform: impl Into<String>) -> Self {
        Self(self.0.env("FLATCAR_PLATFORM", platform))
    }

    /// A mirror in place of the publisher's own server.
    pub fn mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("FLATCAR_MIRROR", url))
    }

    /// An Ignition config for the image, as JSON. Every server has it then, and takes no other from its
    /// user data. It is in the user data of the builder, so it is no place for a secret.
    pub fn ignition(self, json: impl Into<String>) -> Self {
        Self(self.0.config(json))
    }

    /// One more argument for the kernel; repeatable.
    pub fn kernel_arg(self, argument: impl AsRef<str>) -> Self {
        Self(self.0.env_word("KERNEL_ARGS", argument.as_ref()))
    }

    /// The sum that the image must have, in place of the one that stands beside it on the server.
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self(self.0.env("IMAGE_CHECKSUM", checksum.to_string()))
    }
}

impl Default for Flatcar {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Flatcar> for InstallContainer {
    fn from(container: Flatcar) -> Self {
        container.0
    }
}
