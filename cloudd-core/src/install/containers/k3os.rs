use super::{
    built_in::{Config, Definition, files, optional},
    rule,
};
use crate::install::InstallContainer;

/// Installs k3OS from its ISO image.
///
/// k3OS is archived upstream: 0.21.5, of 2022, is its last version, and gets no security updates.
#[derive(Clone, Debug)]
#[must_use]
pub struct K3os(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "k3os",
    files: files![
        0o644 "common/common.sh",
        0o644 "common/disk.sh",
        0o644 "common/download.sh",
        0o755 "common/packages",
        0o644 "k3os/Containerfile",
        0o644 "k3os/default.yaml",
        0o755 "k3os/install",
    ],
    parameters: &[
        optional("K3OS_VERSION", rule::VERSION),
        optional("K3OS_DEVICE", rule::DEVICE),
        optional("K3OS_MIRROR", rule::URL),
        optional("KERNEL_ARGS", rule::KERNEL_ARGS),
    ],
    config: Some(Config { file: "config.yaml", rule: rule::TEXT }),
};

impl K3os {
    /// The last version.
    pub fn new() -> Self {
        Self(DEFINITION.container())
    }

    /// A version, as in `v0.21.5-k3s2r1`.
    pub fn version(self, version: impl Into<String>) -> Self {
        Self(self.0.env("K3OS_VERSION", version))
    }

    /// The config of k3OS, as YAML. By itself it only says that the rest is in the user data of each
    /// server, on Hetzner Cloud.
    pub fn config(self, yaml: impl Into<String>) -> Self {
        Self(self.0.config(yaml))
    }

    /// The disk of the servers to come, where it is not `/dev/sda`: k3OS grows its partition.
    pub fn device(self, device: impl Into<String>) -> Self {
        Self(self.0.env("K3OS_DEVICE", device))
    }

    /// A mirror in place of the publisher's own server.
    pub fn mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("K3OS_MIRROR", url))
    }

    /// One more argument for the kernel; repeatable.
    pub fn kernel_arg(self, argument: impl AsRef<str>) -> Self {
        Self(self.0.env_word("KERNEL_ARGS", argument.as_ref()))
    }
}

impl Default for K3os {
    fn default() -> Self {
        Self::new()
    }
}

impl From<K3os> for InstallContainer {
    fn from(container: K3os) -> Self {
        container.0
    }
}
