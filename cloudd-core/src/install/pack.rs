//! Packs what was listed into a reproducible archive.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::Path,
    sync::Arc,
};

use flate2::{Compression, GzBuilder, write::GzEncoder};
use sha2::{Digest, Sha256};
use tar::{EntryType, Header};
use tempfile::{SpooledData, SpooledTempFile};

use super::{
    ContextArchive, InstallError,
    archive::Storage,
    scan::{Entries, Entry, EntryKind, at, identity, to_path},
};

const BLOCK: usize = 512;
// The length of the fields for names and link targets; longer ones need an entry of their own.
const NAME: usize = 100;

/// Packs `entries` of the directory `root`, in memory while the archive is not longer than
/// `memory_limit`.
pub(super) fn pack(
    root: &Path,
    entries: &Entries,
    memory_limit: usize,
) -> Result<ContextArchive, InstallError> {
    let spool = Hashed::new(SpooledTempFile::new(memory_limit));
    // 255: "unknown operating system"; the level is part of what makes equal contexts equal bytes.
    let gzip = GzBuilder::new().mtime(0).operating_system(255);
    let mut tar = Hashed::new(gzip.write(spool, Compression::new(6)));
    for (path, entry) in entries {
        append(&mut tar, root, path, entry)?;
    }
    finish(tar).map_err(|source| InstallError::Spool { source })
}

type Tar = Hashed<GzEncoder<Hashed<SpooledTempFile>>>;

fn append(tar: &mut Tar, root: &Path, path: &[u8], entry: &Entry) -> Result<(), InstallError> {
    let header = |tar: &mut Tar, path: &[u8], target: &[u8], kind, size| {
        write_header(tar, path, target, kind, entry.mode, size)
            .map_err(|source| InstallError::Spool { source })
    };
    match &entry.kind {
        EntryKind::Directory => header(tar, &[path, b"/"].concat(), b"", EntryType::Directory, 0),
        EntryKind::Symlink { target } => header(tar, path, target, EntryType::Symlink, 0),
        EntryKind::File { len, identity } => {
            let full = root.join(to_path(path));
            let file = open_unchanged(&full, *identity)?;
            header(tar, path, b"", EntryType::Regular, *len)?;
            copy(tar, file, *len, &full)
        }
        EntryKind::Held(content) => {
            header(tar, path, b"", EntryType::Regular, content.len() as u64)?;
            let written = tar.write_all(content).and_then(|()| pad(tar, content.len() as u64));
            written.map_err(|source| InstallError::Spool { source })
        }
    }
}

/// Opens the file, unless it is not the one that was listed.
fn open_unchanged(path: &Path, listed: (u64, u64)) -> Result<File, InstallError> {
    let file = File::open(path).map_err(|e| at(path, e))?;
    let metadata = file.metadata().map_err(|e| at(path, e))?;
    if identity(&metadata) != listed || !metadata.is_file() {
        return Err(InstallError::Changed { path: path.to_owned() });
    }
    Ok(file)
}

/// Copies exactly `len` bytes, which must be the whole file.
fn copy(tar: &mut Tar, mut file: File, len: u64, path: &Path) -> Result<(), InstallError> {
    let mut buffer = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        let read = match file.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read.map_err(|e| at(path, e))?,
        };
        copied += read as u64;
        if copied > len || (read == 0 && copied < len) {
            return Err(InstallError::Changed { path: path.to_owned() });
        }
        if read == 0 {
            break;
        }
        let written = tar.write_all(&buffer[..read]);
        written.map_err(|source| InstallError::Spool { source })?;
    }
    pad(tar, len).map_err(|source| InstallError::Spool { source })
}

fn write_header(
    tar: &mut impl Write,
    path: &[u8],
    target: &[u8],
    kind: EntryType,
    mode: u32,
    size: u64,
) -> io::Result<()> {
    // The GNU way: names of any bytes and any length, read by GNU tar, bsdtar and busybox.
    for (kind, name) in [(EntryType::GNULongLink, target), (EntryType::GNULongName, path)] {
        if name.len() > NAME {
            let terminated = [name, b"\0"].concat();
            let size = terminated.len() as u64;
            tar.write_all(header(b"././@LongLink", b"", kind, 0o644, size).as_bytes())?;
            tar.write_all(&terminated)?;
            pad(tar, size)?;
        }
    }
    tar.write_all(header(path, target, kind, mode, size).as_bytes())
}

fn header(path: &[u8], target: &[u8], kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    let fields = header.as_old_mut();
    for (field, bytes) in [(&mut fields.name, path), (&mut fields.linkname, target)] {
        let len = bytes.len().min(NAME);
        field[..len].copy_from_slice(&bytes[..len]);
    }
    header.set_cksum();
    header
}

fn pad(tar: &mut impl Write, size: u64) -> io::Result<()> {
    let over = (size % BLOCK as u64) as usize;
    tar.write_all(&[0; BLOCK][over..][..if over == 0 { 0 } else { BLOCK - over }])
}

fn finish(mut tar: Tar) -> io::Result<ContextArchive> {
    tar.write_all(&[0; 2 * BLOCK])?;
    let (content_len, content_sha256) = (tar.len, tar.hasher);
    let compressed = tar.inner.finish()?;
    let storage = match compressed.inner.into_inner() {
        SpooledData::InMemory(bytes) => Storage::Memory(bytes.into_inner().into()),
        SpooledData::OnDisk(mut file) => {
            file.rewind()?;
            Storage::File(Arc::new(file))
        }
    };
    Ok(ContextArchive {
        storage,
        len: compressed.len,
        sha256: compressed.hasher.into(),
        content_len,
        content_sha256: content_sha256.into(),
    })
}

/// Counts and hashes what passes through.
struct Hashed<W> {
    inner: W,
    hasher: Sha256,
    len: u64,
}

impl<W> Hashed<W> {
    fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), len: 0 }
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(buffer)?;
        self.hasher.update(&buffer[..written]);
        self.len += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
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
        scan(directory, &IgnoreRules::default(), &BTreeSet::new()).unwrap()
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
        let changes: [Change; 5] = [
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
