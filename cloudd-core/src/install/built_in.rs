//! The data of an install container that comes with cloudd, and its checks.

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use super::error::InstallError;
use super::redact::redact_value;
use super::scan::{ContextEntry, Entries, EntryKind};
use super::variables::Variables;

/// An install container that comes with cloudd, without the values of its parameters.
pub(super) struct BuiltIn {
    pub(super) name: &'static str,
    /// The files of the build context, in groups.
    pub(super) files: &'static [&'static [File]],
    pub(super) parameters: &'static [Parameter],
    /// The variables of the parameters that have no default.
    pub(super) required: &'static [&'static str],
    /// The file that `InstallContainer::config` sets.
    pub(super) config: Option<Parameter>,
}

/// A file of the folder `containers` of this crate.
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) mode: u32,
    pub(super) content: &'static [u8],
}

/// An environment variable of the container, or a file next to its script.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) rule: Rule,
}

/// The syntax of a parameter's value.
pub(super) struct Rule {
    /// Whether the value is a URL from which an image and its checksums are downloaded, so that `http`
    /// requires a checksum as another parameter.
    pub(super) is_source: bool,
    /// The description of valid values, for the error message.
    pub(super) expected: &'static str,
    pub(super) is_valid: fn(&str) -> bool,
}

/// The variables that set the checksum of a download.
const CHECKSUMS: [&str; 2] = ["IMAGE_CHECKSUM", "NIXOS_CHECKSUM"];

impl BuiltIn {
    /// The path of the Containerfile in the build context, and its text.
    pub(super) fn containerfile(&self) -> (PathBuf, &'static [u8]) {
        let path: PathBuf = [self.name, "Containerfile"].iter().collect();
        let file = self.files.iter().copied().flatten().find(|file| Path::new(file.path) == path);
        (path, file.map_or(b"", |file| file.content))
    }

    /// Checks the syntax of all parameters.
    pub(super) fn check(&self, env: &Variables, config: Option<&str>) -> Result<(), InstallError> {
        let invalid = |parameter: &Parameter, value: Option<&str>| InstallError::Parameter {
            container: self.name,
            parameter: parameter.name,
            value: value.map(redact_value),
            expected: parameter.rule.expected,
        };
        let has_checksum = CHECKSUMS.iter().any(|name| env.get(name).is_some());
        for parameter in self.parameters {
            let value = env.get(parameter.name);
            let is_missing = || self.required.contains(&parameter.name);
            let is_invalid = |value| {
                !(parameter.rule.is_valid)(value)
                    || parameter.rule.is_source && value.starts_with("http://") && !has_checksum
            };
            if value.map_or_else(is_missing, is_invalid) {
                return Err(invalid(parameter, value));
            }
        }
        match (&self.config, config) {
            (Some(parameter), Some(text)) if !(parameter.rule.is_valid)(text) => {
                // The text is not shown because it may contain secrets.
                Err(invalid(parameter, Some(&format!("a text of {} bytes", text.len()))))
            }
            _ => Ok(()),
        }
    }

    /// The entries of the build context.
    pub(super) fn entries(&self, config: Option<&str>) -> Entries {
        let mut entries = Entries::new();
        let mut add = |path: &str, mode, kind| {
            entries.insert(path.as_bytes().to_vec(), ContextEntry { kind, mode });
        };
        for File { path, mode, content } in self.files.iter().copied().flatten() {
            add(path, *mode, EntryKind::InMemory(Cow::Borrowed(content)));
            // Every file is in a folder: that of its container, or the shared one.
            let folder = path.split('/').next().unwrap_or_default();
            add(folder, 0o755, EntryKind::Directory);
        }
        if let (Some(file), Some(text)) = (&self.config, config) {
            let content = Cow::Owned(text.as_bytes().to_vec());
            add(&format!("{}/{}", self.name, file.name), 0o600, EntryKind::InMemory(content));
        }
        entries
    }
}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("BuiltIn").field(&self.name).finish()
    }
}
