use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    sync::Arc,
};

use super::Sha256Digest;

/// A packed build context: a gzipped tar archive.
///
/// # Reproducible
/// Equal contents give equal bytes, on every machine and at every time. Entries are sorted by the
/// bytes of their paths; every time is 0, every owner is 0 and has no name; the gzip header names
/// neither time, file nor system. Kept as they are: names (any bytes), file contents, all twelve
/// mode bits, targets of symbolic links (never followed, they may dangle), empty directories. Hard
/// links become files of their own. Not kept: extended attributes, holes, and the mode of the
/// context directory itself.
///
/// Mode bits are content: a checkout under another umask is another context.
///
/// The compressed bytes may change with the compression library, so an identity that is to last
/// is taken from [`content_sha256`](Self::content_sha256), which hashes the archive before
/// compression.
///
/// # Where it is kept
/// In memory up to [`MEMORY_LIMIT`](Self::MEMORY_LIMIT) bytes, else in a temporary file in the
/// system's directory for those (`TMPDIR`). That file has no name, so it goes when the last clone
/// goes or the process dies. Clones share the bytes.
#[derive(Clone)]
pub struct ContextArchive {
    pub(super) storage: Storage,
    pub(super) len: u64,
    pub(super) sha256: Sha256Digest,
    pub(super) content_len: u64,
    pub(super) content_sha256: Sha256Digest,
}

#[derive(Clone)]
pub(super) enum Storage {
    Memory(Arc<[u8]>),
    File(Arc<File>),
}

impl ContextArchive {
    /// The largest archive that is kept in memory: 4 MiB.
    pub const MEMORY_LIMIT: usize = 4 << 20;

    /// Length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an archive is never empty")]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The sum of the archive's bytes, as they travel.
    #[must_use]
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// Length in bytes before compression.
    #[must_use]
    pub fn content_len(&self) -> u64 {
        self.content_len
    }

    /// The sum of the archive before compression: what the context is, whatever compressed it.
    #[must_use]
    pub fn content_sha256(&self) -> Sha256Digest {
        self.content_sha256
    }

    /// The bytes, where they are in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.storage {
            Storage::Memory(bytes) => Some(bytes),
            Storage::File(_) => None,
        }
    }

    /// A reader of its own, at the first byte. Reading may block on the disk.
    #[must_use]
    pub fn open(&self) -> ArchiveReader {
        ArchiveReader { archive: self.clone(), position: 0 }
    }

    /// All bytes, in memory of their own.
    ///
    /// # Errors
    /// The temporary file could not be read.
    pub fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open().read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

impl fmt::Debug for ContextArchive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextArchive")
            .field("len", &self.len)
            .field("sha256", &self.sha256)
            .field("content_len", &self.content_len)
            .field("content_sha256", &self.content_sha256)
            .finish_non_exhaustive()
    }
}

/// Reads a [`ContextArchive`], with a position of its own.
#[derive(Debug)]
pub struct ArchiveReader {
    archive: ContextArchive,
    position: u64,
}

impl Read for ArchiveReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match &self.archive.storage {
            Storage::Memory(bytes) => {
                let start = usize::try_from(self.position).unwrap_or(usize::MAX);
                (&bytes[start.min(bytes.len())..]).read(buffer)?
            }
            // Readers share the file, so its own position is of no use.
            Storage::File(file) => file.read_at(buffer, self.position)?,
        };
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for ArchiveReader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.archive.len.checked_add_signed(by),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
