//! `yum_repos`.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;
use super::secret::Url;

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct YumRepos {
    repos: Vec<YumRepo>,
}

impl CloudConfig {
    /// Adds a repository for yum or dnf, on distributions that have them.
    #[doc(alias = "yum_repos")]
    pub fn yum_repo(mut self, repo: YumRepo) -> Self {
        self.yum.repos.push(repo);
        self
    }
}

/// A repository of rpm packages, written to `/etc/yum.repos.d/ID.repo`. A file of that name that
/// the image already has is left as it is.
#[derive(Clone, PartialEq)]
#[must_use]
pub struct YumRepo {
    id: String,
    baseurl: Url,
    options: Vec<(String, YumValue)>,
}

/// The value of an option in a `.repo` file.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum YumValue {
    /// 1 or 0 in the file.
    Flag(bool),
    /// A number.
    Number(i64),
    /// One line of text.
    Text(String),
}

impl YumRepo {
    /// A repository at this URL, in which dnf replaces `$releasever` and `$basearch`.
    ///
    /// There is no way to give only a metalink or mirrorlist: cloud-init skips a repository
    /// without `baseurl`. Write such a `.repo` file with
    /// [`CloudConfig::write_file`](CloudConfig::write_file).
    pub fn new(id: impl Into<String>, baseurl: impl Into<String>) -> Self {
        Self { id: id.into(), baseurl: Url::new(baseurl), options: Vec::new() }
    }

    /// The name for people.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.option("name", name.into())
    }

    /// Adds the repository without using it.
    pub fn disabled(self) -> Self {
        self.option("enabled", false)
    }

    /// Checks packages against the key at this URL.
    #[doc(alias = "gpgcheck")]
    pub fn gpg_key(self, url: impl Into<String>) -> Self {
        self.option("gpgcheck", true).option("gpgkey", url.into())
    }

    /// Any other option of dnf.conf(5).
    pub fn option(mut self, key: impl Into<String>, value: impl Into<YumValue>) -> Self {
        self.options.push((key.into(), value.into()));
        self
    }

    fn check(&self) -> Result<()> {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        if self.id.is_empty() || !self.id.chars().all(known) {
            check::invalid("yum_repos", &self.id, "is not a repository id")?;
        }
        check::url("yum_repos.baseurl", &self.baseurl)?;
        no_percent("yum_repos.baseurl", self.baseurl.expose(), &self.baseurl.shown())?;
        for (key, value) in &self.options {
            let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            if key.is_empty() || !key.chars().all(known) {
                check::invalid("yum_repos", key, "is not an option of lower case letters")?;
            }
            if let YumValue::Text(text) = value {
                let shown = shown(key, text);
                if text.is_empty() || text.contains(char::is_control) {
                    check::invalid("yum_repos", &shown, "is not one line of text")?;
                }
                no_percent("yum_repos", text, &shown)?;
            }
        }
        let keys = self.options.iter().map(|(key, _)| key.as_str());
        check::no_duplicates("yum_repos", keys.chain(["baseurl"]))
    }
}

/// cloud-init writes the file with Python's `ConfigParser`, which raises on '%' and writes "%%" as
/// two: there is no way to get one through.
fn no_percent(key: &'static str, text: &str, shown: &str) -> Result<()> {
    if text.contains('%') {
        check::invalid(key, shown, "holds a '%', which cloud-init cannot write to a .repo file")?;
    }
    Ok(())
}

/// The value of an option as it may be shown: `password` and `proxy_password` are secret, and the
/// URL in `proxy` or `gpgkey` may carry one.
fn shown(option: &str, text: &str) -> String {
    if option.contains("password") { "<redacted>".to_owned() } else { Url::new(text).shown() }
}

impl Section for YumRepos {
    fn check(&self) -> Result<()> {
        self.repos.iter().try_for_each(YumRepo::check)?;
        check::no_duplicates("yum_repos", self.repos.iter().map(|repo| repo.id.as_str()))
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        if !self.repos.is_empty() {
            document.entry("yum_repos", self);
        }
        Ok(())
    }
}

impl Serialize for YumRepos {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.repos.len()))?;
        for repo in &self.repos {
            map.serialize_entry(&repo.id, repo)?;
        }
        map.end()
    }
}

impl Serialize for YumRepo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("baseurl", &self.baseurl)?;
        for (key, value) in &self.options {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl fmt::Debug for YumRepo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut repo = f.debug_struct("YumRepo");
        repo.field("id", &self.id).field("baseurl", &self.baseurl);
        for (key, value) in &self.options {
            match value {
                YumValue::Text(text) => repo.field(key, &shown(key, text)),
                other => repo.field(key, other),
            };
        }
        repo.finish()
    }
}

impl From<bool> for YumValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<i64> for YumValue {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<&str> for YumValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for YumValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
