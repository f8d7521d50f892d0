use std::{io, path::PathBuf};

/// What is wrong with an install container. Every one of these is found before anything is
/// created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The build context does not exist.
    #[error("build context {path:?} does not exist")]
    ContextMissing {
        /// The directory that was asked for.
        path: PathBuf,
    },
    /// The build context is something else than a directory.
    #[error("build context {path:?} is not a directory")]
    ContextNotADirectory {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// There is nothing in the build context.
    #[error("build context {path:?} is empty")]
    ContextEmpty {
        /// The directory that was asked for.
        path: PathBuf,
    },
    /// The build context holds no Containerfile.
    #[error("build context {path:?} holds neither a Containerfile nor a Dockerfile")]
    NoContainerfile {
        /// The build context.
        path: PathBuf,
    },
    /// The Containerfile that was asked for does not exist.
    #[error("Containerfile {path:?} does not exist")]
    ContainerfileMissing {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// The path of the Containerfile is no plain text, and could not be passed to the builder.
    #[error("the path {path:?} of the Containerfile is not UTF-8 or has a control character")]
    ContainerfileName {
        /// The path in the build context.
        path: PathBuf,
    },
    /// The Containerfile is a directory, or something else that holds no text.
    #[error("Containerfile {path:?} is not a regular file")]
    ContainerfileNotAFile {
        /// The path of it.
        path: PathBuf,
    },
    /// A file that podman must read lies outside the build context, and would not travel with it.
    #[error("{path:?} lies outside the build context")]
    OutsideContext {
        /// The file, or the symbolic link that leads there.
        path: PathBuf,
    },
    /// podman would refuse the Containerfile.
    #[error("{path:?}, line {line}: {problem}")]
    ContainerfileInvalid {
        /// The Containerfile.
        path: PathBuf,
        /// The line, counted from 1, on which the instruction starts.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The image has no `RUN` label.
    #[error(
        "{path:?} sets no RUN label on its last stage, which starts from {base:?}; \
         without it podman does not know how to run the install container"
    )]
    RunLabelMissing {
        /// The Containerfile.
        path: PathBuf,
        /// The image from which the last stage starts, by way of the stages it is built on.
        base: String,
    },
    /// The `RUN` label has no text, which podman takes for a missing label.
    #[error("{path:?}, line {line}: the RUN label is empty")]
    RunLabelEmpty {
        /// The Containerfile.
        path: PathBuf,
        /// The line, counted from 1, of the `LABEL` instruction.
        line: usize,
    },
    /// The `RUN` label is set in several spellings, as in `RUN` and `run`. podman ignores case when
    /// it looks for the label, and takes any one of them.
    #[error("{path:?} sets the RUN label as {first:?} and as {second:?}, podman takes either")]
    RunLabelAmbiguous {
        /// The Containerfile.
        path: PathBuf,
        /// One spelling.
        first: String,
        /// Another one.
        second: String,
    },
    /// A line of the ignore file is not a pattern.
    #[error("{path:?}, line {line}: {pattern:?} is not a pattern: {problem}")]
    IgnorePattern {
        /// The ignore file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The line's text.
        pattern: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A file or directory could not be read.
    #[error("cannot read {path:?}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The build context holds something that is neither file, directory nor symbolic link. An
    /// ignore file can leave it out.
    #[error("{path:?} is a {kind}, which cannot be part of a build context")]
    UnsupportedFileType {
        /// The path of it.
        path: PathBuf,
        /// `socket`, `named pipe`, `block device`, `character device`.
        kind: &'static str,
    },
    /// A file was there when the build context was listed, and gone when it was to be packed.
    #[error("{path:?} vanished while the build context was packed")]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// A file was replaced, grew or shrank while the build context was packed.
    #[error("{path:?} changed while the build context was packed")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The archive grew too large for memory, and could not be written to a temporary file.
    #[error("cannot write the archive of the build context to a temporary file")]
    Spool {
        /// What the system said.
        source: io::Error,
    },
    /// The image reference is not one.
    #[error("image reference {reference:?}: {problem}")]
    Reference {
        /// The text that was given.
        reference: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A build argument cannot be passed on.
    #[error("build argument {name:?}: {problem}")]
    BuildArg {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A variable for the container's environment cannot be passed on.
    #[error("environment variable {name:?}: {problem}")]
    Env {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A parameter of a container that comes with cloudd is missing, or cannot be right.
    #[error(
        "{container}: {parameter} is {}, expected {wanted}",
        value.as_ref().map_or("not set".to_owned(), |value| format!("{value:?}"))
    )]
    Parameter {
        /// The name of the container.
        container: &'static str,
        /// The variable in its environment.
        parameter: &'static str,
        /// Its value, if it has one.
        value: Option<String>,
        /// What it should be.
        wanted: &'static str,
    },
    /// A setting that only makes sense for a build context of one's own was given for another
    /// install container.
    #[error("{setting} applies to a build context, but the install container is {reference:?}")]
    NotABuild {
        /// The setting, as in `containerfile`.
        setting: &'static str,
        /// The image reference, or the name of the container that comes with cloudd.
        reference: String,
    },
    /// A configuration was given for an install container that takes none.
    #[error(
        "the install container {container:?} takes no configuration: of those that come with cloudd, \
         fedora_coreos, flatcar, k3os, nixos and talos do; one of your own has it in its context"
    )]
    NoConfig {
        /// The directory, the image reference, or the name of the container that comes with cloudd.
        container: String,
    },
}
