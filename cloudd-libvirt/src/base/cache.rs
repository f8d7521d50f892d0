//! The cache of base images in the pool.
//!
//! Who wants to fill it writes a record first, which names a volume of its own. Others who want
//! the same image watch that volume grow and wait; when it has stopped growing its writer is
//! dead, and they take over: write their own volume's name into the record and delete the dead
//! one. Who finds, at the end, another name in the record than its own has been taken over and
//! throws its volume away.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use cloudd_core::install::Sha256Digest;
use cloudd_core::provider::{BuildId, Error, ErrorKind, Report, Reporter, Result, Size};
use sha2::{Digest as _, Sha256};
use tokio::time;

use super::head::{HEAD, Head};
use super::{BaseImage, OPERATION, source};
use crate::error::{During, invalid};
use crate::host::Host;
use crate::record::{Record, RecordKind, RecordState};
use crate::session::Session;
use crate::xml::volume::{Format, NewVolume};

const UPLOAD: &str = "upload base image";
const WATCH: Duration = Duration::from_secs(1);

/// The name of the record of a base image.
pub(super) fn record_name(sha256: &str) -> String {
    format!("cloudd-base-{sha256}")
}

/// Brings an image into the cache, or waits until somebody else has.
pub(super) async fn fill(
    host: &Arc<Host>,
    base: &BaseImage,
    sha256: &str,
    reporter: &Reporter,
) -> Result<()> {
    let patience = host.config.upload_patience;
    let mut watched: Option<(u64, Instant)> = None;
    loop {
        let take_over = watched.is_some_and(|(_, since)| since.elapsed() > patience);
        let (wanted, data) = (sha256.to_owned(), data_name(sha256));
        let state = host
            .call(move |session| session.record_or_adopt_base(&wanted, &data, take_over))
            .await?;
        match state {
            BaseState::Ready => return Ok(()),
            BaseState::Mine(record) => return write(host, base, record, sha256, reporter).await,
            BaseState::Others(size) => {
                if watched.is_none() {
                    reporter.note("another process is bringing the base image into the pool");
                }
                if watched.is_none_or(|(before, _)| before != size) {
                    watched = Some((size, Instant::now()));
                }
                time::sleep(WATCH).await;
            }
        }
    }
}

fn data_name(sha256: &str) -> String {
    format!("cloudd-base-{}-{}.img", &sha256[..16.min(sha256.len())], BuildId::random())
}

enum BaseState {
    Ready,
    /// This process writes, to the volume that the record names.
    Mine(Record),
    /// Another process writes and has come this far.
    Others(u64),
}

impl Session {
    fn record_or_adopt_base(&self, sha256: &str, data: &str, take_over: bool) -> Result<BaseState> {
        let name = record_name(sha256);
        let mine = Record::new(RecordKind::Base, &name, data.to_owned(), Size::bytes(0));
        match self.create_record(&mine) {
            Ok(()) => return Ok(BaseState::Mine(mine)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        // It may just have been deleted: then the next round creates it.
        let Some(existing) = self.record(RecordKind::Base, &name)? else {
            return Ok(BaseState::Others(0));
        };
        let size = match self.volume(&existing.data)? {
            Some(_) if existing.is_ready() => return Ok(BaseState::Ready),
            Some(volume) => volume.get_info().during(UPLOAD, &name)?.allocation,
            None => 0,
        };
        if !take_over && existing.state != RecordState::Ready {
            return Ok(BaseState::Others(size));
        }
        if existing.state == RecordState::Deleting && self.volume(&existing.data)?.is_some() {
            // Its deleter died before it deleted anything.
            self.write_record(&Record { state: RecordState::Ready, ..existing })?;
            return Ok(BaseState::Ready);
        }
        self.write_record(&mine)?;
        if !existing.data.is_empty() {
            self.delete_volume(&existing.data)?;
        }
        Ok(BaseState::Mine(mine))
    }

    /// Says that the volume is complete, unless somebody has taken over.
    fn commit_base(&self, record: &Record) -> Result<()> {
        match self.record(RecordKind::Base, &record.name)? {
            Some(current) if current.data == record.data => self.write_record(record),
            _ => {
                self.delete_volume(&record.data)?;
                Err(Error::new(ErrorKind::Busy, UPLOAD)
                    .with_resource(&record.name)
                    .with_message("another process took over, as this one seemed dead"))
            }
        }
    }

    fn give_up_base(&self, record: &Record) -> Result<()> {
        self.delete_volume(&record.data)?;
        match self.record(RecordKind::Base, &record.name)? {
            Some(current) if current.data == record.data => {
                self.delete_record(RecordKind::Base, &record.name)
            }
            _ => Ok(()),
        }
    }
}

/// Where the bytes come from.
enum Bytes {
    File(File),
    Download(source::PipeReader),
}

impl Read for Bytes {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Self::File(file) => file.read(buffer),
            Self::Download(reader) => reader.read(buffer),
        }
    }
}

async fn write(
    host: &Arc<Host>,
    base: &BaseImage,
    record: Record,
    sha256: &str,
    reporter: &Reporter,
) -> Result<()> {
    // The thread below outlives a caller who has gone; so that it ends soon, these go with him.
    let mut download = None;
    let caller = Arc::new(());
    let watched = Arc::downgrade(&caller);
    let opened = match base {
        BaseImage::Path(path) => open(path),
        BaseImage::Url { url, .. } => source::download(url).await.map(|begun| {
            download = Some(begun.task);
            (Bytes::Download(begun.reader), begun.length)
        }),
        BaseImage::Volume(name) => {
            Err(invalid(OPERATION, "a volume is not brought into the pool").with_resource(name))
        }
    };
    let (source, origin, reporter) = (base.to_string(), sha256.to_owned(), reporter.clone());
    let result = host.call_once(move |session| {
        let written = opened.and_then(|(mut bytes, length)| {
            let upload = Upload { source: &source, length, reporter: &reporter, caller: watched };
            session.write_base(record.clone(), &origin, &mut bytes, upload)
        });
        if let Err(error) = &written
            && let Err(left) = session.give_up_base(&record)
        {
            tracing::warn!(%error, %left, data = record.data, "half a base image is left in the pool");
        }
        written
    })
    .await;
    drop((caller, download));
    result
}

fn open(path: &Path) -> Result<(Bytes, Option<u64>)> {
    let unreadable = |error: std::io::Error| {
        let message = format!("cannot be read: {error}");
        invalid(OPERATION, message).with_resource(path.display()).with_source(error)
    };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    Ok((Bytes::File(file), Some(length)))
}

struct Upload<'a> {
    source: &'a str,
    length: Option<u64>,
    reporter: &'a Reporter,
    caller: Weak<()>,
}

impl Session {
    fn write_base(
        &self,
        mut record: Record,
        sha256: &str,
        bytes: &mut dyn Read,
        upload: Upload<'_>,
    ) -> Result<()> {
        let mut first = Vec::with_capacity(HEAD);
        let began = (&mut *bytes).take(HEAD as u64).read_to_end(&mut first);
        began.map_err(|error| {
            invalid(OPERATION, &error).with_resource(upload.source).with_source(error)
        })?;
        let head = Head::read(&first, upload.length).map_err(|why| {
            invalid(OPERATION, &why).with_resource(upload.source).with_source(why.clone())
        })?;
        let volume = self.create_volume(&NewVolume {
            name: &record.data,
            format: head.format,
            capacity: head.size,
            backing: None,
        })?;
        let mut hashing = Hashing { inner: first.as_slice().chain(bytes), hasher: Sha256::new() };
        let mut progress = |done| upload.tell(done);
        match head.format {
            Format::Raw => self.upload_sparse(&volume, &record.data, &mut hashing, &mut progress),
            // libvirt wrote a header of its own, which zeros must be able to overwrite.
            Format::Qcow2 => self.upload(&volume, &record.data, &mut hashing, &mut progress),
        }?;
        let found = Sha256Digest::from(hashing.hasher).to_string();
        if self.has_data() && found != sha256 {
            return Err(invalid(
                "verify base image",
                format_args!("wrong checksum: expected {sha256}, got {found}"),
            )
            .with_resource(upload.source));
        }
        record.state = RecordState::Ready;
        record.size = head.size;
        record.format = Some(head.format.as_str().to_owned());
        record.description = Some(upload.source.to_owned());
        self.commit_base(&record)
    }
}

impl Upload<'_> {
    fn tell(&self, done: u64) -> Result<()> {
        if self.caller.strong_count() == 0 {
            return Err(Error::new(ErrorKind::Failed, UPLOAD)
                .with_resource(self.source)
                .with_message("nobody waits for it any more"));
        }
        self.reporter.report(Report::Progress {
            what: UPLOAD.to_owned(),
            done: Size::bytes(done),
            total: self.length.map(Size::bytes),
        });
        Ok(())
    }
}

/// Hashes what passes through.
struct Hashing<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}
