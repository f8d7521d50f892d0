//! Bytes into volumes. All calls block.

use std::io::{self, Read};

use cloudd_core::provider::{Error, ErrorKind, Result};
use virt::storage_vol::StorageVol;
use virt::stream::Stream;

use crate::error::During;
use crate::session::Session;
use crate::volume::{CHUNK, patiently};

const UPLOAD: &str = "upload volume";
/// Zeros are left out in units of this.
const BLOCK: usize = 1 << 20;

/// Hears the bytes so far, and can end an upload by failing.
pub(crate) type Progress<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

impl Session {
    /// Writes all that the reader gives over the beginning of a volume. Gives the number of bytes.
    pub(crate) fn upload(
        &self,
        volume: &StorageVol,
        name: &str,
        source: &mut dyn Read,
        progress: Progress<'_>,
    ) -> Result<u64> {
        self.upload_with(volume, name, source, progress, |_| true)
    }

    /// The same for a raw volume that was just made and so reads as zeros: leaves blocks of zeros
    /// out. They take neither time nor space.
    pub(crate) fn upload_sparse(
        &self,
        volume: &StorageVol,
        name: &str,
        source: &mut dyn Read,
        progress: Progress<'_>,
    ) -> Result<u64> {
        self.upload_with(volume, name, source, progress, |block| block.iter().any(|b| *b != 0))
    }

    fn upload_with(
        &self,
        volume: &StorageVol,
        name: &str,
        source: &mut dyn Read,
        progress: Progress<'_>,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<u64> {
        if !self.has_data() {
            return Ok(0);
        }
        let mut writer = Writer { session: self, volume, name, stream: None };
        let mut buffer = vec![0; BLOCK];
        let mut done = 0;
        loop {
            let filled = match read_full(source, &mut buffer) {
                Ok(0) => return writer.finish().map(|()| done),
                Ok(filled) => filled,
                Err(error) => return Err(writer.abort(unreadable(name, error))),
            };
            let block = &buffer[..filled];
            let sent = if wanted(block) { writer.send(done, block) } else { writer.finish() };
            done += filled as u64;
            if let Err(error) = sent.and_then(|()| progress(done)) {
                return Err(writer.abort(error));
            }
        }
    }
}

/// Writes runs of bytes; a run is a stream of libvirt's.
struct Writer<'a> {
    session: &'a Session,
    volume: &'a StorageVol,
    name: &'a str,
    stream: Option<Stream>,
}

impl Writer<'_> {
    /// Goes on with the run, or begins one at `offset`.
    fn send(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let stream = match self.stream.take() {
            Some(stream) => stream,
            None => {
                let stream = Stream::new(&self.session.connection, 0).during(UPLOAD, self.name)?;
                // Length 0 is "as much as comes": a length could only say it worse and later.
                patiently(|| self.volume.upload(&stream, offset, 0, 0).during(UPLOAD, self.name))?;
                stream
            }
        };
        let stream = self.stream.insert(stream);
        for mut rest in bytes.chunks(CHUNK) {
            while !rest.is_empty() {
                let taken = stream.send(rest).during(UPLOAD, self.name)?;
                rest = &rest[taken..];
            }
        }
        Ok(())
    }

    /// Ends the run, if there is one. The far side may say only now that its disk was full.
    fn finish(&mut self) -> Result<()> {
        match self.stream.take() {
            Some(stream) => stream.finish().during(UPLOAD, self.name),
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

/// The reader may have an error of ours inside: a server that went away, a cancelled build.
fn unreadable(name: &str, error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| {
        Error::new(ErrorKind::Failed, UPLOAD)
            .with_resource(name)
            .with_message(format_args!("reading what is to be uploaded: {error}"))
            .with_source(error)
    })
}

/// Fills the buffer unless the source ends before.
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
