use super::{
    built_in::{Config, Definition, files, optional},
    rule,
};
use crate::install::InstallContainer;

/// Writes Fedora CoreOS's image for Hetzner, where Ignition reads the user data of each server.
#[derive(Clone, Debug)]
#[must_use]
pub struct FedoraCoreos(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "fedora_coreos",
    files: files![
        0o644 "common/common.sh",
        0o644 "common/download.sh",
        0o644 "common/image.sh",
        0o755 "common/packages",
        0o644 "common/partition.sh",
        0o644 "fedora_coreos/Containerfile",
        0o755 "fedora_coreos/install",
    ],
    parameters: &[
        optional("FCOS_STREAM", rule::CODENAME),
        optional("FCOS_VERSION", rule::VERSION),
        optional("FCOS_PLATFORM", rule::WORD),
        optional("FCOS_MIRROR", rule::URL),
        optional("KERNEL_ARGS", rule::KERNEL_ARGS),
    ],
    config: Some(Config { file: "config.ign", rule: rule::IGNITION }),
};

impl FedoraCoreos {
    /// What the stable stream has now.
    pub fn new() -> Self {
        Self(DEFINITION.container())
    }

    /// `stable`, `testing` or `next`.
    pub fn stream(self, stream: impl Into<String>) -> Self {
        Self(self.0.env("FCOS_STREAM", stream))
    }

    /// A release of the stream, as in `42.20250803.3.0`.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self(self.0.env("FCOS_VERSION", version))
    }

    /// Another platform than `hetzner`, as in `qemu`.
    pub fn platform(self, platform: impl Into<String>) -> Self {
        Self(self.0.env("FCOS_PLATFORM", platform))
    }

    /// A mirror in place of the publisher's own server.
    pub fn mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("FCOS_MIRROR", url))
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
}

impl Default for FedoraCoreos {
    fn default() -> Self {
        Self::new()
    }
}

impl From<FedoraCoreos> for InstallContainer {
    fn from(container: FedoraCoreos) -> Self {
        container.0
    }
}
