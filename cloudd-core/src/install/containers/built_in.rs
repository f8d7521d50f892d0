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
    /// What [`InstallContainer::config`] is for it.
    pub(super) config: Option<Config>,
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

/// A configuration that is a file beside the container's script.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) file: &'static str,
    pub(super) rule: Rule,
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
        InstallContainer::new(Source::BuiltIn(BuiltIn(self)))
    }
}

/// A container of this crate.
#[derive(Clone, Copy, Debug)]
pub(in crate::install) struct BuiltIn(&'static Definition);

impl BuiltIn {
    pub(in crate::install) fn name(self) -> &'static str {
        self.0.name
    }

    pub(in crate::install) fn takes_config(self) -> bool {
        self.0.config.is_some()
    }

    /// The path of the Containerfile in the context, and its text.
    pub(in crate::install) fn containerfile(self) -> (PathBuf, &'static [u8]) {
        let path: PathBuf = [self.name(), "Containerfile"].iter().collect();
        let file = self.0.files.iter().find(|file| Path::new(file.path) == path);
        (path, file.map_or(b"", |file| file.content))
    }

    /// Checks the parameters, as far as they can be known to be wrong.
    pub(in crate::install) fn check(
        self,
        env: &Variables,
        config: Option<&str>,
    ) -> Result<(), InstallError> {
        let wrong = |parameter, value, rule: &Rule| InstallError::Parameter {
            container: self.name(),
            parameter,
            value,
            wanted: rule.wanted,
        };
        for Parameter { variable, rule, required } in self.0.parameters {
            let value = env.iter().find(|(name, _)| name == variable).map(|(_, value)| value);
            if value.map_or(*required, |value| !(rule.holds)(value)) {
                return Err(wrong(variable, value.map(str::to_owned), rule));
            }
        }
        match (&self.0.config, config) {
            (Some(Config { file, rule }), Some(text)) if !(rule.holds)(text) => {
                // It may hold secrets.
                Err(wrong(file, Some(format!("a text of {} bytes", text.len())), rule))
            }
            _ => Ok(()),
        }
    }

    /// The build context.
    pub(in crate::install) fn entries(self, config: Option<&str>) -> Entries {
        let mut entries = Entries::new();
        let mut add = |path: &str, mode, kind| {
            entries.insert(path.as_bytes().to_vec(), Entry { kind, mode });
        };
        for File { path, mode, content } in self.0.files {
            add(path, *mode, EntryKind::Held(Cow::Borrowed(content)));
            // Every file is in a folder: its container's, or the common one.
            let folder = path.split('/').next().unwrap_or_default();
            add(folder, 0o755, EntryKind::Directory);
        }
        if let (Some(Config { file, .. }), Some(text)) = (&self.0.config, config) {
            let content = Cow::Owned(text.as_bytes().to_vec());
            add(&format!("{}/{file}", self.name()), 0o600, EntryKind::Held(content));
        }
        entries
    }
}
