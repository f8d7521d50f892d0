//! Uploads to volumes. All calls block.

use std::io::{self, Read};

use cloudd_core::provider::{Error, ErrorKind, Result};
use virt::storage_vol::StorageVol;
use virt::stream::Stream;

use super::volume::{CHUNK, for_seconds, retry_while_busy};
use crate::connection::Session;
use crate::error::ResultExt;

const UPLOAD: &str = "upload volume";
/// The unit in which zeros are skipped.
const BLOCK: usize = 1 << 20;

/// Called with the number of bytes so far. An error ends the upload.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

impl Session {
    /// Overwrites the beginning of a volume with the contents of the reader. Returns the number of
    /// bytes.
    pub(crate) fn upload(
        &self,
        volume: &StorageVol,
        name: &str,
        source: &mut dyn Read,
        progress: Progress<'_>,
    ) -> Result<u64> {
        self.upload_with(volume, name, source, progress, |_| true, u64::MAX)
    }

    /// As [`Self::upload`], for a new volume, which reads as zeros: only the wanted blocks are
    /// written, and not more bytes than `space`.
    pub(crate) fn upload_with(
        &self,
        volume: &StorageVol,
        name: &str,
        source: &mut dyn Read,
        progress: Progress<'_>,
        wanted: impl Fn(&[u8]) -> bool,
        space: u64,
    ) -> Result<u64> {
        if !self.has_data() {
            return Ok(0);
        }
        let mut writer = Writer { session: self, volume, name, stream: None };
        let mut buffer = vec![0; BLOCK];
        let (mut done, mut space) = (0u64, space);
        loop {
            let filled = match read_full(source, &mut buffer) {
                Ok(0) => return writer.finish().map(|()| done),
                Ok(filled) => filled,
                Err(error) => return Err(writer.abort(unreadable(name, error))),
            };
            let block = &buffer[..filled];
            let sent = if wanted(block) {
                match space.checked_sub(filled as u64) {
                    Some(left) => space = left,
                    None => return Err(writer.abort(no_space(name))),
                }
                writer.send(done, block)
            } else {
                writer.finish()
            };
            done = done.saturating_add(filled as u64);
            if let Err(error) = sent.and_then(|()| progress(done)) {
                return Err(writer.abort(error));
            }
        }
    }
}

/// Writes runs of bytes, each with one stream of libvirt.
struct Writer<'a> {
    session: &'a Session,
    volume: &'a StorageVol,
    name: &'a str,
    stream: Option<Stream>,
}

impl Writer<'_> {
    /// Continues the run, or begins one at `offset`.
    fn send(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = Stream::new(&self.session.connection, 0).context(UPLOAD, self.name)?;
                // Length 0 means "until the end of the stream".
                retry_while_busy(for_seconds(), || {
                    self.volume.upload(&stream, offset, 0, 0).context(UPLOAD, self.name)
                })?;
                stream
            }
        };
        let stream = self.stream.insert(stream);
        for mut rest in bytes.chunks(CHUNK) {
            while !rest.is_empty() {
                let taken = stream.send(rest).context(UPLOAD, self.name)?;
                rest = &rest[taken..];
            }
        }
        Ok(())
    }

    /// Ends the run, if there is one. A full disk may be reported only now.
    fn finish(&mut self) -> Result<()> {
        match self.stream.take() {
            Some(stream) => stream.finish().context(UPLOAD, self.name),
            None => Ok(()),
        }
    }

    fn abort(&mut self, error: Error) -> Error {
        if let Some(stream) = self.stream.take()
            && let Err(abort) = stream.abort()
        {
            tracing::debug!(%abort, name = self.name, "aborting an upload failed");
        }
        error
    }
}

fn no_space(name: &str) -> Error {
    Error::new(ErrorKind::StorageFull, UPLOAD)
        .with_resource(name)
        .with_message("the pool has not enough free space for it")
}

/// The reader may return a provider error, such as a broken download.
fn unreadable(name: &str, error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| {
        Error::new(ErrorKind::Failed, UPLOAD)
            .with_resource(name)
            .with_message("the source could not be read")
            .with_source(error)
    })
}

/// Fills the buffer, unless the source ends.
fn read_full(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
