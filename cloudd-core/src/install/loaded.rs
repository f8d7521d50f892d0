use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::archive::ContextArchive;
use super::inspect::Inspected;
use super::reference::ImageReference;
use super::variables::Variables;
use crate::digest::{FieldHasher, Sha256Digest};

/// An install container whose inputs have been read and checked.
#[derive(Clone)]
pub struct LoadedContainer {
    source: ContainerSource,
    build_args: Variables,
    env: Variables,
    registry_auth: Option<String>,
    fingerprint: Sha256Digest,
}

/// The origin of the container image.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ContainerSource {
    /// The builder VM builds it.
    Context(BuildContext),
    /// The builder VM pulls it.
    Reference(ImageReference),
}

/// A packed build context.
#[derive(Clone, Debug)]
pub struct BuildContext {
    pub(super) containerfile: PathBuf,
    run_label: Option<String>,
    warnings: Vec<String>,
    entries: usize,
    pub(super) archive: ContextArchive,
}

impl LoadedContainer {
    pub(super) fn new(
        source: ContainerSource,
        build_args: Variables,
        env: Variables,
        registry_auth: Option<String>,
    ) -> Self {
        let fingerprint = fingerprint(&source, &build_args, &env);
        Self { source, build_args, env, registry_auth, fingerprint }
    }

    /// The origin of the container image.
    #[must_use]
    pub fn source(&self) -> &ContainerSource {
        &self.source
    }

    /// The build context, unless the image is pulled.
    #[must_use]
    pub fn context(&self) -> Option<&BuildContext> {
        match &self.source {
            ContainerSource::Context(context) => Some(context),
            ContainerSource::Reference(_) => None,
        }
    }

    /// What is probably wrong in the Containerfile or its `RUN` label, although podman accepts it. Each
    /// text names the file and the line. Empty if the image is pulled.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        self.context().map_or(&[], |context| &context.warnings)
    }

    /// The digest of everything the container image is made from. Equal inputs have equal fingerprints
    /// on every machine. Files excluded by an ignore file, the image that a registry has under a tag,
    /// and the compression of the archive are not part of it.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256Digest {
        self.fingerprint
    }

    /// The build arguments as `NAME=value`, one per line, each for one `--build-arg` of `podman build`.
    /// Empty if there are none.
    #[must_use]
    pub fn build_args_file(&self) -> String {
        self.build_args.lines()
    }

    /// The credentials for registries, as JSON.
    #[must_use]
    pub fn registry_auth(&self) -> Option<&str> {
        self.registry_auth.as_deref()
    }

    /// A Containerfile that adds the environment to the image `base`, or `None` if there are no
    /// variables. It is needed because `podman container runlabel` has no option for variables.
    ///
    /// An image built from it and tagged `base` keeps the labels of `base` and overrides its variables.
    #[must_use]
    pub fn env_containerfile(&self, base: &str) -> Option<String> {
        (!self.env.is_empty()).then(|| self.env.env_layer(base))
    }
}

impl fmt::Debug for LoadedContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedContainer")
            .field("source", &self.source)
            .field("build_args", &self.build_args)
            .field("env", &self.env)
            .field("registry_auth_bytes", &self.registry_auth.as_ref().map(String::len))
            .field("fingerprint", &self.fingerprint)
            .finish()
    }
}

impl BuildContext {
    pub(super) fn new(
        containerfile: PathBuf,
        inspected: Inspected,
        entries: usize,
        archive: ContextArchive,
    ) -> Self {
        let Inspected { run_label, warnings, .. } = inspected;
        Self { containerfile, run_label, warnings, entries, archive }
    }

    /// The path of the Containerfile, relative to the context.
    #[must_use]
    pub fn containerfile(&self) -> &Path {
        &self.containerfile
    }

    /// The `RUN` label as written in the Containerfile, without expansion of variables. `None` if the
    /// base image sets it or if it cannot be determined.
    #[must_use]
    pub fn run_label(&self) -> Option<&str> {
        self.run_label.as_deref()
    }

    /// The number of files, directories and symbolic links in the archive.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// The archive that is delivered to the builder VM.
    #[must_use]
    pub fn archive(&self) -> &ContextArchive {
        &self.archive
    }
}

fn fingerprint(source: &ContainerSource, build_args: &Variables, env: &Variables) -> Sha256Digest {
    let hasher = FieldHasher::new().named("domain", "cloudd install container, version 1");
    let mut hasher = match source {
        ContainerSource::Reference(reference) => hasher.named("reference", reference.as_str()),
        ContainerSource::Context(context) => hasher
            .named("context", context.archive.content_sha256().as_bytes())
            .named("containerfile", context.containerfile.as_os_str().as_bytes()),
    };
    for (kind, variables) in [("build argument", build_args), ("environment", env)] {
        for (name, value) in variables.iter() {
            hasher = hasher.named(kind, name).named("value", value);
        }
    }
    hasher.finish()
}
