use super::{
    Checksum,
    built_in::{Config, Definition, files, optional},
    rule,
};
use crate::install::InstallContainer;

/// Installs NixOS, built by Nix from nixpkgs and a configuration.
///
/// By itself it installs a system with SSH and cloud-init, from the channel of the stable release that
/// was current when this version of cloudd was made. What the channel has today does not count for the
/// fingerprint: [`nixpkgs`](Self::nixpkgs) does, and makes the same system another time.
#[derive(Clone, Debug)]
#[must_use]
pub struct Nixos(InstallContainer);

pub(super) static DEFINITION: Definition = Definition {
    name: "nixos",
    files: files![
        0o644 "common/common.sh",
        0o644 "common/disk.sh",
        0o644 "common/download.sh",
        0o755 "common/packages",
        0o644 "nixos/Containerfile",
        0o644 "nixos/default.nix",
        0o644 "nixos/hardware-configuration.nix",
        0o755 "nixos/install",
    ],
    parameters: &[
        optional("NIXOS_CHANNEL", rule::VERSION),
        optional("NIXOS_MIRROR", rule::URL),
        optional("NIXOS_NIXPKGS", rule::URL),
        optional("NIXOS_CHECKSUM", rule::CHECKSUM),
        optional("NIXOS_CACHES", rule::URLS),
        optional("NIXOS_CACHE_KEYS", rule::CACHE_KEYS),
        optional("KERNEL_ARGS", rule::KERNEL_ARGS),
    ],
    config: Some(Config { file: "configuration.nix", rule: rule::TEXT }),
};

impl Nixos {
    /// The current stable release, with SSH and cloud-init.
    pub fn new() -> Self {
        Self(DEFINITION.container())
    }

    /// What the system is, as Nix: the text of a `configuration.nix`. Disk and boot loader are there
    /// already, in a `hardware-configuration.nix` that it may import. It ends up in the Nix store of the
    /// image, where every user of the system can read it, so it is no place for a secret.
    pub fn configuration(self, nix: impl Into<String>) -> Self {
        Self(self.0.config(nix))
    }

    /// A channel: `nixos-26.05`, `nixos-26.05-small`, `nixos-unstable`.
    pub fn channel(self, channel: impl Into<String>) -> Self {
        Self(self.0.env("NIXOS_CHANNEL", channel))
    }

    /// A mirror of the channels in place of NixOS's own server.
    pub fn mirror(self, url: impl Into<String>) -> Self {
        Self(self.0.env("NIXOS_MIRROR", url))
    }

    /// A tarball of nixpkgs in place of a channel: that of a release, or of a commit.
    pub fn nixpkgs(self, url: impl Into<String>, checksum: Checksum) -> Self {
        Self(self.0.env("NIXOS_NIXPKGS", url)).checksum(checksum)
    }

    /// The sum that nixpkgs must have. A channel's is gone once the channel moves on.
    pub fn checksum(self, checksum: Checksum) -> Self {
        Self(self.0.env("NIXOS_CHECKSUM", checksum.to_string()))
    }

    /// A cache to take what is built already from, in place of `https://cache.nixos.org`; repeatable.
    pub fn cache(self, url: impl AsRef<str>) -> Self {
        Self(self.0.env_word("NIXOS_CACHES", url.as_ref()))
    }

    /// A public key of such a cache, beside that of `cache.nixos.org`, which a mirror of it needs not;
    /// repeatable.
    pub fn cache_key(self, key: impl AsRef<str>) -> Self {
        Self(self.0.env_word("NIXOS_CACHE_KEYS", key.as_ref()))
    }

    /// One more argument for the kernel; repeatable.
    pub fn kernel_arg(self, argument: impl AsRef<str>) -> Self {
        Self(self.0.env_word("KERNEL_ARGS", argument.as_ref()))
    }
}

impl Default for Nixos {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Nixos> for InstallContainer {
    fn from(nixos: Nixos) -> Self {
        nixos.0
    }
}
