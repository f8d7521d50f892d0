//! Build contexts on disk, and listings of directories.

#![allow(dead_code, reason = "every test binary uses its own part of this")]
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, Permissions},
    io::Write,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{MetadataExt, PermissionsExt, symlink},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use cloudd_core::install::{ContextArchive, InstallContainer, InstallError, Sha256Digest};
use tempfile::TempDir;

/// A Containerfile that podman builds and runs.
pub(crate) const CONTAINERFILE: &str =
    "FROM scratch\nCOPY . /ctx\nENTRYPOINT [\"/ctx/install\"]\nLABEL RUN=\"podman run IMAGE\"\n";

/// A directory that is deleted at the end of the test.
#[derive(Debug)]
pub(crate) struct Tree(TempDir);

impl Tree {
    /// An empty directory.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A directory with a Containerfile.
    pub(crate) fn context() -> Self {
        Self::empty().file("Containerfile", CONTAINERFILE, 0o644)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn at(&self, name: impl AsRef<[u8]>) -> PathBuf {
        self.path().join(OsStr::from_bytes(name.as_ref()))
    }

    /// Adds a file and the directories above it.
    pub(crate) fn file(self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = self.at(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        self
    }

    pub(crate) fn dir(self, name: impl AsRef<[u8]>, mode: u32) -> Self {
        let path = self.at(name);
        fs::create_dir_all(&path).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        self
    }

    pub(crate) fn link(self, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        symlink(OsStr::from_bytes(target.as_ref()), self.at(name)).unwrap();
        self
    }

    pub(crate) fn install_container(&self) -> InstallContainer {
        InstallContainer::directory(self.path())
    }

    pub(crate) fn archive(&self) -> ContextArchive {
        archive(&self.install_container()).unwrap()
    }
}

pub(crate) fn archive(container: &InstallContainer) -> Result<ContextArchive, InstallError> {
    Ok(container.load()?.context().unwrap().archive().clone())
}

/// Unpacks with the system's tar, as in the builder VM.
pub(crate) fn unpacked(archive: &ContextArchive) -> Tree {
    let tree = Tree::empty();
    let tar = ["-x", "-z", "-p", "-C"];
    let mut child = Command::new("tar")
        .args(tar)
        .arg(tree.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("tar is needed: run `make setup`");
    child.stdin.take().unwrap().write_all(&archive.read_all().unwrap()).unwrap();
    assert!(child.wait().unwrap().success());
    tree
}

/// The entries below a directory by path: kind, mode, and content or target.
pub(crate) fn listing(directory: &Path) -> BTreeMap<Vec<u8>, String> {
    fn walk(root: &Path, directory: &Path, found: &mut BTreeMap<Vec<u8>, String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let mode = metadata.mode() & 0o7777;
            let what = if metadata.is_symlink() {
                format!("link {:?}", fs::read_link(&path).unwrap())
            } else if metadata.is_dir() {
                walk(root, &path, found);
                format!("directory {mode:04o}")
            } else {
                assert!(metadata.is_file(), "{path:?}");
                format!("file {mode:04o} {}", Sha256Digest::digest(&fs::read(&path).unwrap()))
            };
            let name = path.strip_prefix(root).unwrap().to_owned().into_os_string().into_vec();
            found.insert(name, what);
        }
    }
    let mut found = BTreeMap::new();
    walk(directory, directory, &mut found);
    found
}

/// The paths below a directory as text.
pub(crate) fn paths(directory: &Path) -> Vec<String> {
    let text = |path: &Vec<u8>| String::from_utf8_lossy(path).into_owned();
    listing(directory).keys().map(text).collect()
}

/// Pseudo-random numbers that are the same in every run.
#[derive(Debug)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        // splitmix64
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}
