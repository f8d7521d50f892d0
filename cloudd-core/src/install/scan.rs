//! Lists what of a build context travels.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fs::{self, Metadata},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use super::{InstallError, ignore::IgnoreRules};

/// One thing that travels.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: EntryKind,
    /// The twelve mode bits.
    pub(super) mode: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Directory,
    /// A file on disk; device and inode tell whether it was replaced.
    File {
        len: u64,
        identity: (u64, u64),
    },
    /// A file that is there already.
    Held(Cow<'static, [u8]>),
    Symlink {
        target: Vec<u8>,
    },
}

/// What travels, by the path relative to the context; sorted by the bytes of the path.
pub(super) type Entries = BTreeMap<Vec<u8>, Entry>;

/// Lists the directory `root`. What is in `always` travels whatever the rules say.
pub(super) fn scan(
    root: &Path,
    rules: &IgnoreRules,
    always: &BTreeSet<Vec<u8>>,
) -> Result<Entries, InstallError> {
    let mut entries = Entries::new();
    // Directories that are left out, but something in them may not be.
    let mut passed = Entries::new();
    let mut pending = vec![Vec::new()];
    while let Some(directory) = pending.pop() {
        for name in names(&root.join(to_path(&directory)))? {
            let path = join(&directory, &name);
            let excluded = rules.excludes(&path) && !always.contains(&path);
            let needed_below = |below: &Vec<u8>| below.starts_with(&join(&path, b""));
            if excluded && !rules.may_include_below(&path) && !always.iter().any(needed_below) {
                continue;
            }
            let full = root.join(to_path(&path));
            let metadata = fs::symlink_metadata(&full).map_err(|e| at(&full, e))?;
            if metadata.is_dir() {
                pending.push(path.clone());
            }
            match (excluded, metadata.is_dir()) {
                (false, _) => entries.insert(path, entry(&full, &metadata)?),
                (true, true) => passed.insert(path, entry(&full, &metadata)?),
                (true, false) => None,
            };
        }
    }
    add_parents(&mut entries, passed);
    Ok(entries)
}

/// A relative path as the system has it.
pub(super) fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}

/// The error of a failed access: a file that is gone has a name of its own.
pub(super) fn at(path: &Path, source: io::Error) -> InstallError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => InstallError::Vanished { path },
        _ => InstallError::Unreadable { path, source },
    }
}

fn names(directory: &Path) -> Result<Vec<Vec<u8>>, InstallError> {
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|e| e.file_name().into_vec());
    let names = fs::read_dir(directory).and_then(|entries| entries.map(name).collect());
    names.map_err(|e| at(directory, e))
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        return name.to_vec();
    }
    [directory, name].join(&b'/')
}

fn entry(full: &Path, metadata: &Metadata) -> Result<Entry, InstallError> {
    let file_type = metadata.file_type();
    let kind = if file_type.is_dir() {
        EntryKind::Directory
    } else if file_type.is_file() {
        EntryKind::File { len: metadata.len(), identity: identity(metadata) }
    } else if file_type.is_symlink() {
        let target = fs::read_link(full).map_err(|e| at(full, e))?;
        EntryKind::Symlink { target: target.as_os_str().as_bytes().to_vec() }
    } else {
        return Err(InstallError::UnsupportedFileType {
            path: full.to_owned(),
            kind: match () {
                () if file_type.is_socket() => "socket",
                () if file_type.is_fifo() => "named pipe",
                () if file_type.is_block_device() => "block device",
                () if file_type.is_char_device() => "character device",
                () => "file of an unknown type",
            },
        });
    };
    // The mode of a symbolic link means nothing, and differs between systems.
    let mode = if file_type.is_symlink() { 0o777 } else { metadata.mode() & 0o7777 };
    Ok(Entry { kind, mode })
}

pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Adds the directories that lead to what travels, so that their modes do too.
pub(super) fn add_parents(entries: &mut Entries, mut passed: Entries) {
    let parents: BTreeSet<Vec<u8>> = entries
        .keys()
        .flat_map(|path| {
            let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
            slashes.map(|(at, _)| path[..at].to_vec())
        })
        .collect();
    passed.retain(|path, _| parents.contains(path));
    entries.append(&mut passed);
}
