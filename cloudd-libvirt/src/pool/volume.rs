//! Volumes of the pool. All calls block.

use std::thread;
use std::time::Duration;

use cloudd_core::provider::{Error, ErrorKind, Result, Size};
use cloudd_core::retry::Backoff;
use virt::storage_vol::StorageVol;
use virt::stream::Stream;

use crate::connection::Session;
use crate::error::{ResultExt, optional};
use crate::xml::volume::{NewVolume, VolumeDescription};

/// Calls `call` again after each pause as long as it fails with [`ErrorKind::Busy`]. libvirt refuses
/// a volume that another client is creating, reading or writing.
pub(crate) fn retry_while_busy<T>(
    pauses: impl Iterator<Item = Duration>,
    call: impl Fn() -> Result<T>,
) -> Result<T> {
    for pause in pauses {
        match call() {
            Err(error) if error.kind() == ErrorKind::Busy => thread::sleep(pause),
            result => return result,
        }
    }
    call()
}

/// 3 seconds of pauses: enough for the small metadata and log files.
pub(super) fn for_seconds() -> impl Iterator<Item = Duration> {
    constant(Duration::from_millis(20)).take(150)
}

/// 10 minutes of pauses, for the export of an image.
pub(crate) fn for_minutes() -> impl Iterator<Item = Duration> {
    constant(Duration::from_secs(1)).take(600)
}

fn constant(pause: Duration) -> impl Iterator<Item = Duration> {
    Backoff::new(pause, pause, 1.0, 0.0).pauses()
}

/// The largest piece of data in one message of libvirt's protocol.
pub(super) const CHUNK: usize = 256 * 1024;

impl Session {
    pub(crate) fn volume(&self, name: &str) -> Result<Option<StorageVol>> {
        optional(StorageVol::lookup_by_name(&self.pool, name)).context("find volume", name)
    }

    pub(crate) fn described_volume(
        &self,
        name: &str,
    ) -> Result<Option<(StorageVol, VolumeDescription)>> {
        const READ: &str = "read volume";
        let Some(volume) = self.volume(name)? else { return Ok(None) };
        let Some(xml) = optional(volume.get_xml_desc(0)).context(READ, name)? else {
            return Ok(None);
        };
        let description = VolumeDescription::read(&xml).ok_or_else(|| {
            Error::new(ErrorKind::Failed, READ)
                .with_resource(name)
                .with_message("the description of the volume has no path")
        })?;
        Ok(Some((volume, description)))
    }

    pub(crate) fn volume_names(&self) -> Result<Vec<String>> {
        const LIST: &str = "list volumes of pool";
        // In this version of the bindings the call for names returns at most 1,024.
        let volumes = self.pool.list_all_volumes(0).context(LIST, &self.pool_name)?;
        volumes.iter().map(|volume| volume.get_name().context(LIST, &self.pool_name)).collect()
    }

    /// Fails with [`ErrorKind::AlreadyExists`] if the name is taken. Of several processes that call it
    /// at the same time one succeeds.
    pub(crate) fn create_volume(&self, new: &NewVolume<'_>) -> Result<StorageVol> {
        StorageVol::create_xml(&self.pool, &new.xml(), 0).context("create volume", new.name)
    }

    /// Creates a volume. One of the same name that an interrupted run has left is deleted first.
    pub(crate) fn recreate_volume(&self, new: &NewVolume<'_>) -> Result<StorageVol> {
        const REPLACE: &str = "replace volume";
        if let Some(old) = self.volume(new.name)? {
            let path = old.get_path().context(REPLACE, new.name)?;
            self.ensure_unused(REPLACE, &[path], None)?;
            self.delete_volume(new.name)?;
        }
        self.create_volume(new)
    }

    /// Succeeds if the volume does not exist. libvirt deletes volumes that are in use, too; the caller
    /// must have checked.
    pub(crate) fn delete_volume(&self, name: &str) -> Result<()> {
        retry_while_busy(for_seconds(), || {
            let Some(volume) = self.volume(name)? else { return Ok(()) };
            optional(volume.delete(0)).context("delete volume", name).map(drop)
        })
    }

    /// The path of a volume; fails if it does not exist.
    pub(crate) fn volume_path(&self, name: &str) -> Result<String> {
        let volume = StorageVol::lookup_by_name(&self.pool, name).context("find volume", name)?;
        volume.get_path().context("find volume", name)
    }

    /// Reads from `offset` to the end, and at most about `limit` bytes.
    pub(crate) fn download(
        &self,
        volume: &StorageVol,
        name: &str,
        offset: u64,
        limit: Size,
    ) -> Result<Vec<u8>> {
        const DOWNLOAD: &str = "read volume";
        if !self.has_data() {
            return Ok(Vec::new());
        }
        let stream = Stream::new(&self.connection, 0).context(DOWNLOAD, name)?;
        retry_while_busy(for_seconds(), || {
            volume.download(&stream, offset, 0, 0).context(DOWNLOAD, name)
        })?;
        let mut bytes = Vec::new();
        let mut buffer = vec![0; CHUNK];
        while (bytes.len() as u64) < limit.as_bytes() {
            match stream.recv(&mut buffer).context(DOWNLOAD, name)? {
                0 => {
                    stream.finish().context(DOWNLOAD, name)?;
                    return Ok(bytes);
                }
                received => bytes.extend_from_slice(&buffer[..received]),
            }
        }
        if let Err(error) = stream.abort() {
            tracing::debug!(%error, name, "aborting a download failed");
        }
        Ok(bytes)
    }

    /// Makes libvirt list files that were added to the pool by other programs. Busy while a volume is
    /// created or exported in the pool.
    pub(crate) fn refresh_pool(&self) -> Result<()> {
        const REFRESH: &str = "refresh storage pool";
        retry_while_busy(for_seconds(), || {
            self.pool.refresh(0).context(REFRESH, &self.pool_name).map(drop)
        })
    }
}
