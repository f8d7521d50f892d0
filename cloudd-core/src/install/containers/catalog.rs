//! The install containers that come with cloudd: their files and parameters.

use super::checksum::Checksum;
use super::rule;
use crate::install::built_in::{BuiltIn, File, Parameter};
use crate::install::container::InstallContainer;

/// A file of the folder `containers`; its path is the concatenation of the literals.
macro_rules! file {
    ($mode:literal $($path:literal)+) => {
        File {
            path: concat!($($path),+),
            mode: $mode,
            content: include_bytes!(
                concat!(env!("CARGO_MANIFEST_DIR"), "/containers/", $($path),+)
            ),
        }
    };
}

/// The setter of a parameter: `text` sets an environment variable, `word` appends a word to it,
/// `checksum` sets it to a [`Checksum`], and `private` is a `text` setter for this module only.
macro_rules! setter {
    ([$(#[$doc:meta])*] text $method:ident $variable:literal) => {
        $(#[$doc])*
        pub fn $method(self, $method: impl Into<String>) -> Self {
            Self(self.0.env($variable, $method))
        }
    };
    ([$(#[$doc:meta])*] word $method:ident $variable:literal) => {
        $(#[$doc])*
        pub fn $method(self, $method: impl AsRef<str>) -> Self {
            Self(self.0.append_env($variable, $method.as_ref()))
        }
    };
    ([$(#[$doc:meta])*] checksum $method:ident $variable:literal) => {
        $(#[$doc])*
        pub fn $method(self, $method: Checksum) -> Self {
            Self(self.0.env($variable, $method.to_string()))
        }
    };
    ([] private $method:ident $variable:literal) => {
        fn $method(self, $method: impl Into<String>) -> Self {
            Self(self.0.env($variable, $method))
        }
    };
}

/// `Some` of the argument, if there is one.
macro_rules! optional {
    () => {
        None
    };
    ($value:expr) => {
        Some($value)
    };
}

/// An install container: its folder, the shared files that it uses, its own files besides
/// `Containerfile` and `install`, its constructor if no parameter is required, its configuration file
/// if it takes one, and its parameters.
macro_rules! built_in {
    (
        $(#[$doc:meta])*
        $type:ident in $folder:literal, shared [$($shared:ident),+];
        $(files { $($mode:literal $file:literal),+ })?
        $(required { $($required:literal),+ })?
        $(new { $(#[$new:meta])+ })?
        $(config { $(#[$config_doc:meta])+ $config:ident $config_file:literal $config_rule:ident })?
        parameters {
            $($(#[$method_doc:meta])* $kind:ident $method:ident $variable:literal $rule:ident;)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[must_use]
        pub struct $type(InstallContainer);

        impl $type {
            pub(super) const BUILT_IN: &'static BuiltIn = &BuiltIn {
                name: $folder,
                files: &[
                    $($shared,)+
                    &[file!(0o644 $folder "/Containerfile"), file!(0o755 $folder "/install")],
                    $(&[$(file!($mode $folder "/" $file)),+])?
                ],
                parameters: &[$(Parameter { name: $variable, rule: rule::$rule }),+],
                required: &[$($($required),+)?],
                config: optional!(
                    $(Parameter { name: $config_file, rule: rule::$config_rule })?
                ),
            };

            $(
                $(#[$config_doc])+
                pub fn $config(self, $config: impl Into<String>) -> Self {
                    Self(self.0.config($config))
                }
            )?

            $(setter! { [$(#[$method_doc])*] $kind $method $variable })+
        }

        $(
            impl $type {
                $(#[$new])+
                pub fn new() -> Self {
                    Self(InstallContainer::built_in(Self::BUILT_IN))
                }
            }

            impl Default for $type {
                fn default() -> Self {
                    Self::new()
                }
            }
        )?

        impl From<$type> for InstallContainer {
            fn from(container: $type) -> Self {
                container.0
            }
        }
    };
}

/// Files of containers that write a disk image.
const IMAGE: &[File] = &[
    file!(0o644 "common/common.sh"),
    file!(0o644 "common/download.sh"),
    file!(0o644 "common/image.sh"),
    file!(0o755 "common/packages"),
];

/// Files of containers that create partitions and file systems.
const DISK: &[File] = &[
    file!(0o644 "common/common.sh"),
    file!(0o644 "common/disk.sh"),
    file!(0o755 "common/packages"),
];

const DOWNLOAD: &[File] = &[file!(0o644 "common/download.sh")];

const PARTITION: &[File] = &[file!(0o644 "common/partition.sh")];

built_in! {
    /// Writes the cloud image of Alpine Linux, a qcow2 image with cloud-init.
    Alpine in "alpine", shared [IMAGE];
    new {
        /// The release that was current when this version of cloudd was published.
    }
    parameters {
        /// Sets the release, as in `3.22.2`.
        text version "ALPINE_VERSION" VERSION;
        /// Sets the revision of the image. The default is `0`.
        text revision "ALPINE_REVISION" VERSION;
        /// Sets the target platform, `generic` (the default) or `nocloud`.
        text flavour "ALPINE_FLAVOUR" WORD;
        /// Sets the firmware, `bios` or `uefi`. The default is `bios` on x86 and `uefi` on Arm.
        text firmware "ALPINE_FIRMWARE" WORD;
        /// Sets a mirror to use instead of the publisher's server. An `http` mirror requires
        /// [`checksum`](Self::checksum).
        text mirror "ALPINE_MIRROR" SOURCE;
        /// Sets the checksum of the image, instead of the one published on the server.
        checksum checksum "IMAGE_CHECKSUM" CHECKSUM;
    }
}

built_in! {
    /// Writes the cloud image of Arch Linux, a qcow2 image with cloud-init. For x86 only.
    Arch in "arch", shared [IMAGE];
    new {
        /// The latest build.
    }
    parameters {
        /// Sets the build, as in `v20250901.414475`.
        text version "ARCH_VERSION" VERSION;
        /// Sets a mirror to use instead of the publisher's server. An `http` mirror requires
        /// [`checksum`](Self::checksum).
        text mirror "ARCH_MIRROR" SOURCE;
        /// Sets the checksum of the image, instead of the one published on the server.
        checksum checksum "IMAGE_CHECKSUM" CHECKSUM;
    }
}

built_in! {
    /// Installs Debian from its packages, for BIOS and UEFI, with cloud-init.
    ///
    /// The default release is the stable one that was current when this version of cloudd was
    /// published. Builds at different times install the packages of their time, and have the same
    /// fingerprint.
    Debian in "debian", shared [DISK];
    files { 0o755 "configure" }
    new {
        /// The stable release, from Debian's own mirrors.
    }
    parameters {
        /// Sets the release: `bookworm`, `trixie`, `testing`, `sid`.
        text suite "DEBIAN_SUITE" CODENAME;
        /// Sets a mirror to use instead of Debian's own. It does not provide security updates; see
        /// [`security_mirror`](Self::security_mirror).
        text mirror "DEBIAN_MIRROR" URL;
        /// Sets a mirror of Debian's security updates, in addition to [`mirror`](Self::mirror).
        text security_mirror "DEBIAN_SECURITY_MIRROR" URL;
        /// Installs another package. Can be called several times.
        word package "DEBIAN_PACKAGES" PACKAGES;
        /// Adds a kernel argument. Can be called several times.
        word kernel_arg "KERNEL_ARGS" KERNEL_ARGS;
    }
}

built_in! {
    /// Writes the Fedora CoreOS image for Hetzner Cloud, on which Ignition reads the user data of each
    /// server.
    FedoraCoreos in "fedora_coreos", shared [IMAGE, PARTITION];
    new {
        /// The current release of the stable stream.
    }
    config {
        /// Adds an Ignition config to the image, as JSON. Every server then uses it and ignores its
        /// user data. It is part of the builder's user data, so it must not contain secrets.
        ignition "config.ign" IGNITION
    }
    parameters {
        /// Sets the stream: `stable`, `testing` or `next`.
        text stream "FCOS_STREAM" CODENAME;
        /// Sets the release of the stream, as in `42.20250803.3.0`.
        text version "FCOS_VERSION" VERSION;
        /// Sets the platform, as in `qemu`. The default is `hetzner`.
        text platform "FCOS_PLATFORM" WORD;
        /// Sets a mirror to use instead of the publisher's server. An `http` mirror requires
        /// [`checksum`](Self::checksum).
        text mirror "FCOS_MIRROR" SOURCE;
        /// Adds a kernel argument. Can be called several times.
        word kernel_arg "KERNEL_ARGS" KERNEL_ARGS;
        /// Sets the checksum of the image, instead of the one in the metadata on the server.
        checksum checksum "IMAGE_CHECKSUM" CHECKSUM;
    }
}

built_in! {
    /// Writes the Flatcar image for Hetzner Cloud, on which Ignition reads the user data of each
    /// server.
    Flatcar in "flatcar", shared [IMAGE, PARTITION];
    new {
        /// The current version of the stable channel.
    }
    config {
        /// Adds an Ignition config to the image, as JSON. Every server then uses it and ignores its
        /// user data. It is part of the builder's user data, so it must not contain secrets.
        ignition "config.ign" IGNITION
    }
    parameters {
        /// Sets the channel: `stable`, `beta`, `alpha` or `lts`.
        text channel "FLATCAR_CHANNEL" CODENAME;
        /// Sets the version, as in `4230.2.1`.
        text version "FLATCAR_VERSION" VERSION;
        /// Sets the platform. The default is `hetzner`.
        text platform "FLATCAR_PLATFORM" WORD;
        /// Sets a mirror to use instead of the publisher's server. An `http` mirror requires
        /// [`checksum`](Self::checksum).
        text mirror "FLATCAR_MIRROR" SOURCE;
        /// Adds a kernel argument. Can be called several times.
        word kernel_arg "KERNEL_ARGS" KERNEL_ARGS;
        /// Sets the checksum of the image, instead of the one published on the server.
        checksum checksum "IMAGE_CHECKSUM" CHECKSUM;
    }
}

built_in! {
    /// Installs k3OS from its ISO image.
    ///
    /// k3OS is archived upstream. Its last version, 0.21.5 of 2022, gets no security updates. It reads
    /// user data from the EC2-style metadata routes, which Hetzner Cloud removed on 2026-08-01: servers
    /// there use only what [`config`](Self::config) contains.
    K3os in "k3os", shared [DISK, DOWNLOAD];
    files { 0o644 "default.yaml" }
    new {
        /// The last version.
    }
    config {
        /// Sets the k3OS config, as YAML. The default only refers to the user data of each server,
        /// which k3OS can no longer read on Hetzner Cloud.
        config "config.yaml" TEXT
    }
    parameters {
        /// Sets the version, as in `v0.21.5-k3s2r1`.
        text version "K3OS_VERSION" VERSION;
        /// Sets the disk of the servers, on which k3OS grows its partition. The default is `/dev/sda`.
        text device "K3OS_DEVICE" DEVICE;
        /// Sets a mirror to use instead of the publisher's server. An `http` mirror requires
        /// [`checksum`](Self::checksum).
        text mirror "K3OS_MIRROR" SOURCE;
        /// Adds a kernel argument. Can be called several times.
        word kernel_arg "KERNEL_ARGS" KERNEL_ARGS;
        /// Sets the checksum of the ISO image, instead of the one published on the server.
        checksum checksum "IMAGE_CHECKSUM" CHECKSUM;
    }
}

built_in! {
    /// Installs NixOS, built by Nix from nixpkgs and a configuration.
    ///
    /// The default is a system with SSH and cloud-init, from the channel of the stable release that
    /// was current when this version of cloudd was published. The current content of a channel is not
    /// part of the fingerprint. A tarball set by [`nixpkgs`](Self::nixpkgs) is, and builds the same
    /// system at any time.
    Nixos in "nixos", shared [DISK, DOWNLOAD];
    files { 0o644 "default.nix", 0o644 "hardware-configuration.nix" }
    new {
        /// The stable release, with SSH and cloud-init.
    }
    config {
        /// Sets the system's configuration in Nix, the text of a `configuration.nix`. It may import
        /// `hardware-configuration.nix`, which describes the disk and the boot loader. It is copied to
        /// the Nix store of the image, which every user of the system can read, so it must not contain
        /// secrets.
        configuration "configuration.nix" TEXT
    }
    parameters {
        /// Sets the channel: `nixos-26.05`, `nixos-26.05-small`, `nixos-unstable`.
        text channel "NIXOS_CHANNEL" VERSION;
        /// Sets a mirror of the channels to use instead of the NixOS server. An `http` mirror requires
        /// [`checksum`](Self::checksum).
        text mirror "NIXOS_MIRROR" SOURCE;
        private nixpkgs_url "NIXOS_NIXPKGS" SOURCE;
        /// Sets the checksum of nixpkgs. That of a channel is outdated as soon as the channel advances.
        checksum checksum "NIXOS_CHECKSUM" CHECKSUM;
        /// Sets a binary cache to use instead of `https://cache.nixos.org`. Can be called several
        /// times.
        word cache "NIXOS_CACHES" URLS;
        /// Adds the public key of a binary cache to that of `cache.nixos.org`. A mirror of
        /// `cache.nixos.org` does not need one. Can be called several times.
        word cache_key "NIXOS_CACHE_KEYS" CACHE_KEYS;
        /// Adds a kernel argument. Can be called several times.
        word kernel_arg "KERNEL_ARGS" KERNEL_ARGS;
    }
}

impl Nixos {
    /// Sets a tarball of nixpkgs, of a release or a commit, to use instead of a channel.
    pub fn nixpkgs(self, url: impl Into<String>, checksum: Checksum) -> Self {
        self.nixpkgs_url(url).checksum(checksum)
    }
}

built_in! {
    /// Writes the cloud image of openSUSE Leap, formerly JeOS, a qcow2 image with cloud-init.
    OpenSuseLeap in "open_suse_leap", shared [IMAGE];
    new {
        /// The release that was current when this version of cloudd was published.
    }
    parameters {
        /// Sets the release, as in `16.0` or `15.6`.
        text version "LEAP_VERSION" VERSION;
        /// Sets a mirror to use instead of the publisher's server. An `http` mirror requires
        /// [`checksum`](Self::checksum).
        text mirror "LEAP_MIRROR" SOURCE;
        /// Sets the checksum of the image, instead of the one published on the server.
        checksum checksum "IMAGE_CHECKSUM" CHECKSUM;
    }
}

built_in! {
    /// Writes a disk image from a URL: raw or qcow2, uncompressed or compressed by gzip, bzip2, xz or
    /// zstd.
    ///
    /// The format is detected from the content. A raw image is streamed from the URL to the volume. A
    /// qcow2 image is stored on the root file system of the builder first and must fit there.
    RawImage in "raw_image", shared [IMAGE];
    required { "IMAGE_URL", "IMAGE_CHECKSUM" }
    parameters {
        private url "IMAGE_URL" URL;
        private checksum "IMAGE_CHECKSUM" CHECKSUM;
    }
}

impl RawImage {
    /// The image at an `http` or `https` URL. The checksum is that of the file as downloaded, before
    /// decompression.
    pub fn new(url: impl Into<String>, checksum: Checksum) -> Self {
        let image = Self(InstallContainer::built_in(Self::BUILT_IN));
        image.url(url).checksum(checksum.to_string())
    }
}

built_in! {
    /// Writes the Talos Linux image for Hetzner Cloud, on which Talos reads its machine config from the
    /// user data of each server.
    ///
    /// The Image Factory publishes no checksums. Unless [`checksum`](Self::checksum) is called, only
    /// HTTPS protects the download.
    Talos in "talos", shared [IMAGE];
    required { "TALOS_VERSION" }
    config {
        /// Registers a schematic with the Image Factory: system extensions and kernel arguments.
        schematic_yaml "schematic.yaml" TEXT
    }
    parameters {
        private version "TALOS_VERSION" VERSION;
        /// Sets the id of a schematic that the Image Factory already has.
        text schematic "TALOS_SCHEMATIC" SCHEMATIC;
        /// Sets the platform, as in `nocloud`. The default is `hcloud`.
        text platform "TALOS_PLATFORM" WORD;
        /// Sets the URL of another Image Factory. An `http` URL requires [`checksum`](Self::checksum).
        text factory "TALOS_FACTORY" SOURCE;
        /// Sets the checksum of the image.
        checksum checksum "IMAGE_CHECKSUM" CHECKSUM;
    }
}

impl Talos {
    /// The given version, as in `v1.11.0`, without customization.
    pub fn new(version: impl Into<String>) -> Self {
        Self(InstallContainer::built_in(Self::BUILT_IN)).version(version)
    }
}

built_in! {
    /// Writes the cloud image of Ubuntu, a qcow2 image with cloud-init.
    Ubuntu in "ubuntu", shared [IMAGE];
    new {
        /// The last long-term support release when this version of cloudd was published.
    }
    parameters {
        /// Sets the release, as in `24.04`.
        text version "UBUNTU_VERSION" VERSION;
        /// Sets the build of the release, a date as in `20250805`. The default is the latest build.
        text serial "UBUNTU_SERIAL" VERSION;
        /// Sets a mirror to use instead of the publisher's server. An `http` mirror requires
        /// [`checksum`](Self::checksum).
        text mirror "UBUNTU_MIRROR" SOURCE;
        /// Sets the checksum of the image, instead of the one published on the server.
        checksum checksum "IMAGE_CHECKSUM" CHECKSUM;
    }
}
