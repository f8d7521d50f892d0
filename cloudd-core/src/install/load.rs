//! Reads, checks and packs the inputs of an install container.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

use super::archive::ContextArchive;
use super::built_in::BuiltIn;
use super::container::{InstallContainer, Source};
use super::error::InstallError;
use super::ignore::IgnoreRules;
use super::inspect::Inspected;
use super::loaded::{BuildContext, ContainerSource, LoadedContainer};
use super::pack::pack;
use super::read::read_control_file;
use super::redact::redact_urls;
use super::scan::{read_error, scan};

impl InstallContainer {
    /// Reads, checks and packs the build context. Checks the syntax of an image reference, and the
    /// parameters of a container that comes with cloudd.
    ///
    /// This blocks while it reads the file system, so asynchronous code should call it in
    /// `tokio::task::spawn_blocking`.
    ///
    /// # Errors
    /// Every problem that can be found before a builder exists, with the path or value that is
    /// invalid: see [`InstallError`].
    pub fn load(&self) -> Result<LoadedContainer, InstallError> {
        self.env.check_env()?;
        if let Some(auth) = &self.registry_auth {
            check_registry_auth(auth)?;
        }
        let source = match &self.source {
            Source::Directory(directory) => {
                self.check_no_config(&directory.to_string_lossy())?;
                self.build_args.check_build_args()?;
                ContainerSource::Context(self.load_context(directory)?)
            }
            Source::Reference(reference) => {
                check_not_set("build_arg", !self.build_args.is_empty(), reference)?;
                check_not_set("containerfile", self.containerfile.is_some(), reference)?;
                self.check_no_config(reference)?;
                ContainerSource::Reference(reference.parse()?)
            }
            Source::BuiltIn(built_in) => {
                check_not_set("containerfile", self.containerfile.is_some(), built_in.name)?;
                if built_in.config.is_none() {
                    self.check_no_config(built_in.name)?;
                }
                self.build_args.check_build_args()?;
                built_in.check(&self.env, self.config.as_deref())?;
                ContainerSource::Context(self.load_built_in(built_in)?)
            }
        };
        let (build_args, env) = (self.build_args.clone(), self.env.clone());
        Ok(LoadedContainer::new(source, build_args, env, self.registry_auth.clone()))
    }

    fn load_context(&self, directory: &Path) -> Result<BuildContext, InstallError> {
        check_directory(directory)?;
        let containerfile = self.find_containerfile(directory)?;
        let full = directory.join(&containerfile);
        let text = read_control_file(&full)?;
        let mut inspected = Inspected::new(&full, &text, self.run_label)?;

        let mut always = with_link_target(directory, &containerfile)?;
        let rules = match find_ignore_file(directory, &containerfile)? {
            Some(ignore_file) => {
                always.append(&mut with_link_target(directory, &ignore_file)?);
                read_ignore_file(&directory.join(ignore_file))?
            }
            None => IgnoreRules::default(),
        };
        let entries = scan(directory, &rules, &always, self.max_context_size)?;
        inspected.check_copies(&entries, &rules)?;
        let archive = pack(directory, &entries, ContextArchive::MEMORY_LIMIT)?;
        Ok(BuildContext::new(containerfile, inspected, entries.len(), archive))
    }

    /// Returns the path of the Containerfile in the context.
    fn find_containerfile(&self, directory: &Path) -> Result<PathBuf, InstallError> {
        let relative = match &self.containerfile {
            Some(path) => clean(path)?,
            None => ["Containerfile", "Dockerfile"]
                .map(PathBuf::from)
                .into_iter()
                .find(|name| fs::metadata(directory.join(name)).is_ok())
                .ok_or_else(|| InstallError::NoContainerfile { path: directory.to_owned() })?,
        };
        let path = directory.join(&relative);
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(relative),
            Ok(_) => Err(InstallError::ContainerfileNotAFile { path }),
            Err(e) if is_missing(&e) => Err(InstallError::ContainerfileMissing { path }),
            Err(source) => Err(InstallError::Unreadable { path, source }),
        }
    }

    fn check_no_config(&self, container: &str) -> Result<(), InstallError> {
        match self.config {
            Some(_) => Err(InstallError::NoConfig { container: redact_urls(container) }),
            None => Ok(()),
        }
    }

    fn load_built_in(&self, built_in: &BuiltIn) -> Result<BuildContext, InstallError> {
        let (containerfile, text) = built_in.containerfile();
        let mut inspected = Inspected::new(&containerfile, text, self.run_label)?;
        let entries = built_in.entries(self.config.as_deref());
        inspected.check_copies(&entries, &IgnoreRules::default())?;
        let archive = pack(Path::new(""), &entries, ContextArchive::MEMORY_LIMIT)?;
        Ok(BuildContext::new(containerfile, inspected, entries.len(), archive))
    }
}

/// Checks that a text is an `auth.json` (containers-auth.json(5)). The errors do not quote it.
fn check_registry_auth(text: &str) -> Result<(), InstallError> {
    const MAX: usize = 64 << 10;
    let invalid = |problem| InstallError::RegistryAuthInvalid { problem };
    if text.len() > MAX {
        return Err(invalid("it has more than 64 KiB"));
    }
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|_| invalid("it is not JSON"))?;
    match json.get("auths").and_then(serde_json::Value::as_object) {
        None => Err(invalid("it has no object \"auths\"")),
        Some(auths) if auths.values().all(|auth| auth.get("auth").is_none()) => Err(invalid(
            "no entry of \"auths\" has credentials; a credential helper keeps them elsewhere",
        )),
        Some(_) => Ok(()),
    }
}

fn check_not_set(setting: &'static str, set: bool, container: &str) -> Result<(), InstallError> {
    if set {
        return Err(InstallError::NotABuild { setting, reference: redact_urls(container) });
    }
    Ok(())
}

fn check_directory(directory: &Path) -> Result<(), InstallError> {
    let path = || directory.to_owned();
    match fs::metadata(directory) {
        Err(e) if is_missing(&e) => return Err(InstallError::ContextMissing { path: path() }),
        Err(source) => {
            return Err(InstallError::Unreadable { path: path(), source });
        }
        Ok(metadata) if !metadata.is_dir() => {
            return Err(InstallError::ContextNotADirectory { path: path() });
        }
        Ok(_) => {}
    }
    match fs::read_dir(directory).map_err(|e| read_error(directory, e))?.next() {
        None => Err(InstallError::ContextEmpty { path: path() }),
        Some(_) => Ok(()),
    }
}

/// Returns the first ignore file in podman's order.
fn find_ignore_file(
    directory: &Path,
    containerfile: &Path,
) -> Result<Option<PathBuf>, InstallError> {
    let with_suffix = |suffix: &str| {
        let mut path = OsString::from(containerfile);
        path.push(suffix);
        PathBuf::from(path)
    };
    for candidate in [
        with_suffix(".dockerignore"),
        with_suffix(".containerignore"),
        PathBuf::from(".containerignore"),
        PathBuf::from(".dockerignore"),
    ] {
        let path = directory.join(&candidate);
        match fs::metadata(&path) {
            Ok(_) => return Ok(Some(candidate)),
            Err(e) if is_missing(&e) => {}
            Err(source) => return Err(InstallError::Unreadable { path, source }),
        }
    }
    Ok(None)
}

fn read_ignore_file(path: &Path) -> Result<IgnoreRules, InstallError> {
    let text = read_control_file(path)?;
    IgnoreRules::parse(&String::from_utf8_lossy(&text)).map_err(|e| InstallError::IgnorePattern {
        path: path.to_owned(),
        line: e.line,
        pattern: e.pattern,
        problem: e.problem,
    })
}

/// Normalizes a path, which must not leave the context and must be text without control characters.
fn clean(path: &Path) -> Result<PathBuf, InstallError> {
    let mut cleaned = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::CurDir => {}
            _ => return Err(InstallError::OutsideContext { path: path.to_owned() }),
        }
    }
    match cleaned.to_str() {
        Some(text) if !text.contains(char::is_control) => Ok(cleaned),
        _ => Err(InstallError::ContainerfileName { path: path.to_owned() }),
    }
}

/// The paths that must be packed for `path` to be readable in the builder VM: the path, and its target
/// if it is a symbolic link.
fn with_link_target(directory: &Path, path: &Path) -> Result<BTreeSet<Vec<u8>>, InstallError> {
    let full = directory.join(path);
    let resolve = |path: &Path| path.canonicalize().map_err(|e| read_error(path, e));
    let (root, target) = (resolve(directory)?, resolve(&full)?);
    let Ok(target) = target.strip_prefix(root) else {
        return Err(InstallError::OutsideContext { path: full });
    };
    Ok([path, target].map(|path| path.as_os_str().as_bytes().to_vec()).into())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
