use std::io;
use std::path::PathBuf;

/// Why an install container cannot be loaded. All of these errors occur before anything is created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The build context does not exist.
    #[error("build context {path:?} does not exist")]
    ContextMissing {
        /// The directory.
        path: PathBuf,
    },
    /// The build context is not a directory.
    #[error("build context {path:?} is not a directory")]
    ContextNotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// The build context is empty.
    #[error("build context {path:?} is empty")]
    ContextEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The build context has no Containerfile.
    #[error("build context {path:?} has neither a Containerfile nor a Dockerfile")]
    NoContainerfile {
        /// The build context.
        path: PathBuf,
    },
    /// The Containerfile does not exist.
    #[error("Containerfile {path:?} does not exist")]
    ContainerfileMissing {
        /// The path of the Containerfile.
        path: PathBuf,
    },
    /// The path of the Containerfile is not text, so it cannot be passed to the builder VM.
    #[error("the path {path:?} of the Containerfile is not UTF-8 or has a control character")]
    ContainerfileName {
        /// The path in the build context.
        path: PathBuf,
    },
    /// The Containerfile is not a regular file.
    #[error("Containerfile {path:?} is not a regular file")]
    ContainerfileNotAFile {
        /// The path of the Containerfile.
        path: PathBuf,
    },
    /// A file that podman must read is outside the build context.
    #[error("{path:?} is outside the build context")]
    OutsideContext {
        /// The file, or the symbolic link to it.
        path: PathBuf,
    },
    /// podman would reject the Containerfile: its syntax, an unknown instruction, a `COPY` of something
    /// that the build context does not have. Or podman could not run the image, which has no program.
    #[error("{path:?}, line {line}: {problem}")]
    ContainerfileInvalid {
        /// The Containerfile.
        path: PathBuf,
        /// The line on which the instruction starts, counted from 1.
        line: usize,
        /// The violated rule.
        problem: String,
    },
    /// The Containerfile does not set the `RUN` label.
    #[error(
        "{path:?} sets no RUN label on its last stage, which starts from {base:?}; \
         podman needs it to run the install container"
    )]
    RunLabelMissing {
        /// The Containerfile.
        path: PathBuf,
        /// The image from which the last stage starts, directly or through other stages.
        base: String,
    },
    /// The `RUN` label is empty, which podman treats as a missing label.
    #[error("{path:?}, line {line}: the RUN label is empty")]
    RunLabelEmpty {
        /// The Containerfile.
        path: PathBuf,
        /// The line of the `LABEL` instruction, counted from 1.
        line: usize,
    },
    /// The credentials for registries are not an `auth.json`.
    #[error("the credentials for registries: {problem}")]
    RegistryAuthInvalid {
        /// What is wrong.
        problem: &'static str,
    },
    /// The `RUN` label cannot run an install container: it would run it in the background, run another
    /// image or none, or podman could not parse it.
    #[error("{path:?}, line {line}: the RUN label {problem}")]
    RunLabelInvalid {
        /// The Containerfile.
        path: PathBuf,
        /// The line of the `LABEL` instruction, counted from 1.
        line: usize,
        /// What is wrong, as the rest of a sentence about the label.
        problem: String,
    },
    /// The `RUN` label is set in several spellings, as in `RUN` and `run`. podman ignores the case of
    /// the label and uses an arbitrary one of them.
    #[error(
        "{path:?} sets the RUN label as {first:?} and as {second:?}, which are equal for podman"
    )]
    RunLabelAmbiguous {
        /// The Containerfile.
        path: PathBuf,
        /// One spelling.
        first: String,
        /// Another spelling.
        second: String,
    },
    /// A line of the ignore file is not a valid pattern.
    #[error("{path:?}, line {line}: {pattern:?} is not a valid pattern: {problem}")]
    IgnorePattern {
        /// The ignore file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The text of the line.
        pattern: String,
        /// The violated rule.
        problem: &'static str,
    },
    /// A Containerfile or an ignore file is too large.
    #[error("{path:?} has {}, more than the limit of {}", human_bytes(*size), human_bytes(*limit))]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes, or the number of bytes that were read.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A Containerfile or an ignore file is a named pipe, a device or a directory.
    #[error("{path:?} is not a regular file")]
    FileNotRegular {
        /// The file.
        path: PathBuf,
    },
    /// The build context is too large. Found before any file is read.
    #[error(
        "build context {path:?} has {}, more than the limit of {}; its largest file is {largest:?} with \
         {}; exclude files with a .containerignore, have the container download them, or raise the limit \
         with InstallContainer::max_context_size",
        human_bytes(*size),
        human_bytes(*limit),
        human_bytes(*largest_size)
    )]
    ContextTooLarge {
        /// The build context.
        path: PathBuf,
        /// The size in bytes of its archive before compression.
        size: u64,
        /// The limit in bytes.
        limit: u64,
        /// The path of its largest file, relative to the build context.
        largest: PathBuf,
        /// The size in bytes of its largest file.
        largest_size: u64,
    },
    /// A file or directory could not be read.
    #[error("cannot read {path:?}")]
    Unreadable {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The build context contains something other than files, directories and symbolic links. An
    /// ignore file can exclude it.
    #[error("{path:?} is a {kind}, which cannot be part of a build context")]
    UnsupportedFileType {
        /// The path.
        path: PathBuf,
        /// `socket`, `named pipe`, `block device`, `character device`.
        kind: &'static str,
    },
    /// A file was deleted between listing and packing the build context.
    #[error("{path:?} vanished while the build context was packed")]
    Vanished {
        /// The file.
        path: PathBuf,
    },
    /// A file was replaced or changed its size while the build context was packed.
    #[error("{path:?} changed while the build context was packed")]
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The archive exceeds the limit for memory and could not be written to a temporary file.
    #[error("cannot write the archive of the build context to a temporary file")]
    Spool {
        /// The error of the system.
        source: io::Error,
    },
    /// The text is not a valid image reference.
    #[error("image reference {reference:?}: {problem}")]
    Reference {
        /// The text.
        reference: String,
        /// The violated rule.
        problem: &'static str,
    },
    /// The name or value of a build argument is invalid.
    #[error("build argument {name:?}: {problem}")]
    BuildArg {
        /// The name.
        name: String,
        /// The violated rule.
        problem: &'static str,
    },
    /// The name or value of an environment variable of the container is invalid.
    #[error("environment variable {name:?}: {problem}")]
    Env {
        /// The name.
        name: String,
        /// The violated rule.
        problem: &'static str,
    },
    /// A parameter of a container that comes with cloudd is missing or invalid.
    #[error(
        "{container}: {parameter} is {}, expected {expected}",
        value.as_ref().map_or("not set".to_owned(), |value| format!("{value:?}"))
    )]
    Parameter {
        /// The name of the container.
        container: &'static str,
        /// The environment variable, or the file.
        parameter: &'static str,
        /// The value, if it is set, without what may be secret in a URL.
        value: Option<String>,
        /// The description of valid values.
        expected: &'static str,
    },
    /// A setting for build contexts was used with another kind of install container.
    #[error("{setting} requires a build context, but the install container is {reference:?}")]
    NotABuild {
        /// The name of the setting, as in `containerfile`.
        setting: &'static str,
        /// The image reference, or the name of the container that comes with cloudd.
        reference: String,
    },
    /// A configuration was set for an install container without a configuration file.
    #[error(
        "install container {container:?} has no configuration file; only fedora_coreos, flatcar, k3os, \
         nixos and talos have one"
    )]
    NoConfig {
        /// The directory, the image reference, or the name of the container.
        container: String,
    },
}

/// A number of bytes for people, such as `3.5 GiB`.
fn human_bytes(bytes: u64) -> String {
    let (unit, shift) = match bytes {
        0..=1023 => return format!("{bytes} bytes"),
        0x400..=0xf_ffff => ("KiB", 10),
        0x10_0000..=0x3fff_ffff => ("MiB", 20),
        _ => ("GiB", 30),
    };
    let tenths = (u128::from(bytes) * 10) >> shift;
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        tenth => format!("{}.{tenth} {unit}", tenths / 10),
    }
}
