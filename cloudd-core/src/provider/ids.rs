use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::digest::hex;

/// Declares a newtype for an id that a provider assigns.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(String);

        impl $name {
            /// An id in the provider's form.
            #[must_use]
            pub fn new(id: impl Into<String>) -> Self {
                Self(id.into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                if text.is_empty() || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
                    return Err(InvalidName {
                        what: stringify!($name),
                        value: text.to_owned(),
                        rule: "a text without white space and control characters",
                    });
                }
                Ok(Self(text.to_owned()))
            }
        }
    };
}

id! {
    /// A VM of a provider: a server number on Hetzner Cloud, a domain name on libvirt.
    VmId
}
id! {
    /// A volume of a provider.
    VolumeId
}
id! {
    /// An image of a provider: the result of a build, from which servers are started.
    ImageId
}

id! {
    /// A lease of a provider ([`Provider::create_lease`](super::Provider::create_lease)).
    LeaseId
}

/// A resource that a provider created for a build and can delete.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "id")]
#[non_exhaustive]
pub enum ResourceId {
    /// A VM.
    Vm(VmId),
    /// A volume.
    Volume(VolumeId),
    /// An image.
    Image(ImageId),
    /// A lease.
    Lease(LeaseId),
}

impl ResourceId {
    /// The order in which resources are deleted: users of a resource before it.
    #[must_use]
    pub fn delete_order(&self) -> u8 {
        match self {
            Self::Vm(_) => 0,
            Self::Image(_) => 1,
            Self::Volume(_) => 2,
            // A later run finds leftovers by the lease, so it is deleted last.
            Self::Lease(_) => 3,
        }
    }

    /// The kind of the resource.
    #[must_use]
    pub fn kind(&self) -> ResourceKind {
        match self {
            Self::Vm(_) => ResourceKind::Vm,
            Self::Volume(_) => ResourceKind::Volume,
            Self::Image(_) => ResourceKind::Image,
            Self::Lease(_) => ResourceKind::Lease,
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vm(id) => write!(f, "VM {id}"),
            Self::Volume(id) => write!(f, "volume {id}"),
            Self::Image(id) => write!(f, "image {id}"),
            Self::Lease(id) => write!(f, "lease {id}"),
        }
    }
}

impl FromStr for ResourceId {
    type Err = InvalidName;

    /// Parses the displayed form, such as `volume 42`, and `volume/42`.
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let (kind, id) = text.split_once([' ', '/']).unwrap_or(("", text));
        match kind {
            "VM" | "vm" => Ok(Self::Vm(id.parse()?)),
            "volume" => Ok(Self::Volume(id.parse()?)),
            "image" => Ok(Self::Image(id.parse()?)),
            "lease" => Ok(Self::Lease(id.parse()?)),
            _ => Err(InvalidName::new(
                "resource id",
                text,
                "vm, volume, image or lease, a slash, and the id",
            )),
        }
    }
}

impl From<VmId> for ResourceId {
    fn from(id: VmId) -> Self {
        Self::Vm(id)
    }
}

impl From<VolumeId> for ResourceId {
    fn from(id: VolumeId) -> Self {
        Self::Volume(id)
    }
}

impl From<ImageId> for ResourceId {
    fn from(id: ImageId) -> Self {
        Self::Image(id)
    }
}

impl From<LeaseId> for ResourceId {
    fn from(id: LeaseId) -> Self {
        Self::Lease(id)
    }
}

/// The kind of a [`ResourceId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ResourceKind {
    /// VMs.
    Vm,
    /// Volumes.
    Volume,
    /// Images.
    Image,
    /// Leases.
    Lease,
}

impl fmt::Display for ResourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Vm => "VM",
            Self::Volume => "volume",
            Self::Image => "image",
            Self::Lease => "lease",
        })
    }
}

/// A text that does not follow the rule of the type as which it was parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is not a {what}: expected {rule}")]
#[non_exhaustive]
pub struct InvalidName {
    /// The expected kind of value.
    pub what: &'static str,
    /// The offending value.
    pub value: String,
    /// The rule for the value.
    pub rule: &'static str,
}

impl InvalidName {
    pub(crate) fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self { what, value: value.to_owned(), rule }
    }
}

/// One run of a build: ten characters `[a-z0-9]`, in the name and labels of everything it creates.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct BuildId(String);

impl BuildId {
    const LENGTH: usize = 10;

    /// A new random id with 51 bits of entropy.
    ///
    /// The randomness is that of the standard library's hash maps, whose keys come from the operating
    /// system: an id has to be unique, not secret.
    #[must_use]
    pub fn random() -> Self {
        const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut chance = RandomState::new().hash_one((now, std::process::id()));
        let mut id = String::with_capacity(Self::LENGTH);
        for _ in 0..Self::LENGTH {
            // Below 36, so it fits a `usize` of any width.
            id.push(char::from(ALPHABET[(chance % 36) as usize]));
            chance /= 36;
        }
        Self(id)
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for BuildId {
    type Error = InvalidName;

    fn try_from(value: String) -> Result<Self, InvalidName> {
        let shape = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        if value.len() == Self::LENGTH && value.bytes().all(shape) {
            Ok(Self(value))
        } else {
            Err(InvalidName { what: "build id", value, rule: "ten characters a-z and 0-9" })
        }
    }
}

impl FromStr for BuildId {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::try_from(text.to_owned())
    }
}

impl From<BuildId> for String {
    fn from(id: BuildId) -> Self {
        id.0
    }
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A hash of everything an image is made from: 40 hexadecimal characters (160 bits of SHA-256), so
/// that it fits a label value of Hetzner Cloud (63 characters).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    const LENGTH: usize = 40;

    /// The fingerprint of a SHA-256 digest.
    #[must_use]
    pub fn from_digest(digest: [u8; 32]) -> Self {
        let mut hex = hex(&digest);
        hex.truncate(Self::LENGTH);
        Self(hex)
    }

    /// The fingerprint as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = InvalidName;

    fn try_from(value: String) -> Result<Self, InvalidName> {
        let shape = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if value.len() == Self::LENGTH && value.bytes().all(shape) {
            Ok(Self(value))
        } else {
            Err(InvalidName { what: "fingerprint", value, rule: "40 characters 0-9 and a-f" })
        }
    }
}

impl FromStr for Fingerprint {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::try_from(text.to_owned())
    }
}

impl From<Fingerprint> for String {
    fn from(fingerprint: Fingerprint) -> Self {
        fingerprint.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_ids_have_the_shape_they_are_parsed_with_and_differ() {
        let first = BuildId::random();
        assert_eq!(BuildId::try_from(first.to_string()), Ok(first.clone()));
        assert_ne!(first, BuildId::random());
        assert!(BuildId::try_from("UPPER-case".to_owned()).is_err());
    }

    #[test]
    fn resource_ids_are_parsed_as_they_are_displayed() {
        let ids: [ResourceId; 4] = [
            VmId::new("1").into(),
            VolumeId::new("2").into(),
            ImageId::new("a.pool/b").into(),
            LeaseId::new("3").into(),
        ];
        for id in ids {
            assert_eq!(id.to_string().parse(), Ok(id.clone()));
        }
        assert_eq!("vm/7".parse(), Ok(ResourceId::from(VmId::new("7"))));
        for bad in ["", "7", "server/7", "vm/", "vm/a b"] {
            assert!(bad.parse::<ResourceId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn what_uses_others_is_deleted_first() {
        let mut ids = [LeaseId::new("1").into(), VolumeId::new("2").into(), VmId::new("3").into()];
        ids.sort_by_key(ResourceId::delete_order);
        assert_eq!(ids[0], VmId::new("3").into());
        assert_eq!(ids[2], LeaseId::new("1").into());
    }
}
