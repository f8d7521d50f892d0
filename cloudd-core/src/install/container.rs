use std::fmt;
use std::path::{Path, PathBuf};

use super::built_in::BuiltIn;
use super::redact::redact_urls;
use super::variables::Variables;

/// An install container: a container image that writes an operating system to a volume.
///
/// Creating this value does no I/O and does not fail. [`load`](Self::load) reads and validates the
/// inputs.
///
/// The `Debug` form has the names of build arguments and environment variables without their values,
/// and only the length of a configuration file.
#[derive(Clone)]
pub struct InstallContainer {
    pub(super) source: Source,
    pub(super) containerfile: Option<PathBuf>,
    pub(super) run_label: RunLabelSource,
    pub(super) build_args: Variables,
    pub(super) env: Variables,
    pub(super) config: Option<String>,
    pub(super) registry_auth: Option<String>,
    pub(super) max_context_size: u64,
}

#[derive(Clone)]
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
    /// The largest build context in bytes, unless [`max_context_size`](Self::max_context_size) is
    /// called: 1 GiB.
    pub const MAX_CONTEXT_SIZE: u64 = 1 << 30;

    /// Uses a build context, a directory with a `Containerfile` or a `Dockerfile`. The builder VM
    /// receives it and runs `podman build`. If both files exist, the `Containerfile` is used, as by
    /// podman. [Limits](super#limits) apply.
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
            registry_auth: None,
            max_context_size: Self::MAX_CONTEXT_SIZE,
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
    /// part of the container image in the builder VM. Its value appears neither in the log of the build
    /// nor in a list of processes, but it is in the builder's user data, and everything in the builder
    /// VM can read it. The fingerprint depends on it, and labels show the fingerprint, so that a value
    /// that is easy to guess can be found by trying.
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

    /// Sets the credentials for registries: the text of an `auth.json`, as `podman login --authfile` or
    /// `docker login` write it (containers-auth.json(5)), at most 64 KiB. A later call replaces it.
    ///
    /// podman uses them for the images that it pulls in the builder VM: `FROM`, `COPY --from` and
    /// [`reference`](Self::reference). They are in the builder's user data, and everything in the builder
    /// VM can read them, the install container included: use a token that can only read. They are not
    /// part of the fingerprint. Credential helpers are not available in the builder VM.
    #[must_use]
    pub fn registry_auth(mut self, auth_json: impl Into<String>) -> Self {
        self.registry_auth = Some(auth_json.into());
        self
    }

    /// Sets the size in bytes above which a build context is refused. The size is that of its archive
    /// before compression: the sizes of its files, holes included, and at least 512 bytes for each file,
    /// directory and symbolic link.
    ///
    /// [`load`](Self::load) checks the size before it reads any file.
    #[must_use]
    pub fn max_context_size(mut self, bytes: u64) -> Self {
        self.max_context_size = bytes;
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

impl fmt::Debug for InstallContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstallContainer")
            .field("source", &self.source)
            .field("containerfile", &self.containerfile)
            .field("run_label", &self.run_label)
            .field("build_args", &self.build_args)
            .field("env", &self.env)
            .field("config_bytes", &self.config.as_ref().map(String::len))
            .field("registry_auth_bytes", &self.registry_auth.as_ref().map(String::len))
            .field("max_context_size", &self.max_context_size)
            .finish()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => f.debug_tuple("Directory").field(path).finish(),
            Self::Reference(reference) => {
                f.debug_tuple("Reference").field(&redact_urls(reference)).finish()
            }
            Self::BuiltIn(built_in) => f.debug_tuple("BuiltIn").field(&built_in.name).finish(),
        }
    }
}
