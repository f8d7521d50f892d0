use std::path::{Path, PathBuf};

use super::{args::Variables, containers::BuiltIn};

/// What is to be installed: a container image that writes an operating system to the volume.
///
/// Making one does no I/O and cannot fail; [`load`](Self::load) does both.
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
    BuiltIn(BuiltIn),
}

/// Where the `RUN` label is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RunLabelSource {
    Containerfile,
    BaseImage,
}

impl InstallContainer {
    /// A build context: a directory with a `Containerfile` or a `Dockerfile`, which the builder VM
    /// gets and runs `podman build` on. Where both exist the `Containerfile` is taken, as podman
    /// does.
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::new(Source::Directory(path.into()))
    }

    /// An image which the builder VM pulls: `registry/repository[:tag][@sha256:digest]`, see
    /// [`ImageReference`](super::ImageReference).
    pub fn reference(reference: impl Into<String>) -> Self {
        Self::new(Source::Reference(reference.into()))
    }

    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            containerfile: None,
            run_label: RunLabelSource::Containerfile,
            build_args: Variables::default(),
            env: Variables::default(),
            config: None,
        }
    }

    /// The Containerfile, as a path inside the build context, where it is not one of the two names
    /// that podman looks for.
    #[must_use]
    pub fn containerfile(mut self, path: impl AsRef<Path>) -> Self {
        self.containerfile = Some(path.as_ref().to_owned());
        self
    }

    /// Says that the `RUN` label comes from the base image, so that the Containerfile need not set
    /// it. Whether the base image has it is then known when the builder has built the image.
    #[must_use]
    pub fn run_label_inherited(mut self) -> Self {
        self.run_label = RunLabelSource::BaseImage;
        self
    }

    /// A build argument, the value of an `ARG` of the Containerfile. Given again, the later value
    /// counts.
    ///
    /// The name is one that a shell takes; the value is one line. Build arguments stay readable in
    /// the history of the container image: no place for a secret.
    #[must_use]
    pub fn build_arg(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.build_args.set(name.into(), value.into());
        self
    }

    /// A variable in the environment of the install container. It replaces an `ENV` of the image.
    /// Given again, the later value counts.
    ///
    /// The name is one that a shell takes; the value is one line. It becomes part of the container
    /// image in the builder VM.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.set(name.into(), value.into());
        self
    }

    /// The configuration of a container that [comes with cloudd](super::containers) and takes one:
    /// Ignition as JSON for `fedora_coreos` and `flatcar`, `config.yaml` for `k3os`,
    /// `configuration.nix` for `nixos`, a schematic for `talos`. Given again, the later text counts.
    ///
    /// It is a file of the build context, and so in the builder VM; what the container makes of it
    /// is told by its README.
    #[must_use]
    pub fn config(mut self, text: impl Into<String>) -> Self {
        self.config = Some(text.into());
        self
    }

    /// One more word in a variable of the environment.
    pub(super) fn env_word(mut self, name: &str, word: &str) -> Self {
        let before = self.env.iter().find(|(set, _)| *set == name).map(|(_, value)| value);
        let value = before.map_or(word.to_owned(), |before| format!("{before} {word}"));
        self.env.set(name.to_owned(), value);
        self
    }
}
