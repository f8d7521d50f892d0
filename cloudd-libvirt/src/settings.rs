//! The settings of the provider.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cloudd_core::provider::{Architecture, Error, Result, Size};

use crate::error::invalid;

/// Implements `Display` and `FromStr` for an enum of keywords.
macro_rules! keywords {
    ($name:ident, $what:literal, $($variant:ident = $keyword:literal),+) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $keyword),+ })
            }
        }

        impl FromStr for $name {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                match text {
                    $($keyword => Ok(Self::$variant),)+
                    _ => Err(unknown($what, text, &[$($keyword),+].join(", "))),
                }
            }
        }
    };
}

/// The network of VMs. Parses from and displays as `user`, `default`, `network=NAME` or
/// `bridge=NAME`.
///
/// The [addresses](cloudd_core::provider::Vm::addresses) of a VM are known only in libvirt's own
/// networks, from their DHCP leases. With the others a boot check can use the console only.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Network {
    /// QEMU's user-mode network: the VM reaches the outside and cannot be reached. Needs no
    /// configuration of the host.
    #[default]
    User,
    /// libvirt's network `default`.
    Default,
    /// A network of libvirt, by its name.
    Named(String),
    /// A bridge of the host, by its name.
    Bridge(String),
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Default => f.write_str("default"),
            Self::Named(name) => write!(f, "network={name}"),
            Self::Bridge(name) => write!(f, "bridge={name}"),
        }
    }
}

impl FromStr for Network {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match (text, text.split_once('=')) {
            ("user", _) => Ok(Self::User),
            ("default", _) => Ok(Self::Default),
            (_, Some(("network", name))) if !name.is_empty() => Ok(Self::Named(name.to_owned())),
            (_, Some(("bridge", name))) if !name.is_empty() => Ok(Self::Bridge(name.to_owned())),
            _ => Err(unknown("network", text, "user, default, network=NAME or bridge=NAME")),
        }
    }
}

/// What executes the guest's instructions. Parses from and displays as `auto`, `kvm` or `tcg`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Accel {
    /// KVM if the host's processor reports virtualization (x86: the features `vmx` or `svm`) and
    /// libvirt offers KVM, otherwise emulation. `/dev/kvm` is not sufficient: on some hosts it exists
    /// and a Linux guest hangs.
    #[default]
    Auto,
    /// KVM, whatever the host reports.
    Kvm,
    /// Emulation by QEMU: slow, and works on every host.
    Tcg,
}

keywords!(Accel, "accelerator", Auto = "auto", Kvm = "kvm", Tcg = "tcg");

/// The processor that the guest sees. Parses from and displays as `host-passthrough`, `maximum` or
/// the name of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cpu {
    /// The host's processor. Needs KVM; the default with KVM.
    HostPassthrough,
    /// All features that the hypervisor offers. Under emulation on x86 this includes x86-64-v3, at
    /// some cost of speed.
    Maximum,
    /// A model, by libvirt's name for it. The default for emulated x86 is `Nehalem`, which has all of
    /// x86-64-v2 and boots a Debian faster than larger models.
    Model(String),
}

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HostPassthrough => "host-passthrough",
            Self::Maximum => "maximum",
            Self::Model(model) => model,
        })
    }
}

impl FromStr for Cpu {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "host-passthrough" => Ok(Self::HostPassthrough),
            "maximum" => Ok(Self::Maximum),
            "" => Err(unknown("CPU", text, "host-passthrough, maximum or the name of a model")),
            model => Ok(Self::Model(model.to_owned())),
        }
    }
}

/// How QEMU writes disks to the host. Parses from and displays as libvirt's values `writeback`,
/// `none` and `unsafe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DiskCache {
    /// Through the host's page cache; data that the guest flushed are on the host's disk.
    #[default]
    Writeback,
    /// Bypasses the host's page cache (`O_DIRECT`).
    None,
    /// Through the host's page cache, ignoring the guest's flushes. An image that is made while the
    /// host loses power is broken without an error: for tests only.
    Unsafe,
}

keywords!(DiskCache, "disk cache", Writeback = "writeback", None = "none", Unsafe = "unsafe");

fn unknown(what: &str, text: &str, expected: &str) -> Error {
    invalid("parse setting", format_args!("{text:?} is not a valid {what}: expected {expected}"))
}

/// The source of the base image: a disk image, raw or qcow2, of an operating system with cloud-init
/// and podman.
///
/// `Display` and `Debug` leave out what can be a secret in a URL: user, password, query and fragment.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseImage {
    /// A file on the machine that this program runs on.
    Path(PathBuf),
    /// A file on a web server.
    Url {
        /// The address.
        url: String,
        /// The SHA-256 of the file in hexadecimal, which makes a build reproducible.
        sha256: String,
    },
    /// An existing volume of the pool, by its name.
    Volume(String),
}

const CHECK: &str = "check base image";

impl BaseImage {
    /// A file.
    #[must_use]
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::Path(path.into())
    }

    /// A download and its SHA-256.
    #[must_use]
    pub fn url(url: impl Into<String>, sha256: impl Into<String>) -> Self {
        Self::Url { url: url.into(), sha256: sha256.into() }
    }

    /// A volume of the pool.
    #[must_use]
    pub fn volume(name: impl Into<String>) -> Self {
        Self::Volume(name.into())
    }

    /// Checks the syntax of the values.
    pub(crate) fn validate(&self) -> Result<()> {
        match self {
            Self::Url { url, .. } if !is_http(url) => {
                Err(invalid(CHECK, "not a URL that begins with http:// or https://")
                    .with_resource(self))
            }
            Self::Url { url, sha256 }
                if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
            {
                let message =
                    format!("{sha256:?} is not a SHA-256: expected 64 hexadecimal digits");
                Err(invalid(CHECK, message).with_resource(public_url(url)))
            }
            Self::Volume(name) if name.is_empty() || name.contains(['/', '\0']) => {
                Err(invalid(CHECK, format_args!("{name:?} is not a valid volume name")))
            }
            Self::Url { .. } | Self::Path(_) | Self::Volume(_) => Ok(()),
        }
    }
}

impl fmt::Display for BaseImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Url { url, .. } => f.write_str(&public_url(url)),
            Self::Volume(name) => write!(f, "volume {name}"),
        }
    }
}

impl fmt::Debug for BaseImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.debug_tuple("Path").field(path).finish(),
            Self::Url { url, sha256 } => f
                .debug_struct("Url")
                .field("url", &public_url(url))
                .field("sha256", sha256)
                .finish(),
            Self::Volume(name) => f.debug_tuple("Volume").field(name).finish(),
        }
    }
}

fn is_http(url: &str) -> bool {
    reqwest::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https"))
}

/// A URL without what can be a secret: user and password, query (signatures, tokens) and fragment.
pub(crate) fn public_url(url: &str) -> String {
    let Ok(url) = reqwest::Url::parse(url) else { return "(an invalid URL)".to_owned() };
    let Some(host) = url.host_str() else { return format!("{}:…", url.scheme()) };
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let query = if url.query().is_some() { "?…" } else { "" };
    format!("{}://{host}{port}{}{query}", url.scheme(), url.path())
}

/// A connection URI of libvirt without the password.
pub(crate) fn public_uri(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once("://") else { return uri.to_owned() };
    let (authority, path) = match rest.find('/') {
        Some(at) => rest.split_at(at),
        None => (rest, ""),
    };
    match authority.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split_once(':').map_or(user, |(user, _)| user);
            format!("{scheme}://{user}@{host}{path}")
        }
        None => uri.to_owned(),
    }
}

/// All settings of a provider.
#[derive(Clone)]
pub(crate) struct Config {
    pub(crate) uri: String,
    pub(crate) pool: String,
    pub(crate) base: Option<BaseImage>,
    pub(crate) architecture: Option<Architecture>,
    pub(crate) accel: Accel,
    pub(crate) cpu: Option<Cpu>,
    pub(crate) cpus: u32,
    pub(crate) memory: Size,
    pub(crate) cache: DiskCache,
    pub(crate) network: Network,
    pub(crate) network_config: Option<String>,
    pub(crate) upload_patience: Duration,
}

impl fmt::Debug for Config {
    /// Without the network configuration, which can contain passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            uri,
            pool,
            base,
            architecture,
            accel,
            cpu,
            cpus,
            memory,
            cache,
            network,
            network_config,
            upload_patience,
        } = self;
        f.debug_struct("Config")
            .field("uri", &public_uri(uri))
            .field("pool", pool)
            .field("base", base)
            .field("architecture", architecture)
            .field("accel", accel)
            .field("cpu", cpu)
            .field("cpus", cpus)
            .field("memory", memory)
            .field("cache", cache)
            .field("network", network)
            .field("network_config", &network_config.as_ref().map(|_| "…"))
            .field("upload_patience", upload_patience)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use cloudd_core::provider::ErrorKind;

    use super::*;

    #[test]
    fn settings_are_parsed_as_they_are_displayed() {
        fn check<T: FromStr<Err = Error> + fmt::Display>(texts: &[&str]) {
            for text in texts {
                let value: T = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
                assert_eq!(value.to_string(), *text);
            }
        }
        check::<Accel>(&["auto", "kvm", "tcg"]);
        check::<Cpu>(&["host-passthrough", "maximum", "Nehalem"]);
        check::<DiskCache>(&["writeback", "none", "unsafe"]);
        check::<Network>(&["user", "default", "network=lab", "bridge=br0"]);
        assert!("bridge=".parse::<Network>().is_err());
        let error = "KVM".parse::<Accel>().unwrap_err().to_string();
        assert!(error.contains("\"KVM\" is not a valid accelerator: expected auto"), "{error}");
    }

    #[test]
    fn secrets_in_urls_are_not_shown() {
        let secret = ["hunter2", "alice", "s3cret", "frag"];
        for url in [
            "https://alice:hunter2@example.org:8443/base.img?X-Signature=s3cret#frag",
            "https://example.org/base.img?token=s3cret",
            "https://alice:hunter2@exa mple.org/base.img",
            "ftp://alice:hunter2@example.org/base.img?s3cret",
            "data:alice,hunter2",
        ] {
            for sha256 in ["ab".repeat(32), "abc".to_owned()] {
                let base = BaseImage::url(url, sha256);
                let error =
                    base.validate().map_or_else(|error| format!("{error:?}"), |()| String::new());
                let shown = format!("{base} {base:?} {error}");
                assert!(!secret.iter().any(|secret| shown.contains(secret)), "{shown}");
            }
        }
        let shown = public_url("https://a:b@example.org:8443/base.img?c=d");
        assert_eq!(shown, "https://example.org:8443/base.img?…");
        assert_eq!(public_url("http://[::1]/base.img"), "http://[::1]/base.img");
        assert_eq!(public_uri("qemu+tcp://a:b@host/system?x=y"), "qemu+tcp://a@host/system?x=y");
        assert_eq!(public_uri("qemu:///system?socket=/a@b"), "qemu:///system?socket=/a@b");
    }

    proptest::proptest! {
        #[test]
        fn no_password_is_shown(
            user in "[a-z]{1,5}", password in "[0-9A-Z%@:?#/]{1,9}SECRET", host in "[a-z]{1,5}",
        ) {
            let url = format!("https://{user}:{password}@{host}/x?{password}#{password}");
            // What a parser takes for the path is shown.
            let is_path = reqwest::Url::parse(&url).is_ok_and(|url| url.path().contains("SECRET"));
            proptest::prop_assume!(!is_path);
            proptest::prop_assert!(!public_url(&url).contains("SECRET"));
        }
    }

    #[test]
    fn an_invalid_base_image_is_refused_by_name() {
        let bad = [
            BaseImage::url("no url", "ab".repeat(32)),
            BaseImage::url("https://example.org/a.qcow2", "abc"),
            BaseImage::url("https://example.org/a.qcow2", "xy".repeat(32)),
            BaseImage::volume("../etc"),
            BaseImage::volume(""),
        ];
        for base in bad {
            let error = base.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{base}");
        }
        assert!(BaseImage::url("https://example.org/a", "AB".repeat(32)).validate().is_ok());
    }
}
