//! Volumes of the pool: found, made, filled, read, deleted. All calls block.

use std::thread;
use std::time::Duration;

use cloudd_core::provider::{Error, ErrorKind, Result, Size};
use virt::storage_vol::StorageVol;
use virt::stream::Stream;

use crate::error::{During, found};
use crate::session::Session;
use crate::xml::volume::{NewVolume, VolumeDescription};

/// libvirt refuses a volume that another client is just creating, reading or writing. Records and
/// logs are small, so that is soon over; what takes longer, such as an export, is the caller's.
const PATIENCE: (u32, Duration) = (150, Duration::from_millis(20));

/// Tries again as long as libvirt says that the volume is busy, for a few seconds.
pub(crate) fn patiently<T>(call: impl Fn() -> Result<T>) -> Result<T> {
    for _ in 0..PATIENCE.0 {
        match call() {
            Err(error) if error.kind() == ErrorKind::Busy => thread::sleep(PATIENCE.1),
            result => return result,
        }
    }
    call()
}

/// What fits one message of libvirt's protocol.
pub(crate) const CHUNK: usize = 256 * 1024;

impl Session {
    pub(crate) fn volume(&self, name: &str) -> Result<Option<StorageVol>> {
        found(StorageVol::lookup_by_name(&self.pool, name)).during("find volume", name)
    }

    pub(crate) fn described_volume(
        &self,
        name: &str,
    ) -> Result<Option<(StorageVol, VolumeDescription)>> {
        const READ: &str = "read volume";
        let Some(volume) = self.volume(name)? else { return Ok(None) };
        let Some(xml) = found(volume.get_xml_desc(0)).during(READ, name)? else { return Ok(None) };
        let description = VolumeDescription::read(&xml).ok_or_else(|| {
            Error::new(ErrorKind::Failed, READ)
                .with_resource(name)
                .with_message("its description has no path")
        })?;
        Ok(Some((volume, description)))
    }

    pub(crate) fn volume_names(&self) -> Result<Vec<String>> {
        const LIST: &str = "list volumes of pool";
        // The call for names alone gives at most 1,024 of them in this version of the bindings.
        let volumes = self.pool.list_all_volumes(0).during(LIST, &self.pool_name)?;
        volumes.iter().map(|volume| volume.get_name().during(LIST, &self.pool_name)).collect()
    }

    /// Fails with [`ErrorKind::AlreadyExists`] when the name is taken; of several processes that
    /// try, one succeeds.
    pub(crate) fn create_volume(&self, new: &NewVolume<'_>) -> Result<StorageVol> {
        StorageVol::create_xml(&self.pool, &new.xml(), 0).during("create volume", new.name)
    }

    /// Creates a volume in place of what a dead run of the same work may have left under this
    /// name.
    pub(crate) fn recreate_volume(&self, new: &NewVolume<'_>) -> Result<StorageVol> {
        const REPLACE: &str = "replace volume";
        if let Some(left) = self.volume(new.name)? {
            let path = left.get_path().during(REPLACE, new.name)?;
            self.ensure_unused(REPLACE, &path, None)?;
            self.delete_volume(new.name)?;
        }
        self.create_volume(new)
    }

    /// One that does not exist is success. libvirt deletes volumes that are in use without a
    /// word: the caller has made sure.
    pub(crate) fn delete_volume(&self, name: &str) -> Result<()> {
        patiently(|| {
            let Some(volume) = self.volume(name)? else { return Ok(()) };
            found(volume.delete(0)).during("delete volume", name).map(drop)
        })
    }

    /// The path of a volume that must exist.
    pub(crate) fn volume_path(&self, name: &str) -> Result<String> {
        let volume = StorageVol::lookup_by_name(&self.pool, name).during("find volume", name)?;
        volume.get_path().during("find volume", name)
    }

    /// Reads from `offset` to the end, or at most about `limit` bytes.
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
        let stream = Stream::new(&self.connection, 0).during(DOWNLOAD, name)?;
        patiently(|| volume.download(&stream, offset, 0, 0).during(DOWNLOAD, name))?;
        let mut bytes = Vec::new();
        let mut buffer = vec![0; CHUNK];
        while (bytes.len() as u64) < limit.as_bytes() {
            match stream.recv(&mut buffer).during(DOWNLOAD, name)? {
                0 => {
                    stream.finish().during(DOWNLOAD, name)?;
                    return Ok(bytes);
                }
                received => bytes.extend_from_slice(&buffer[..received]),
            }
        }
        if let Err(error) = stream.abort() {
            tracing::debug!(%error, name, "ending a download early failed");
        }
        Ok(bytes)
    }

    /// Makes libvirt see files that came into the pool without it. Busy as long as anybody makes or
    /// exports a volume there.
    pub(crate) fn refresh_pool(&self) -> Result<()> {
        const REFRESH: &str = "refresh storage pool";
        patiently(|| self.pool.refresh(0).during(REFRESH, &self.pool_name).map(drop))
    }
}
