use std::collections::{BTreeMap, btree_map};

use serde::{Deserialize, Serialize};

/// The labels of every resource that cloudd creates. The prefix is reserved: a user's label
/// must not begin with `cloudd/`.
pub mod keys {
    /// The image name given to the builder.
    pub const NAME: &str = "cloudd/name";
    /// The fingerprint of the image ([`Fingerprint`](super::super::Fingerprint)).
    pub const FINGERPRINT: &str = "cloudd/fingerprint";
    /// The run that created the resource ([`BuildId`](super::super::BuildId)).
    pub const BUILD: &str = "cloudd/build";
    /// On a lease, the step of the build that is about to begin. Written before the step, so that a VM
    /// that is off before its first start is never taken for one that has finished.
    pub const PHASE: &str = "cloudd/phase";
    /// On a lease, the process that holds it. Unique for every lease that is created.
    pub const HOLDER: &str = "cloudd/holder";
    /// On a lease, `DURATION.RENEWALS`: its duration in seconds and the number of renewals. A
    /// process that sees the label unchanged for the duration takes the lease for expired.
    pub const LEASE: &str = "cloudd/lease";
    /// On a lease, its fencing token: 1 for the first lease of a name, and one more for each lease
    /// that takes over an expired one. The lease with the highest token is the valid one.
    pub const FENCING_TOKEN: &str = "cloudd/fencing-token";
    /// On an image, `passed` once a VM that was started from it has passed the readiness probe, and
    /// `pending` until then if its build has a boot check.
    pub const BOOT_CHECK: &str = "cloudd/boot-check";
    /// UNIX time in seconds after which a sweep may delete the resource. Never on an image.
    pub const EXPIRES: &str = "cloudd/expires";
    /// The processor architecture of an image.
    pub const ARCHITECTURE: &str = "cloudd/architecture";
    /// The prefix of all keys of cloudd.
    pub const PREFIX: &str = "cloudd/";
}

/// A label that is not valid on any provider.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidLabel {
    /// The key does not follow the rule.
    #[error(
        "label key {0:?}: expected [prefix/]name, the name 1 to 63 characters, letters and digits \
         at both ends, also '-', '_' and '.' inside"
    )]
    Key(String),
    /// The key has the reserved prefix.
    #[error("label key {0:?}: the prefix cloudd/ is reserved")]
    Reserved(String),
    /// The value does not follow the rule.
    #[error(
        "label {key:?} with value {value:?}: expected 0 to 63 characters, letters and digits at \
         both ends, also '-', '_' and '.' inside"
    )]
    Value {
        /// The key.
        key: String,
        /// The offending value.
        value: String,
    },
}

/// Labels of a resource.
///
/// The rule for keys and values is that of Hetzner Cloud (its API reference, "Labels"), which is
/// the strictest of the clouds known to us: labels that fit here fit everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// No labels.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces one label.
    ///
    /// # Errors
    /// [`InvalidLabel`] when key or value break the rule.
    pub fn insert(
        &mut self,
        key: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), InvalidLabel> {
        let (key, value) = (key.into(), value.into());
        if !is_key(&key) {
            return Err(InvalidLabel::Key(key));
        }
        if !validate_value(&value) {
            return Err(InvalidLabel::Value { key, value });
        }
        self.0.insert(key, value);
        Ok(())
    }

    /// The value of a label.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All labels, sorted by key.
    pub fn iter(&self) -> btree_map::Iter<'_, String, String> {
        self.0.iter()
    }

    /// These labels with `other` laid over them.
    #[must_use]
    pub fn merged(mut self, other: &Self) -> Self {
        self.0.extend(other.iter().map(|(key, value)| (key.clone(), value.clone())));
        self
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that no key has the prefix that is reserved for cloudd, for labels from a user.
    ///
    /// # Errors
    /// [`InvalidLabel::Reserved`] with the first such key.
    pub fn ensure_unreserved(&self) -> Result<(), InvalidLabel> {
        match self.0.keys().find(|key| key.starts_with(keys::PREFIX)) {
            Some(key) => Err(InvalidLabel::Reserved(key.clone())),
            None => Ok(()),
        }
    }

    /// Whether the labels are those of a resource of cloudd. No proof that cloudd created it: users
    /// copy labels.
    #[must_use]
    pub fn is_managed(&self) -> bool {
        self.0.contains_key(keys::BUILD)
    }
}

/// Collects labels without checking them: for labels that a provider returned, and for those whose
/// keys and values are known to be valid.
impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Labels {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(labels: I) -> Self {
        Self(labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
    }
}

impl<'a> IntoIterator for &'a Labels {
    type Item = (&'a String, &'a String);
    type IntoIter = btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Which resources to find: those that carry every given label; always only cloudd's own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Selector {
    /// Key and value pairs that must all be present.
    pub labels: Vec<(String, String)>,
    /// Only things of this kind; `None`: of all kinds.
    pub kind: Option<super::ResourceKind>,
}

impl Selector {
    /// Everything that cloudd created.
    #[must_use]
    pub fn all() -> Self {
        Self::default()
    }

    /// Narrows to resources whose label `key` is `value`.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// Narrows to things of one kind.
    #[must_use]
    pub fn of_kind(mut self, kind: super::ResourceKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Everything that was made, or is being made, for one fingerprint.
    #[must_use]
    pub fn fingerprint(fingerprint: &super::Fingerprint) -> Self {
        Self::all().with(keys::FINGERPRINT, fingerprint.as_str())
    }

    /// Everything of one build.
    #[must_use]
    pub fn build(build: &super::BuildId) -> Self {
        Self::all().with(keys::BUILD, build.as_str())
    }

    /// Whether things of this kind are selected, if their labels are.
    #[must_use]
    pub fn takes(&self, kind: super::ResourceKind) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
    }

    /// Whether a resource is selected.
    #[must_use]
    pub fn selects(&self, resource: &super::Resource) -> bool {
        self.takes(resource.id.kind()) && self.matches(&resource.labels)
    }

    /// Whether a resource with these labels is selected, if its kind is.
    #[must_use]
    pub fn matches(&self, labels: &Labels) -> bool {
        labels.is_managed() && self.labels.iter().all(|(key, value)| labels.get(key) == Some(value))
    }
}

/// Whether a text can be a label's value: empty, or 1 to 63 ASCII characters, letters and digits
/// at both ends, also `-`, `_` and `.` inside.
#[must_use]
pub fn validate_value(value: &str) -> bool {
    value.is_empty() || is_name(value)
}

fn is_key(key: &str) -> bool {
    match key.split_once('/') {
        None => is_name(key),
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_name(name),
    }
}

fn is_name(text: &str) -> bool {
    let inside = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && end(bytes.first())
        && end(bytes.last())
        && bytes.iter().copied().all(inside)
}

fn is_dns_subdomain(prefix: &str) -> bool {
    prefix.len() <= 253 && prefix.split('.').all(|part| is_name(part) && !part.contains('_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_strictest_cloud() {
        let cases = [
            ("cloudd/name", "leap-15.6", true),
            ("plain", "", true),
            ("a.b-c/d_e", "x", true),
            ("", "x", false),
            ("a/b/c", "x", false),
            ("-a", "x", false),
            ("a", "has space", false),
            ("a", "2026-11-22T20:00:00Z", false),
            ("a", "trailing-", false),
        ];
        for (key, value, fits) in cases {
            assert_eq!(Labels::new().insert(key, value).is_ok(), fits, "{key:?}={value:?}");
        }
        assert!(Labels::new().insert("a", "x".repeat(63)).is_ok());
        assert!(Labels::new().insert("a", "x".repeat(64)).is_err());
    }

    #[test]
    fn a_selector_never_finds_what_is_not_ours() {
        let foreign = Labels::from_iter([("team", "a")]);
        assert!(!Selector::all().matches(&foreign));
        assert!(!Selector::all().with("team", "a").matches(&foreign));
        let mut ours = foreign.clone();
        ours.insert(keys::BUILD, "abcdefghij").unwrap();
        assert!(Selector::all().with("team", "a").matches(&ours));
        assert!(!Selector::all().with("team", "b").matches(&ours));
    }
}
