//! The cache of base images in the pool.
//!
//! A process that fills the cache first writes a metadata file, which names a data volume of its own.
//! Other processes that need the same image wait and watch the size of that volume. When it does not
//! grow for [`upload_patience`](crate::LibvirtBuilder::upload_patience), one of them takes over: it
//! writes the name of its own volume into the metadata and deletes the old volume. A process that
//! finds another name in the metadata at the end of its upload deletes its own volume.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use cloudd_core::install::Sha256Digest;
use cloudd_core::provider::{BuildId, Error, ErrorKind, Report, Reporter, Result, Size};
use sha2::{Digest as _, Sha256};
use tokio::time;

use super::head::{CHECK, HEAD, Head};
use super::source::{self, Bounded};
use crate::connection::{Host, Session};
use crate::error::{ResultExt, invalid};
use crate::labels::{Adopted, Metadata, MetadataKind, MetadataState};
use crate::settings::BaseImage;
use crate::xml::volume::{Format, NewVolume};

const UPLOAD: &str = "upload base image";
/// The interval at which the upload of another process is polled.
const POLL: Duration = Duration::from_secs(1);

/// The name of the metadata of a base image.
pub(super) fn metadata_name(sha256: &str) -> String {
    format!("cloudd-base-{sha256}")
}

fn data_name(sha256: &str) -> String {
    format!("cloudd-base-{}-{}.img", &sha256[..16.min(sha256.len())], BuildId::random())
}

/// Uploads an image to the cache, or waits for the process that does.
pub(super) async fn fill(
    host: &Arc<Host>,
    base: &BaseImage,
    sha256: &str,
    reporter: &Reporter,
) -> Result<()> {
    let patience = host.config.upload_patience;
    let mut last_growth: Option<(u64, Instant)> = None;
    loop {
        let take_over = last_growth.is_some_and(|(_, since)| since.elapsed() > patience);
        let (name, data) = (metadata_name(sha256), data_name(sha256));
        let wanted = Metadata::new(MetadataKind::Base, &name, data, Size::bytes(0));
        match host.call(move |session| session.adopt_base(&wanted, take_over)).await? {
            CacheState::Ready => return Ok(()),
            CacheState::Own(own) => return write(host, base, own, sha256, reporter).await,
            CacheState::Foreign(size) => {
                if last_growth.is_none() {
                    reporter.note("another process is uploading the base image to the pool");
                }
                if last_growth.is_none_or(|(before, _)| before != size) {
                    last_growth = Some((size, Instant::now()));
                }
                time::sleep(POLL).await;
            }
        }
    }
}

enum CacheState {
    Ready,
    /// This process uploads, to the volume that the metadata name.
    Own(Metadata),
    /// Another process uploads and has written this number of bytes.
    Foreign(u64),
}

impl Session {
    fn adopt_base(&self, wanted: &Metadata, take_over: bool) -> Result<CacheState> {
        let existing = match self.create_or_adopt(wanted) {
            Ok(Adopted::New) => return Ok(CacheState::Own(wanted.clone())),
            Ok(Adopted::Ready(existing) | Adopted::Resume(existing)) => existing,
            // Deleted between two calls; the next poll creates it.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Ok(CacheState::Foreign(0));
            }
            Err(error) => return Err(error),
        };
        let data = self.volume(&existing.data)?;
        match &data {
            Some(_) if existing.is_ready() => return Ok(CacheState::Ready),
            _ if take_over || existing.is_ready() => {}
            Some(volume) => {
                let info = volume.get_info().context(UPLOAD, &wanted.name)?;
                return Ok(CacheState::Foreign(info.allocation));
            }
            None => return Ok(CacheState::Foreign(0)),
        }
        if existing.state == MetadataState::Deleting && data.is_some() {
            // The process that was deleting it died before it deleted anything.
            self.write_metadata(&Metadata { state: MetadataState::Ready, ..existing })?;
            return Ok(CacheState::Ready);
        }
        if let Some(data) = data {
            let path = data.get_path().context(UPLOAD, &existing.data)?;
            self.ensure_unused(UPLOAD, &[path], None)?;
        }
        self.write_metadata(wanted)?;
        if !existing.data.is_empty() {
            self.delete_volume(&existing.data)?;
        }
        Ok(CacheState::Own(wanted.clone()))
    }

    /// Marks an upload as complete unless another process has taken over.
    fn commit_base(&self, own: &Metadata) -> Result<()> {
        match self.metadata(MetadataKind::Base, &own.name)? {
            Some(current) if current.data == own.data => self.write_metadata(own),
            _ => {
                self.delete_volume(&own.data)?;
                Err(Error::new(ErrorKind::Busy, UPLOAD)
                    .with_resource(&own.name)
                    .with_message("another process took over because the upload had stalled"))
            }
        }
    }

    /// Deletes an incomplete upload.
    fn discard_base(&self, own: &Metadata) -> Result<()> {
        self.delete_volume(&own.data)?;
        match self.metadata(MetadataKind::Base, &own.name)? {
            Some(current) if current.data == own.data => {
                self.delete_metadata(MetadataKind::Base, &own.name)
            }
            _ => Ok(()),
        }
    }
}

async fn write(
    host: &Arc<Host>,
    base: &BaseImage,
    own: Metadata,
    sha256: &str,
    reporter: &Reporter,
) -> Result<()> {
    // The upload thread is not stopped when this future is dropped. It ends soon because the
    // download is aborted and `caller` is dropped.
    let mut download = None;
    let caller = Arc::new(());
    let opened: Result<(Box<dyn Read + Send>, _)> = match base {
        BaseImage::Path(path) => open_file(path),
        BaseImage::Url { url, .. } => source::download(url).await.map(|begun| {
            download = Some(begun.task);
            (Box::new(begun.reader) as Box<dyn Read + Send>, begun.length)
        }),
        BaseImage::Volume(name) => {
            Err(invalid(CHECK, "a volume is not uploaded to the pool").with_resource(name))
        }
    };
    let (source, sha256) = (base.to_string(), sha256.to_owned());
    let (reporter, watched) = (reporter.clone(), Arc::downgrade(&caller));
    let result = host
        .call_once(move |session| {
            let written = opened.and_then(|(mut bytes, length)| {
                let upload =
                    Upload { source: &source, length, reporter: &reporter, caller: watched };
                session.write_base(own.clone(), &sha256, &mut bytes, &upload)
            });
            if let Err(error) = &written
                && let Err(left) = session.discard_base(&own)
            {
                tracing::warn!(%error, %left, data = own.data, "incomplete base image left in pool");
            }
            written
        })
        .await;
    drop((caller, download));
    result
}

fn open_file(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    let file = source::open(path)?;
    let length = file.metadata().map_err(|error| {
        invalid(CHECK, "the file cannot be read").with_resource(path.display()).with_source(error)
    })?;
    let length = length.len();
    Ok((Box::new(file), Some(length)))
}

/// A running upload, for messages and progress.
struct Upload<'a> {
    source: &'a str,
    length: Option<u64>,
    reporter: &'a Reporter,
    /// Is gone when the future of the caller was dropped.
    caller: Weak<()>,
}

impl Upload<'_> {
    fn progress(&self, done: u64) -> Result<()> {
        if self.caller.strong_count() == 0 {
            return Err(Error::new(ErrorKind::Failed, UPLOAD)
                .with_resource(self.source)
                .with_message("the build was cancelled"));
        }
        self.reporter.report(Report::Progress {
            what: UPLOAD.to_owned(),
            done: Size::bytes(done),
            total: self.length.map(Size::bytes),
        });
        Ok(())
    }
}

impl Session {
    fn write_base(
        &self,
        mut own: Metadata,
        sha256: &str,
        bytes: &mut dyn Read,
        upload: &Upload<'_>,
    ) -> Result<()> {
        let mut first = Vec::with_capacity(HEAD);
        (&mut *bytes).take(HEAD as u64).read_to_end(&mut first).map_err(|error| {
            invalid(CHECK, "the file cannot be read")
                .with_resource(upload.source)
                .with_source(error)
        })?;
        let head = Head::read(&first, upload.length)
            .map_err(|reason| invalid(CHECK, reason).with_resource(upload.source))?;
        let limit = upload.length.unwrap_or_else(|| largest_file(head.size));
        let space = self.space_for(limit)?;
        let volume = self.create_volume(&NewVolume::new(&own.data, head.format, head.size))?;
        let bounded = Bounded::new(first.as_slice().chain(bytes), limit);
        let mut hashing = Hashing { inner: bounded, hasher: Sha256::new() };
        // libvirt wrote a qcow2 header, which blocks of zeros must overwrite.
        let sparse = head.format == Format::Raw;
        let wanted = |block: &[u8]| !sparse || block.iter().any(|byte| *byte != 0);
        let mut progress = |done| upload.progress(done);
        self.upload_with(&volume, &own.data, &mut hashing, &mut progress, wanted, space)?;
        let found = Sha256Digest::from(hashing.hasher).to_string();
        if self.has_data() && found != sha256 {
            let message = format!("wrong checksum: expected {sha256}, got {found}");
            return Err(invalid("verify base image", message).with_resource(upload.source));
        }
        own.state = MetadataState::Ready;
        own.size = head.size;
        own.format = Some(head.format.as_str().to_owned());
        own.description = Some(upload.source.to_owned());
        self.commit_base(&own)
    }
}

impl Session {
    /// The number of bytes that may be written to the pool: all of `limit` if there is space, else most
    /// of the free space, so that an image that is too large does not fill the pool.
    fn space_for(&self, limit: u64) -> Result<u64> {
        let most_of_it = || -> Result<u64> {
            let available = self.pool.get_info().context(UPLOAD, &self.pool_name)?.available;
            Ok(available.saturating_sub(available / 16))
        };
        if !self.has_data() || limit <= most_of_it()? {
            return Ok(limit);
        }
        // The number is as old as the last refresh.
        if let Err(error) = self.refresh_pool() {
            tracing::debug!(%error, "the free space of the pool may be outdated");
        }
        Ok(limit.min(most_of_it()?))
    }
}

/// The length of the largest qcow2 file of a disk of this size, if the server does not announce it:
/// the disk, its tables, and what a writer leaves unused.
fn largest_file(disk: Size) -> u64 {
    let disk = disk.as_bytes();
    disk.saturating_add(disk / 8).saturating_add(Size::mib(64).as_bytes())
}

/// Hashes the bytes that are read.
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
