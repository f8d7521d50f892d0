//! Packs the entries of a build context into a reproducible archive.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::Arc;

use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use tar::{Builder, EntryType, Header};
use tempfile::{SpooledData, SpooledTempFile};

use super::archive::{ContextArchive, Storage};
use super::error::InstallError;
use super::read::open;
use super::scan::{ContextEntry, Entries, EntryKind, identity, read_error, to_path};
use crate::digest::HashingWriter;

/// The length of the header fields for names and link targets.
const NAME: usize = 100;

type Tar = Builder<HashingWriter<GzEncoder<HashingWriter<SpooledTempFile>>>>;

/// Packs `entries` of the directory `root`. The archive is stored in memory up to `memory_limit`
/// bytes.
pub(super) fn pack(
    root: &Path,
    entries: &Entries,
    memory_limit: usize,
) -> Result<ContextArchive, InstallError> {
    let spool = HashingWriter::new(SpooledTempFile::new(memory_limit));
    // Operating system 255 means "unknown". A fixed level makes equal contexts compress equally.
    let gzip = GzBuilder::new().mtime(0).operating_system(255).write(spool, Compression::new(6));
    let mut tar = Builder::new(HashingWriter::new(gzip));
    for (path, entry) in entries {
        append(&mut tar, root, path, entry)?;
    }
    finish(tar).map_err(|source| InstallError::Spool { source })
}

fn append(
    tar: &mut Tar,
    root: &Path,
    path: &[u8],
    entry: &ContextEntry,
) -> Result<(), InstallError> {
    let mut write = |path: &[u8], target: &[u8], kind, size, content: &mut dyn Read| {
        // GNU tar, bsdtar and busybox read GNU entries for long names; the names may be any bytes.
        for (kind, name) in [(EntryType::GNULongLink, target), (EntryType::GNULongName, path)] {
            if name.len() > NAME {
                let terminated = [name, b"\0"].concat();
                let size = terminated.len() as u64;
                let header = header(b"././@LongLink", b"", kind, 0o644, size);
                tar.append(&header, &terminated[..])?;
            }
        }
        tar.append(&header(path, target, kind, entry.mode, size), content)
    };
    let nothing = &mut io::empty();
    let written = match &entry.kind {
        EntryKind::Directory => {
            write(&[path, b"/"].concat(), b"", EntryType::Directory, 0, nothing)
        }
        EntryKind::Symlink { target } => write(path, target, EntryType::Symlink, 0, nothing),
        EntryKind::InMemory(content) => {
            let size = content.len() as u64;
            write(path, b"", EntryType::Regular, size, &mut &content[..])
        }
        EntryKind::File { len, identity } => {
            let full = root.join(to_path(path));
            let mut file = ListedFile::open(&full, *len, *identity)?;
            let written = write(path, b"", EntryType::Regular, *len, &mut file);
            if let Some(error) = file.error {
                return Err(error);
            }
            written
        }
    };
    written.map_err(|source| InstallError::Spool { source })
}

/// A header whose fields depend on the arguments only. Longer names are truncated.
fn header(path: &[u8], target: &[u8], kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    // `Header::set_path` and `set_link_name` would normalize the names.
    let fields = header.as_old_mut();
    for (field, bytes) in [(&mut fields.name, path), (&mut fields.linkname, target)] {
        let len = bytes.len().min(NAME);
        field[..len].copy_from_slice(&bytes[..len]);
    }
    header.set_cksum();
    header
}

/// Reads a file of the context and fails if it is not the file that was listed.
struct ListedFile<'a> {
    path: &'a Path,
    file: File,
    remaining: u64,
    /// Why reading failed, since the reader itself can only return an `io::Error`.
    error: Option<InstallError>,
}

impl<'a> ListedFile<'a> {
    fn open(path: &'a Path, len: u64, listed: (u64, u64)) -> Result<Self, InstallError> {
        let file = open(path).map_err(|e| read_error(path, e))?;
        let metadata = file.metadata().map_err(|e| read_error(path, e))?;
        if identity(&metadata) != listed || !metadata.is_file() {
            return Err(InstallError::Changed { path: path.to_owned() });
        }
        Ok(Self { path, file, remaining: len, error: None })
    }
}

impl Read for ListedFile<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let error = match self.file.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => read_error(self.path, error),
            Ok(read) => {
                let is_too_short = read == 0 && self.remaining > 0;
                match self.remaining.checked_sub(read as u64) {
                    Some(remaining) if !is_too_short => {
                        self.remaining = remaining;
                        return Ok(read);
                    }
                    _ => InstallError::Changed { path: self.path.to_owned() },
                }
            }
        };
        self.error = Some(error);
        Err(io::ErrorKind::Other.into())
    }
}

fn finish(tar: Tar) -> io::Result<ContextArchive> {
    let (gzip, content_len, content_sha256) = tar.into_inner()?.finish();
    let (spool, len, sha256) = gzip.finish()?.finish();
    let storage = match spool.into_inner() {
        SpooledData::InMemory(bytes) => Storage::Memory(bytes.into_inner().into()),
        SpooledData::OnDisk(mut file) => {
            file.rewind()?;
            Storage::File(Arc::new(file))
        }
    };
    Ok(ContextArchive { storage, len, sha256, content_len, content_sha256 })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;
    use crate::install::{ignore::IgnoreRules, scan::scan};

    const NO_LIMIT: usize = usize::MAX;

    fn context() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "four").unwrap();
        directory
    }

    fn scanned(directory: &Path) -> Entries {
        scan(directory, &IgnoreRules::default(), &BTreeSet::new(), u64::MAX).unwrap()
    }

    #[test]
    fn a_file_that_vanishes_after_it_was_listed_is_named() {
        let directory = context();
        let (entries, file) = (scanned(directory.path()), directory.path().join("file"));
        fs::remove_file(&file).unwrap();
        let error = pack(directory.path(), &entries, NO_LIMIT).unwrap_err();
        assert!(matches!(error, InstallError::Vanished { path } if path == file));
    }

    #[test]
    fn a_file_that_changes_after_it_was_listed_is_named() {
        type Change = fn(&Path);
        let changes: [Change; 6] = [
            |file| fs::write(file, "five!").unwrap(),
            |file| fs::write(file, "two").unwrap(),
            |file| fs::write(file, "").unwrap(),
            |file| {
                // A file of the same length, renamed over it; the old one still has its inode.
                fs::rename(file, file.with_extension("old")).unwrap();
                fs::write(file, "same").unwrap();
            },
            |file| {
                fs::rename(file, file.with_extension("old")).unwrap();
                fs::create_dir(file).unwrap();
            },
            |file| {
                // Opening it must not wait for a writer.
                fs::rename(file, file.with_extension("old")).unwrap();
                let made = std::process::Command::new("mkfifo").arg(file).status().unwrap();
                assert!(made.success());
            },
        ];
        for (index, change) in changes.iter().enumerate() {
            let directory = context();
            let (entries, file) = (scanned(directory.path()), directory.path().join("file"));
            change(&file);
            let error = pack(directory.path(), &entries, NO_LIMIT).unwrap_err();
            assert!(
                matches!(&error, InstallError::Changed { path } if *path == file),
                "{index}: {error:?}"
            );
        }
    }

    #[test]
    fn where_the_archive_is_kept_does_not_change_it() {
        let directory = context();
        let entries = scanned(directory.path());
        let memory = pack(directory.path(), &entries, NO_LIMIT).unwrap();
        let file = pack(directory.path(), &entries, 1).unwrap();
        assert!(memory.as_bytes().is_some() && file.as_bytes().is_none());
        assert_eq!(memory.read_all().unwrap(), file.read_all().unwrap());
        assert_eq!(memory.sha256(), file.sha256());
    }
}
