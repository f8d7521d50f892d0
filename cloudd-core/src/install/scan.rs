//! Lists the entries of a build context.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::error::InstallError;
use super::ignore::IgnoreRules;

/// A file, directory or symbolic link of the context.
#[derive(Debug)]
pub(super) struct ContextEntry {
    pub(super) kind: EntryKind,
    /// The twelve mode bits.
    pub(super) mode: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum EntryKind {
    Directory,
    /// A file on disk. Device and inode detect that it was replaced.
    File {
        len: u64,
        identity: (u64, u64),
    },
    InMemory(Cow<'static, [u8]>),
    Symlink {
        target: Vec<u8>,
    },
}

/// Entries by their path relative to the context, sorted by the bytes of the path.
pub(super) type Entries = BTreeMap<Vec<u8>, ContextEntry>;

/// Lists the directory `root` without the paths that the rules exclude. Paths in `always` are listed
/// in any case. Nothing is opened but directories.
///
/// # Errors
/// [`InstallError::ContextTooLarge`] if the archive of the entries would have more than `limit` bytes.
pub(super) fn scan(
    root: &Path,
    rules: &IgnoreRules,
    always: &BTreeSet<Vec<u8>>,
    limit: u64,
) -> Result<Entries, InstallError> {
    let mut size = Size::default();
    let mut entries = Entries::new();
    // Excluded directories that may contain entries which are not excluded.
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
            let metadata = fs::symlink_metadata(&full).map_err(|e| read_error(&full, e))?;
            if metadata.is_dir() {
                pending.push(path.clone());
            }
            if excluded && !metadata.is_dir() {
                continue;
            }
            let entry = entry(&full, &metadata)?;
            size.add(&path, &entry);
            // Above the limit, the sizes are still summed up for the error.
            if size.total <= limit {
                if excluded { &mut passed } else { &mut entries }.insert(path, entry);
            }
        }
    }
    if size.total > limit {
        return Err(InstallError::ContextTooLarge {
            path: root.to_owned(),
            size: size.total,
            limit,
            largest: to_path(&size.largest),
            largest_size: size.largest_size,
        });
    }
    add_parents(&mut entries, passed);
    Ok(entries)
}

/// The size of the archive before compression, and the largest file.
#[derive(Default)]
struct Size {
    total: u64,
    largest: Vec<u8>,
    largest_size: u64,
}

impl Size {
    fn add(&mut self, path: &[u8], entry: &ContextEntry) {
        /// The size of a header, and the unit of the archive.
        const BLOCK: u64 = 512;
        let len = match &entry.kind {
            EntryKind::File { len, .. } => *len,
            EntryKind::InMemory(content) => content.len() as u64,
            EntryKind::Directory | EntryKind::Symlink { .. } => 0,
        };
        let packed = len.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
        self.total = self.total.saturating_add(BLOCK).saturating_add(packed);
        if len > self.largest_size {
            self.largest_size = len;
            self.largest = path.to_vec();
        }
    }
}

/// Adds the directories above the entries, so that their modes are preserved.
fn add_parents(entries: &mut Entries, mut passed: Entries) {
    let mut parents = BTreeSet::new();
    for path in entries.keys() {
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        parents.extend(slashes.map(|(at, _)| path[..at].to_vec()));
    }
    passed.retain(|path, _| parents.contains(path));
    entries.append(&mut passed);
}

fn names(directory: &Path) -> Result<Vec<Vec<u8>>, InstallError> {
    let name = |entry: io::Result<fs::DirEntry>| entry.map(|e| e.file_name().into_vec());
    let names = fs::read_dir(directory).and_then(|entries| entries.map(name).collect());
    names.map_err(|e| read_error(directory, e))
}

fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        return name.to_vec();
    }
    [directory, name].join(&b'/')
}

fn entry(full: &Path, metadata: &Metadata) -> Result<ContextEntry, InstallError> {
    let file_type = metadata.file_type();
    let kind = if file_type.is_dir() {
        EntryKind::Directory
    } else if file_type.is_file() {
        EntryKind::File { len: metadata.len(), identity: identity(metadata) }
    } else if file_type.is_symlink() {
        let target = fs::read_link(full).map_err(|e| read_error(full, e))?;
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
    // The mode of a symbolic link has no effect and differs between systems.
    let mode = if file_type.is_symlink() { 0o777 } else { metadata.mode() & 0o7777 };
    Ok(ContextEntry { kind, mode })
}

/// The device and inode of a file.
pub(super) fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

/// Converts a path of any bytes.
pub(super) fn to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

/// The error of a failed read. A file that no longer exists has its own variant.
pub(super) fn read_error(path: &Path, source: io::Error) -> InstallError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => InstallError::Vanished { path },
        _ => InstallError::Unreadable { path, source },
    }
}
