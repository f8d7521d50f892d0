//! Metadata files in the pool. All calls block.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use cloudd_core::provider::{Error, ErrorKind, Result, Size};
use cloudd_core::retry::Backoff;

use super::metadata::{MAX_SIZE, Metadata, MetadataKind, Problem};
use crate::connection::Session;
use crate::error::ResultExt;
use crate::xml::volume::{Format, NewVolume};

const WRITE: &str = "write metadata";
/// A file that is being written is incomplete for some milliseconds.
const REREAD: Backoff =
    Backoff::new(Duration::from_millis(20), Duration::from_millis(20), 1.0, 0.0);
const REREADS: usize = 4;

/// The files of libvirt's test driver, which stores no data. Like all of its state they belong to
/// the process.
static IN_MEMORY: LazyLock<Mutex<BTreeMap<String, Metadata>>> = LazyLock::new(Mutex::default);

fn in_memory() -> MutexGuard<'static, BTreeMap<String, Metadata>> {
    IN_MEMORY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// Fails with [`ErrorKind::AlreadyExists`] if a file of this kind and name exists. Of several
    /// processes that call it at the same time one succeeds.
    pub(crate) fn create_metadata(&self, metadata: &Metadata) -> Result<()> {
        let file = metadata.file();
        let bytes = encode(metadata, 0)?;
        let size = Size::bytes(bytes.len() as u64);
        let volume = self.create_volume(&NewVolume::new(&file, Format::Raw, size))?;
        if !self.has_data() {
            in_memory().insert(file, metadata.clone());
            return Ok(());
        }
        self.upload(&volume, &file, &mut bytes.as_slice(), &mut |_| Ok(())).map(drop)
    }

    /// Overwrites an existing file, unless the metadata were read from a file that is not understood.
    pub(crate) fn write_metadata(&self, metadata: &Metadata) -> Result<()> {
        metadata.ensure_writable(WRITE)?;
        let file = metadata.file();
        let volume = self.volume(&file)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, WRITE)
                .with_resource(&file)
                .with_message("another process deleted the file")
        })?;
        if !self.has_data() {
            in_memory().insert(file, metadata.clone());
            return Ok(());
        }
        let length = volume.get_info().context(WRITE, &file)?.capacity;
        // Bytes after the limit are not read.
        let length = length.min(MAX_SIZE.as_bytes());
        let bytes = encode(metadata, usize::try_from(length).unwrap_or(0))?;
        self.upload(&volume, &file, &mut bytes.as_slice(), &mut |_| Ok(())).map(drop)
    }

    /// A file that is damaged or not understood yields metadata with a [`Problem`].
    pub(crate) fn metadata(&self, kind: MetadataKind, name: &str) -> Result<Option<Metadata>> {
        let file = kind.file(name);
        if !self.has_data() {
            return Ok(self.volume(&file)?.and_then(|_| in_memory().get(&file).cloned()));
        }
        let mut pauses = REREAD.pauses().take(REREADS);
        loop {
            let Some((volume, description)) = self.described_volume(&file)? else {
                return Ok(None);
            };
            let bytes = match self.download(&volume, &file, 0, MAX_SIZE) {
                // Deleted between the two calls.
                Err(_) if self.volume(&file)?.is_none() => return Ok(None),
                bytes => bytes?,
            };
            let metadata = Metadata::decode(kind, name, &bytes);
            if metadata.problem != Some(Problem::Torn) {
                return Ok(Some(metadata));
            }
            let Some(pause) = pauses.next() else {
                let modified = description.modified.as_deref().and_then(seconds);
                return Ok(Some(metadata.with_expiry(modified)));
            };
            thread::sleep(pause);
        }
    }

    /// All metadata of one kind in the pool, including those with a [`Problem`].
    pub(crate) fn all_metadata(&self, kind: MetadataKind) -> Result<Vec<Metadata>> {
        let mut all = Vec::new();
        for file in self.volume_names()? {
            if let Some(name) = kind.name_in(&file) {
                all.extend(self.metadata(kind, name)?);
            }
        }
        Ok(all)
    }

    pub(crate) fn delete_metadata(&self, kind: MetadataKind, name: &str) -> Result<()> {
        let file = kind.file(name);
        self.delete_volume(&file)?;
        in_memory().remove(&file);
        Ok(())
    }
}

fn encode(metadata: &Metadata, at_least: usize) -> Result<Vec<u8>> {
    metadata.encode(at_least).map_err(|error| {
        Error::new(ErrorKind::Internal, WRITE).with_resource(&metadata.name).with_source(error)
    })
}

/// The whole seconds of libvirt's `seconds.nanoseconds`.
fn seconds(time: &str) -> Option<u64> {
    time.split('.').next()?.parse().ok()
}
