use std::{
    borrow::Cow,
    path::{Path, PathBuf},
};

use super::rule::Rule;
use crate::install::{
    InstallContainer, InstallError,
    args::Variables,
    container::Source,
    scan::{Entries, Entry, EntryKind},
};

/// What a container is made of, but for its parameters' values.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: &'static str,
    pub(super) files: &'static [File],
    pub(super) parameters: &'static [Parameter],
}

/// A file of the folder `containers`.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) mode: u32,
    pub(super) content: &'static [u8],
}

/// A variable in the environment of the container.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) variable: &'static str,
    pub(super) rule: Rule,
    /// Whether the container has no value by itself.
    pub(super) required: bool,
}

/// Files of `containers`, each with its mode.
macro_rules! files {
    ($($mode:literal $path:literal),* $(,)?) => {
        &[$(crate::install::containers::built_in::File {
            path: $path,
            mode: $mode,
            content: include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/containers/", $path)),
        }),*]
    };
}
pub(super) use files;

/// A parameter that must be given.
pub(super) const fn required(variable: &'static str, rule: Rule) -> Parameter {
    Parameter { variable, rule, required: true }
}

/// A parameter for which the container has a value by itself.
pub(super) const fn optional(variable: &'static str, rule: Rule) -> Parameter {
    Parameter { variable, rule, required: false }
}

impl Definition {
    pub(super) fn container(&'static self) -> InstallContainer {
        InstallContainer::new(Source::BuiltIn(BuiltIn { definition: self, files: Vec::new() }))
    }
}

/// A container of this crate with its parameters.
#[derive(Clone, Debug)]
pub(in crate::install) struct BuiltIn {
    definition: &'static Definition,
    files: Vec<OwnFile>,
}

/// A parameter that is a file beside the container's script.
#[derive(Clone, Debug)]
struct OwnFile {
    name: &'static str,
    rule: &'static Rule,
    content: String,
}

impl InstallContainer {
    /// A file for a built-in container; given again, the later content counts.
    pub(super) fn built_in_file(
        mut self,
        name: &'static str,
        rule: &'static Rule,
        content: String,
    ) -> Self {
        if let Source::BuiltIn(built_in) = &mut self.source {
            built_in.files.retain(|file| file.name != name);
            built_in.files.push(OwnFile { name, rule, content });
        }
        self
    }
}

impl BuiltIn {
    pub(in crate::install) fn name(&self) -> &'static str {
        self.definition.name
    }

    /// The path of the Containerfile in the context, and its text.
    pub(in crate::install) fn containerfile(&self) -> (PathBuf, &'static [u8]) {
        let path: PathBuf = [self.name(), "Containerfile"].iter().collect();
        let file = self.definition.files.iter().find(|file| Path::new(file.path) == path);
        (path, file.map_or(b"", |file| file.content))
    }

    /// Checks the parameters, as far as they can be known to be wrong.
    pub(in crate::install) fn check(&self, env: &Variables) -> Result<(), InstallError> {
        let wrong = |parameter, value, rule: &Rule| InstallError::Parameter {
            container: self.name(),
            parameter,
            value,
            wanted: rule.wanted,
        };
        for Parameter { variable, rule, required } in self.definition.parameters {
            let value = env.iter().find(|(name, _)| name == variable).map(|(_, value)| value);
            if value.map_or(*required, |value| !(rule.holds)(value)) {
                return Err(wrong(variable, value.map(str::to_owned), rule));
            }
        }
        for OwnFile { name, rule, content } in &self.files {
            if !(rule.holds)(content) {
                // Its content may be secret.
                let value = format!("a text of {} bytes", content.len());
                return Err(wrong(name, Some(value), rule));
            }
        }
        Ok(())
    }

    /// The build context.
    pub(in crate::install) fn entries(&self) -> Entries {
        let mut entries = Entries::new();
        let mut add = |path: &str, mode, kind| {
            entries.insert(path.as_bytes().to_vec(), Entry { kind, mode });
        };
        for File { path, mode, content } in self.definition.files {
            add(path, *mode, EntryKind::Held(Cow::Borrowed(content)));
            // Every file is in a folder: its container's, or the common one.
            let folder = path.split('/').next().unwrap_or_default();
            add(folder, 0o755, EntryKind::Directory);
        }
        for OwnFile { name, content, .. } in &self.files {
            let content = Cow::Owned(content.clone().into_bytes());
            add(&format!("{}/{name}", self.name()), 0o600, EntryKind::Held(content));
        }
        entries
    }
}
