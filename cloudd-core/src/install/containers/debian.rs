use super::{
    built_in::{Definition, files, optional},
    rule,
};
use crate::install::InstallContainer;

/// Installs Debian from its packages, for BIOS and UEFI, with cloud-init.
///
/// By itself it installs the stable release that was current when this version of cloudd was made.
/// Two builds at different times have the packages of their time, and the same fingerprint.
#[derive(Clone, Debug)]
#[must_use]
pub struct Debian(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "debian",
    files: files![
        0o644 "common/common.sh",
        0o644 "common/disk.sh",
        0o755 "common/packages",
        0o644 "debian/Containerfile",
        0o755 "debian/configure",
        0o755 "debian/install",
    ],
    parameters: &[
        optional("DEBIAN_SUITE", rule::CODENAME),
        optional("DEBIAN_MIRROR", rule::URL),
        optional("DEBIAN_SECURITY_MIRROR", rule::URL),
        optional("DEBIAN_PACKAGES", rule::PACKAGES),
        optional("KERNEL_ARGS", rule::KERNEL_ARGS),
    ],
    config: None,
};

impl Debian {
    /// The current stable release, from Debian's own mirrors.
    pub fn new() -> Self {
        Self(DEFINITION.container())
    }

    /// The release: `bookworm`, `trixie`, `testing`, `sid`.
    pub fn suite(self, suite: impl Into<String>) -> Self {
        Self(self.0.env("DEBIAN_SUITE", suite))
    }

    /// A mirror in place of Debian's own. It has no security updates; see
    /// [`security_mirror`](Self::security_mirror).
    pub fn mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("DEBIAN_MIRROR", url))
    }

    /// A mirror of Debian's security updates, beside [`mirror`](Self::mirror).
    pub fn security_mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("DEBIAN_SECURITY_MIRROR", url))
    }

    /// One more package; repeatable.
    pub fn package(self, name: impl AsRef<str>) -> Self {
        Self(self.0.env_word("DEBIAN_PACKAGES", name.as_ref()))
    }

    /// One more argument for the kernel; repeatable.
    pub fn kernel_arg(self, argument: impl AsRef<str>) -> Self {
        Self(self.0.env_word("KERNEL_ARGS", argument.as_ref()))
    }
}

impl Default for Debian {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Debian> for InstallContainer {
    fn from(debian: Debian) -> Self {
        debian.0
    }
}
