use std::path::{Path, PathBuf};

use super::built_in::BuiltIn;
use super::variables::Variables;

/// An install container: a container image that writes an operating system to a volume.
///
/// Creating this value does no I/O and does not fail. [`load`](Self::load) reads and validates the
/// inputs.
#[derive(Clone, Debug)]
pub struct InstallContainer {
    pub(super) source: Source,
    pub(super) containerfile: Option<PathBuf>,
    pub(super) run_label: RunLabelSource,
    pub(super) build_args: Variables,
    pub(super) env: Variables,
    pub(super) config: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Source {
    Directory(PathBuf),
    Reference(String),
    BuiltIn(&'static BuiltIn),
}

/// Where the `RUN` label is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunLabelSource {
    Containerfile,
    BaseImage,
}

impl InstallContainer {
    /// Uses a build context, a directory with a `Containerfile` or a `Dockerfile`. The builder VM
    /// receives it and runs `podman build`. If both files exist, the `Containerfile` is used, as by
    /// podman.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Directory(path.into()))
    }

    /// Uses an image that the builder VM pulls: `registry/repository[:tag][@sha256:digest]`, see
    /// [`ImageReference`](super::ImageReference).
    pub fn reference(reference: impl Into<String>) -> Self {
        Self::new(Source::Reference(reference.into()))
    }

    pub(super) fn built_in(built_in: &'static BuiltIn) -> Self {
        Self::new(Source::BuiltIn(built_in))
    }

    fn new(source: Source) -> Self {
        Self {
            source,
            containerfile: None,
            run_label: RunLabelSource::Containerfile,
            build_args: Variables::default(),
            env: Variables::default(),
            config: None,
        }
    }

    /// Sets the path of the Containerfile in the build context, if it has neither of the two default
    /// names.
    #[must_use]
    pub fn containerfile(mut self, path: impl AsRef<Path>) -> Self {
        self.containerfile = Some(path.as_ref().to_owned());
        self
    }

    /// Declares that the base image sets the `RUN` label, so the Containerfile need not set it. The
    /// label is then checked in the builder VM, after the image is built.
    #[must_use]
    pub fn run_label_inherited(mut self) -> Self {
        self.run_label = RunLabelSource::BaseImage;
        self
    }

    /// Sets a build argument, the value of an `ARG` of the Containerfile. A later call with the same
    /// name replaces the value.
    ///
    /// The name must be a valid shell variable name and the value a single line. Build arguments
    /// remain readable in the history of the container image, so they must not contain secrets.
    #[must_use]
    pub fn build_arg(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.build_args.set(name.into(), value.into());
        self
    }

    /// Sets an environment variable of the install container, which overrides an `ENV` of the image.
    /// A later call with the same name replaces the value.
    ///
    /// The name must be a valid shell variable name and the value a single line. The variable becomes
    /// part of the container image in the builder VM.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.set(name.into(), value.into());
        self
    }

    /// Sets the configuration file of a container that [comes with cloudd](super::containers):
    /// Ignition as JSON for `fedora_coreos` and `flatcar`, `config.yaml` for `k3os`,
    /// `configuration.nix` for `nixos`, a schematic for `talos`. A later call replaces the text.
    ///
    /// The file is part of the build context and is therefore copied to the builder VM. The README of
    /// the container documents its use.
    #[must_use]
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = Some(text.into());
        self
    }

    /// Appends a word to an environment variable, separated by a space.
    pub(super) fn append_env(mut self, name: &str, word: &str) -> Self {
        let value = match self.env.get(name) {
            Some(words) => format!("{words} {word}"),
            None => word.to_owned(),
        };
        self.env.set(name.to_owned(), value);
        self
    }
}
