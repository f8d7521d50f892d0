//! One part of multi-part user data.

use std::fmt;

use super::config::CloudConfig;
use super::error::{Error, Result};

/// A part: a cloud-config, a script, or anything else that cloud-init has a handler for.
///
/// `Debug` shows no content.
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

/// What cloud-init does with a part.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PartKind {
    /// `#cloud-config`, merged with the other ones.
    CloudConfig,
    /// `#cloud-config-jsonp`: a JSON patch on what was merged so far.
    CloudConfigJsonp,
    /// `#cloud-config-archive`: a list of parts, in YAML.
    CloudConfigArchive,
    /// `#!…`: run late in the first boot, after runcmd, in the order of the parts' names.
    ShellScript,
    /// `#!…`: run late in every boot.
    ShellScriptPerBoot,
    /// `#!…`: run late in the first boot of every machine made from the disk.
    ShellScriptPerInstance,
    /// `#!…`: run once in the life of the disk.
    ShellScriptPerOnce,
    /// `#cloud-boothook`, then `#!…`: run in every boot as soon as cloud-init has read it.
    CloudBoothook,
    /// `## template: jinja`, then any other part: rendered with the instance data first.
    Jinja2,
    /// URLs, one a line, of further user data.
    IncludeUrl,
    /// The same, fetched in the first boot only.
    IncludeOnceUrl,
    /// `#part-handler`: Python that handles a type of its own.
    PartHandler,
    /// A type that a part handler has announced, as in `text/x-mine`.
    Other(String),
}

impl PartKind {
    /// The content type of such a part.
    #[must_use]
    pub fn content_type(&self) -> &str {
        match self {
            Self::CloudConfig => "text/cloud-config",
            Self::CloudConfigJsonp => "text/cloud-config-jsonp",
            Self::CloudConfigArchive => "text/cloud-config-archive",
            Self::ShellScript => "text/x-shellscript",
            Self::ShellScriptPerBoot => "text/x-shellscript-per-boot",
            Self::ShellScriptPerInstance => "text/x-shellscript-per-instance",
            Self::ShellScriptPerOnce => "text/x-shellscript-per-once",
            Self::CloudBoothook => "text/cloud-boothook",
            Self::Jinja2 => "text/jinja2",
            Self::IncludeUrl => "text/x-include-url",
            Self::IncludeOnceUrl => "text/x-include-once-url",
            Self::PartHandler => "text/part-handler",
            Self::Other(content_type) => content_type,
        }
    }

    /// How the text must begin, so that cloud-init neither takes it for something else nor hands
    /// it to the kernel as a program without an interpreter.
    fn fault(&self, text: &str) -> Option<&'static str> {
        match self {
            Self::CloudConfig => {
                let first = text.lines().next().unwrap_or_default();
                (first.trim_end() != "#cloud-config")
                    .then_some("does not begin with a line \"#cloud-config\"")
            }
            Self::ShellScript
            | Self::ShellScriptPerBoot
            | Self::ShellScriptPerInstance
            | Self::ShellScriptPerOnce => {
                (!text.starts_with("#!")).then_some("does not begin with \"#!\"")
            }
            Self::CloudBoothook => {
                let script = text.strip_prefix("#cloud-boothook").unwrap_or(text).trim_start();
                (!script.starts_with("#!"))
                    .then_some("does not begin with \"#!\" after \"#cloud-boothook\"")
            }
            Self::Jinja2 => (!text.starts_with("## template: jinja"))
                .then_some("does not begin with \"## template: jinja\""),
            Self::Other(content_type) => (!is_content_type(content_type))
                .then_some("has a content type that is not `text/…` in lower case"),
            _ => text.is_empty().then_some("is empty"),
        }
    }
}

fn is_content_type(text: &str) -> bool {
    text.strip_prefix("text/").is_some_and(|subtype| {
        !subtype.is_empty()
            && subtype.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
    })
}

/// How a cloud-config part is merged into those before it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Merge {
    /// cloud-init's own way: a top-level key of this part replaces the same key of earlier parts.
    /// A `runcmd` here silently drops every earlier `runcmd`.
    #[default]
    Replace,
    /// Lists are appended and mappings merged; where both parts say a single value, the earlier
    /// one stays. This is what lets somebody else add a part without breaking the first.
    Append,
    /// cloud-init's own notation, as in `list(append)+dict(recurse_array)+str()`.
    How(String),
}

impl Merge {
    /// The value of the header `X-Merge-Type`, if there has to be one.
    pub(super) fn header(&self) -> Option<&str> {
        match self {
            Self::Replace => None,
            Self::Append => Some("list(append)+dict(no_replace,recurse_list)+str()"),
            Self::How(notation) => Some(notation),
        }
    }
}

impl Part {
    /// A typed cloud-config.
    pub fn cloud_config(name: impl Into<String>, config: CloudConfig) -> Self {
        Self::with_body(PartKind::CloudConfig, name, Body::Config(Box::new(config)))
    }

    /// A script that runs late in the first boot.
    pub fn shell_script(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::text(PartKind::ShellScript, name, text)
    }

    /// Any other part, as it is. The name is that of a file on the machine, for scripts also the
    /// key of their order: letters, digits, '-', '_', '.'.
    pub fn text(kind: PartKind, name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::with_body(kind, name, Body::Text(text.into()))
    }

    /// How the part is merged into earlier ones, if it is a cloud-config.
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

    /// The text of the part.
    pub(super) fn render(&self) -> Result<String> {
        let text = match &self.body {
            Body::Config(config) => config.render()?.into_string(),
            Body::Text(text) => text.clone(),
        };
        match self.name_fault().or(self.kind.fault(&text)).or(self.merge_fault()) {
            None => Ok(text),
            Some(reason) => Err(Error::InvalidPart { name: self.name.clone(), reason }),
        }
    }

    fn name_fault(&self) -> Option<&'static str> {
        // cloud-init drops every other character, so two names could become one.
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let good = (1..=64).contains(&self.name.len())
            && self.name.chars().all(known)
            && !self.name.starts_with('.');
        (!good).then_some("has a name that is not made of letters, digits, '-', '_' and '.'")
    }

    fn merge_fault(&self) -> Option<&'static str> {
        let header = self.merge.header()?;
        if !matches!(self.kind, PartKind::CloudConfig | PartKind::Jinja2) {
            Some("is not a cloud-config, so there is nothing to merge")
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
