use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{ContextArchive, ImageReference, Sha256Digest, args::Variables, digest::FieldHasher};

/// An install container whose inputs were read and checked.
#[derive(Clone, Debug)]
pub struct LoadedContainer {
    source: ContainerSource,
    build_args: Variables,
    env: Variables,
    fingerprint: Sha256Digest,
}

/// Where the container image comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ContainerSource {
    /// The builder VM builds it.
    Context(BuildContext),
    /// The builder VM pulls it.
    Reference(ImageReference),
}

/// A build context, packed.
#[derive(Clone, Debug)]
pub struct BuildContext {
    pub(super) containerfile: PathBuf,
    pub(super) run_label: Option<String>,
    pub(super) entries: usize,
    pub(super) archive: ContextArchive,
}

impl LoadedContainer {
    pub(super) fn new(source: ContainerSource, build_args: Variables, env: Variables) -> Self {
        let fingerprint = fingerprint(&source, &build_args, &env);
        Self { source, build_args, env, fingerprint }
    }

    /// Where the container image comes from.
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

    /// What the container image is made from, as one sum: equal inputs have equal fingerprints on
    /// every machine and at every time. Files that an ignore file leaves out do not count, nor does
    /// what the registry holds under a reference's tag, nor how the archive is compressed.
    #[must_use]
    pub fn fingerprint(&self) -> Sha256Digest {
        self.fingerprint
    }

    /// The build arguments, `NAME=value` one a line, each for one `--build-arg` of `podman build`.
    /// Empty where there are none.
    #[must_use]
    pub fn build_args_file(&self) -> String {
        self.build_args.lines()
    }

    /// A Containerfile that puts the environment on top of the image `base`, where an environment
    /// was given. `podman container runlabel` has no option for it.
    ///
    /// Building it under the name of `base` keeps the image's labels and replaces its variables.
    #[must_use]
    pub fn env_containerfile(&self, base: &str) -> Option<String> {
        (!self.env.is_empty()).then(|| self.env.env_layer(base))
    }
}

impl BuildContext {
    /// The path of the Containerfile, relative to the context.
    #[must_use]
    pub fn containerfile(&self) -> &Path {
        &self.containerfile
    }

    /// The `RUN` label as the Containerfile sets it: variables are not expanded. `None` where it
    /// comes from the base image, or cannot be known.
    #[must_use]
    pub fn run_label(&self) -> Option<&str> {
        self.run_label.as_deref()
    }

    /// How many files, directories and symbolic links travel.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries
    }

    /// What the builder VM gets.
    #[must_use]
    pub fn archive(&self) -> &ContextArchive {
        &self.archive
    }
}

fn fingerprint(source: &ContainerSource, build_args: &Variables, env: &Variables) -> Sha256Digest {
    let hasher = FieldHasher::new("cloudd install container, version 1");
    let mut hasher = match source {
        ContainerSource::Reference(reference) => {
            hasher.field("reference", reference.as_str().as_bytes())
        }
        ContainerSource::Context(context) => hasher
            .field("context", context.archive.content_sha256().as_bytes())
            .field("containerfile", context.containerfile.as_os_str().as_bytes()),
    };
    for (kind, variables) in [("build argument", build_args), ("environment", env)] {
        for (name, value) in variables.iter() {
            hasher = hasher.field(kind, name.as_bytes()).field("value", value.as_bytes());
        }
    }
    hasher.finish()
}
