//! One part of multi-part user data.

use std::fmt;

use super::config::CloudConfig;
use super::error::{Error, Result};

/// A part of multi-part user data: a cloud-config, a script, or any other content that cloud-init has
/// a handler for.
///
/// `Debug` leaves out the content.
#[derive(Clone, PartialEq)]
#[must_use]
pub struct Part {
    name: String,
    kind: PartKind,
    body: Body,
    merge: Merge,
}

#[derive(Clone, PartialEq)]
enum Body {
    Config(Box<CloudConfig>),
    Text(String),
}

/// The kind of a part, which selects its handler in cloud-init.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartKind {
    /// `#cloud-config`, merged with the other cloud-configs.
    CloudConfig,
    /// `#!…`: runs late in the first boot, after `runcmd`, in the order of the part names.
    ShellScript,
    /// `#!…`: runs late in every boot.
    ShellScriptPerBoot,
    /// `#!…`: runs late in the first boot of every machine created from the disk.
    ShellScriptPerInstance,
    /// `#!…`: runs once in the lifetime of the disk.
    ShellScriptPerOnce,
    /// `#cloud-boothook`, then `#!…`: runs in every boot as soon as cloud-init has read it.
    CloudBoothook,
    /// `## template: jinja`, then any other part: a template, rendered with the instance data.
    Jinja2,
    /// Any other content type of cloud-init, as in `text/part-handler`, `text/x-include-url` or
    /// `text/cloud-config-jsonp`, or one registered by a part handler. The text must not be empty.
    Other(String),
}

impl PartKind {
    /// The MIME content type of the kind.
    #[must_use]
    pub fn content_type(&self) -> &str {
        match self {
            Self::CloudConfig => "text/cloud-config",
            Self::ShellScript => "text/x-shellscript",
            Self::ShellScriptPerBoot => "text/x-shellscript-per-boot",
            Self::ShellScriptPerInstance => "text/x-shellscript-per-instance",
            Self::ShellScriptPerOnce => "text/x-shellscript-per-once",
            Self::CloudBoothook => "text/cloud-boothook",
            Self::Jinja2 => "text/jinja2",
            Self::Other(content_type) => content_type,
        }
    }

    /// Checks that the text starts as its kind requires. Otherwise cloud-init would detect another
    /// kind, or the kernel would refuse to run a script without an interpreter.
    fn problem(&self, text: &str) -> Option<&'static str> {
        match self {
            Self::CloudConfig => {
                let first = text.lines().next().unwrap_or_default();
                (first.trim_end() != "#cloud-config")
                    .then_some("does not start with a line \"#cloud-config\"")
            }
            Self::ShellScript
            | Self::ShellScriptPerBoot
            | Self::ShellScriptPerInstance
            | Self::ShellScriptPerOnce => {
                (!text.starts_with("#!")).then_some("does not start with \"#!\"")
            }
            Self::CloudBoothook => {
                let script = text.strip_prefix("#cloud-boothook").unwrap_or(text).trim_start();
                (!script.starts_with("#!"))
                    .then_some("does not start with \"#!\" after \"#cloud-boothook\"")
            }
            Self::Jinja2 => (!text.starts_with("## template: jinja"))
                .then_some("does not start with \"## template: jinja\""),
            Self::Other(content_type) if !is_content_type(content_type) => {
                Some("has a content type that is not `text/…` in lower case")
            }
            Self::Other(_) => text.is_empty().then_some("is empty"),
        }
    }
}

fn is_content_type(text: &str) -> bool {
    text.strip_prefix("text/").is_some_and(|subtype| {
        !subtype.is_empty()
            && subtype.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    })
}

/// How a cloud-config part is merged into the earlier ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Merge {
    /// cloud-init's default: a top-level key of this part replaces the same key of earlier parts. A
    /// `runcmd` of this part discards every earlier `runcmd`.
    #[default]
    Replace,
    /// Lists are appended and mappings merged. Where both parts have a single value, the earlier one
    /// is kept. With this strategy a part can be added without breaking earlier parts.
    Append,
    /// A strategy in cloud-init's notation, as in `list(append)+dict(recurse_array)+str()`.
    How(String),
}

impl Merge {
    /// The value of the header `X-Merge-Type`, unless it is the default.
    pub(super) fn header(&self) -> Option<&str> {
        match self {
            Self::Replace => None,
            Self::Append => Some("list(append)+dict(no_replace,recurse_list)+str()"),
            Self::How(notation) => Some(notation),
        }
    }
}

impl Part {
    /// A part with a typed cloud-config.
    pub fn cloud_config(name: impl Into<String>, config: CloudConfig) -> Self {
        Self::with_body(PartKind::CloudConfig, name, Body::Config(Box::new(config)))
    }

    /// A part with a script that runs late in the first boot.
    pub fn shell_script(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::text(PartKind::ShellScript, name, text)
    }

    /// A part of any kind with this text. The name becomes a file name on the machine and determines
    /// the order of scripts. It consists of letters, digits, '-', '_' and '.'.
    pub fn text(kind: PartKind, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::with_body(kind, name, Body::Text(text.into()))
    }

    /// Sets how a cloud-config part is merged into earlier ones.
    pub fn merge(mut self, merge: Merge) -> Self {
        self.merge = merge;
        self
    }

    fn with_body(kind: PartKind, name: impl Into<String>, body: Body) -> Self {
        Self { name: name.into(), kind, body, merge: Merge::default() }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn kind(&self) -> &PartKind {
        &self.kind
    }

    pub(super) fn merge_header(&self) -> Option<&str> {
        self.merge.header()
    }

    /// Validates the part and returns its text.
    pub(super) fn render(&self) -> Result<String> {
        let text = match &self.body {
            Body::Config(config) => config.render()?.into_string(),
            Body::Text(text) => text.clone(),
        };
        match self.name_problem().or(self.kind.problem(&text)).or(self.merge_problem()) {
            None => Ok(text),
            Some(reason) => Err(Error::InvalidPart { name: self.name.clone(), reason }),
        }
    }

    fn name_problem(&self) -> Option<&'static str> {
        // cloud-init drops every other character, so two names could become equal.
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let good = (1..=64).contains(&self.name.len())
            && self.name.chars().all(known)
            && !self.name.starts_with('.');
        (!good).then_some("has a name with characters other than letters, digits, '-', '_' and '.'")
    }

    fn merge_problem(&self) -> Option<&'static str> {
        let header = self.merge.header()?;
        if !matches!(self.kind, PartKind::CloudConfig | PartKind::Jinja2) {
            Some("is not a cloud-config, so it cannot be merged")
        } else if header.is_empty() || !header.chars().all(|c| c.is_ascii_graphic()) {
            Some("has a merge notation that is not one word")
        } else {
            None
        }
    }
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("merge", &self.merge)
            .finish_non_exhaustive()
    }
}
