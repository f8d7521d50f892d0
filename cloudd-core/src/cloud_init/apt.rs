//! `apt`: sources with their keys, mirrors, proxies, debconf.

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::apt_source::AptSource;
use super::check;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;
use super::secret::{Secret, Url};

impl CloudConfig {
    /// Configures apt, on distributions that have it.
    pub fn apt(mut self, apt: Apt) -> Self {
        self.apt = Some(apt);
        self
    }
}

/// Settings of apt.
///
/// cloud-init rewrites `/etc/apt/sources.list` from its own template as soon as anything is set
/// here, unless [`preserve_sources_list`](Self::preserve_sources_list) is said.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[must_use]
pub struct Apt {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    preserve_sources_list: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    primary: Vec<Mirror>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    security: Vec<Mirror>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disable_suites: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "sources")]
    sources: Vec<AptSource>,
    #[serde(skip_serializing_if = "Option::is_none")]
    http_proxy: Option<Url>,
    #[serde(skip_serializing_if = "Option::is_none")]
    https_proxy: Option<Url>,
    #[serde(skip_serializing_if = "Option::is_none")]
    conf: Option<Secret>,
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "selections")]
    debconf_selections: Vec<(String, Secret)>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
struct Mirror {
    arches: [&'static str; 1],
    uri: Url,
}

impl Mirror {
    fn new(uri: impl Into<String>) -> Self {
        Self { arches: ["default"], uri: Url::new(uri) }
    }
}

impl Apt {
    /// No setting yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a repository.
    pub fn source(mut self, source: AptSource) -> Self {
        self.sources.push(source);
        self
    }

    /// Keeps the image's own `/etc/apt/sources.list`.
    pub fn preserve_sources_list(mut self) -> Self {
        self.preserve_sources_list = true;
        self
    }

    /// The mirror of the distribution, for every architecture.
    pub fn primary_mirror(mut self, url: impl Into<String>) -> Self {
        self.primary = vec![Mirror::new(url)];
        self
    }

    /// The mirror of the distribution's security updates, for every architecture.
    pub fn security_mirror(mut self, url: impl Into<String>) -> Self {
        self.security = vec![Mirror::new(url)];
        self
    }

    /// Comments a suite out of `sources.list`: `updates`, `backports`, `security`.
    pub fn disable_suite(mut self, suite: impl Into<String>) -> Self {
        self.disable_suites.push(suite.into());
        self
    }

    /// The proxy for http.
    pub fn http_proxy(mut self, url: impl Into<String>) -> Self {
        self.http_proxy = Some(Url::new(url));
        self
    }

    /// The proxy for https.
    pub fn https_proxy(mut self, url: impl Into<String>) -> Self {
        self.https_proxy = Some(Url::new(url));
        self
    }

    /// Lines for apt.conf. Not shown by `Debug`, since a proxy's password may be in it.
    pub fn conf(mut self, text: impl Into<String>) -> Self {
        self.conf = Some(Secret::new(text));
        self
    }

    /// Lines for debconf-set-selections(1) under a name of your choice. Not shown by `Debug`,
    /// since packages ask for passwords this way.
    pub fn debconf_selections(mut self, name: impl Into<String>, lines: impl Into<String>) -> Self {
        self.debconf_selections.push((name.into(), Secret::new(lines)));
        self
    }
}

impl Section for Option<Apt> {
    fn check(&self) -> Result<()> {
        let Some(apt) = self else {
            return Ok(());
        };
        if *apt == Apt::default() {
            check::invalid("apt", "", "is empty")?;
        }
        apt.sources.iter().try_for_each(AptSource::check)?;
        check::no_duplicates("apt.sources", apt.sources.iter().map(AptSource::name))?;
        let names = apt.debconf_selections.iter().map(|(name, _)| name.as_str());
        check::no_duplicates("apt.debconf_selections", names.clone())?;
        names.into_iter().try_for_each(|name| check::token("apt.debconf_selections", name))?;
        apt.disable_suites.iter().try_for_each(|s| check::token("apt.disable_suites", s))?;
        check::no_duplicates("apt.disable_suites", apt.disable_suites.iter().map(String::as_str))?;
        let mirrors = apt.primary.iter().chain(&apt.security).map(|mirror| &mirror.uri);
        let proxies = apt.http_proxy.iter().chain(&apt.https_proxy);
        mirrors.chain(proxies).try_for_each(|url| check::url("apt", url))
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("apt", self);
        Ok(())
    }
}

fn sources<S: Serializer>(sources: &[AptSource], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(sources.len()))?;
    for source in sources {
        map.serialize_entry(source.name(), source)?;
    }
    map.end()
}

fn selections<S: Serializer>(
    selections: &[(String, Secret)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(selections.len()))?;
    for (name, lines) in selections {
        map.serialize_entry(name, lines)?;
    }
    map.end()
}
