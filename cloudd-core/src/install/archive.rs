use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    sync::Arc,
};

use crate::digest::Sha256Digest;

/// A packed build context: a gzipped tar archive.
///
/// # Reproducibility
/// Equal content gives equal bytes on every machine. Entries are sorted by the bytes of their paths;
/// all time stamps and owner ids are 0 and owners have no names; the gzip header has neither a time
/// stamp, a file name nor an operating system. Preserved are names (any bytes), file contents, all
/// twelve mode bits, targets of symbolic links (which are not followed and may not exist) and empty
/// directories. Hard links become separate files. Extended attributes, holes, and the mode of the
/// context directory itself are not preserved.
///
/// Mode bits are content: a checkout with another umask is another context.
///
/// The compressed bytes may change with the compression library. A permanent identity is
/// [`content_sha256`](Self::content_sha256), the digest of the archive before compression.
///
/// # Storage
/// The archive is stored in memory up to [`MEMORY_LIMIT`](Self::MEMORY_LIMIT) bytes, otherwise in a
/// temporary file in the system's directory (`TMPDIR`). That file has no name, so the system deletes
/// it when the last clone is dropped or the process ends. Clones share the bytes.
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
    /// The size of the largest archive that is stored in memory: 4 MiB.
    pub const MEMORY_LIMIT: usize = 4 << 20;

    /// The length in bytes.
    #[expect(clippy::len_without_is_empty, reason = "an archive is never empty")]
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// The digest of the archive's bytes, as delivered to the builder VM.
    #[must_use]
    pub fn sha256(&self) -> Sha256Digest {
        self.sha256
    }

    /// The length in bytes before compression.
    #[must_use]
    pub fn content_len(&self) -> u64 {
        self.content_len
    }

    /// The digest of the archive before compression, which identifies the content of the context.
    #[must_use]
    pub fn content_sha256(&self) -> Sha256Digest {
        self.content_sha256
    }

    /// The bytes, if they are stored in memory.
    #[must_use]
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match &self.storage {
            Storage::Memory(bytes) => Some(bytes),
            Storage::File(_) => None,
        }
    }

    /// Opens a reader at the first byte, independent of other readers. Reading may block on the disk.
    #[must_use]
    pub fn open(&self) -> ArchiveReader {
        ArchiveReader { archive: self.clone(), position: 0 }
    }

    /// Reads all bytes into memory.
    ///
    /// # Errors
    /// Reading the temporary file fails.
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

/// A reader of a [`ContextArchive`] with its own position.
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
            // Readers share the file, so they do not use the file's position.
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
