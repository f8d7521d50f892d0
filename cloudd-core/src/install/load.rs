//! From what was asked for to what was read and checked.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use super::{
    BuildContext, ContainerSource, ContextArchive, InstallContainer, InstallError, LoadedContainer,
    container::{RunLabelSource, Source},
    containerfile::{Base, Containerfile, RunLabel},
    containers::BuiltIn,
    ignore::IgnoreRules,
    pack::pack,
    scan::{at, scan},
};

impl InstallContainer {
    /// Reads the build context, checks it and packs it; for an image reference, checks its
    /// shape, and for a container that comes with cloudd its parameters.
    ///
    /// Blocks while it reads the file system: call it where that is allowed, as in
    /// `tokio::task::spawn_blocking`.
    ///
    /// # Errors
    /// Whatever can be known to be wrong before a builder exists, each with the path or value that
    /// is: see [`InstallError`].
    pub fn load(&self) -> Result<LoadedContainer, InstallError> {
        self.env.check_env()?;
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
                check_not_set("containerfile", self.containerfile.is_some(), built_in.name())?;
                if !built_in.takes_config() {
                    self.check_no_config(built_in.name())?;
                }
                self.build_args.check_build_args()?;
                built_in.check(&self.env, self.config.as_deref())?;
                ContainerSource::Context(self.load_built_in(*built_in)?)
            }
        };
        Ok(LoadedContainer::new(source, self.build_args.clone(), self.env.clone()))
    }

    fn load_context(&self, directory: &Path) -> Result<BuildContext, InstallError> {
        check_directory(directory)?;
        let containerfile = self.find_containerfile(directory)?;
        let full = directory.join(&containerfile);
        let text = fs::read(&full).map_err(|e| at(&full, e))?;
        let run_label = self.run_label(&full, &text)?;

        let mut always = travelling(directory, &containerfile)?;
        let rules = match find_ignore_file(directory, &containerfile)? {
            Some(ignore_file) => {
                always.append(&mut travelling(directory, &ignore_file)?);
                read_ignore_file(&directory.join(ignore_file))?
            }
            None => IgnoreRules::default(),
        };
        let entries = scan(directory, &rules, &always)?;
        let archive = pack(directory, &entries, ContextArchive::MEMORY_LIMIT)?;
        Ok(BuildContext { containerfile, run_label, entries: entries.len(), archive })
    }

    /// The path of the Containerfile in the context.
    fn find_containerfile(&self, directory: &Path) -> Result<PathBuf, InstallError> {
        let relative = match &self.containerfile {
            Some(asked) => clean(asked)?,
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
            Some(_) => Err(InstallError::NoConfig { container: container.to_owned() }),
            None => Ok(()),
        }
    }

    fn load_built_in(&self, built_in: BuiltIn) -> Result<BuildContext, InstallError> {
        let (containerfile, text) = built_in.containerfile();
        let run_label = self.run_label(&containerfile, text)?;
        let entries = built_in.entries(self.config.as_deref());
        let archive = pack(Path::new(""), &entries, ContextArchive::MEMORY_LIMIT)?;
        Ok(BuildContext { containerfile, run_label, entries: entries.len(), archive })
    }

    /// The `RUN` label, where the Containerfile sets it.
    fn run_label(&self, path: &Path, text: &[u8]) -> Result<Option<String>, InstallError> {
        let path = path.to_owned();
        // podman runs these through the C preprocessor first; the build will tell.
        if path.extension().is_some_and(|extension| extension == "in") {
            return Ok(None);
        }
        let parsed = match Containerfile::parse(&String::from_utf8_lossy(text)) {
            Ok(parsed) => parsed,
            Err(e) => {
                let (line, problem) = (e.line, e.problem);
                return Err(InstallError::ContainerfileInvalid { path, line, problem });
            }
        };
        match (parsed.run_label(), self.run_label) {
            (RunLabel::Set(label), _) => Ok(Some(label)),
            (RunLabel::Unknown, _) => Ok(None),
            (RunLabel::Missing(Base::Image(_)), RunLabelSource::BaseImage) => Ok(None),
            (RunLabel::Missing(Base::Image(base)), RunLabelSource::Containerfile) => {
                Err(InstallError::RunLabelMissing { path, base })
            }
            (RunLabel::Missing(Base::Scratch | Base::Stage(_)), _) => {
                Err(InstallError::RunLabelMissing { path, base: "scratch".to_owned() })
            }
            (RunLabel::Empty { line }, _) => Err(InstallError::RunLabelEmpty { path, line }),
            (RunLabel::Ambiguous { first, second }, _) => {
                Err(InstallError::RunLabelAmbiguous { path, first, second })
            }
        }
    }
}

fn check_not_set(setting: &'static str, set: bool, container: &str) -> Result<(), InstallError> {
    if set {
        return Err(InstallError::NotABuild { setting, reference: container.to_owned() });
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
    match fs::read_dir(directory).map_err(|e| at(directory, e))?.next() {
        None => Err(InstallError::ContextEmpty { path: path() }),
        Some(_) => Ok(()),
    }
}

/// The first ignore file that podman would take.
fn find_ignore_file(
    directory: &Path,
    containerfile: &Path,
) -> Result<Option<PathBuf>, InstallError> {
    let beside = |suffix: &str| {
        let mut path = OsString::from(containerfile);
        path.push(suffix);
        PathBuf::from(path)
    };
    for candidate in [
        beside(".dockerignore"),
        beside(".containerignore"),
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
    let text = fs::read(path).map_err(|e| at(path, e))?;
    IgnoreRules::parse(&String::from_utf8_lossy(&text)).map_err(|e| InstallError::IgnorePattern {
        path: path.to_owned(),
        line: e.line,
        pattern: e.pattern,
        problem: e.problem,
    })
}

/// A path that leads nowhere outside of the context and can be passed on as a parameter.
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

/// What must travel for `path` to be readable in the builder: itself, and where it leads if it is
/// a symbolic link.
fn travelling(directory: &Path, path: &Path) -> Result<BTreeSet<Vec<u8>>, InstallError> {
    let full = directory.join(path);
    let resolve = |path: &Path| path.canonicalize().map_err(|e| at(path, e));
    let (root, target) = (resolve(directory)?, resolve(&full)?);
    let Ok(target) = target.strip_prefix(root) else {
        return Err(InstallError::OutsideContext { path: full });
    };
    Ok([path, target].map(|path| path.as_os_str().as_bytes().to_vec()).into())
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
