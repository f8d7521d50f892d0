//! The source of a base image: a local file, which is hashed, or a download.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use cloudd_core::install::Sha256Digest;
use cloudd_core::provider::{Error, ErrorKind, Result, Size};
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;

use super::head::{CHECK, HEAD, Head};
use crate::connection::blocking;
use crate::error::invalid;
use crate::settings::public_url;

const DOWNLOAD: &str = "download base image";

/// A cache of the hashes of files, keyed by path, length and modification time.
#[derive(Debug, Clone, Default)]
pub(crate) struct FileHashes(Arc<Mutex<HashMap<FileKey, (String, Head)>>>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct FileKey {
    path: PathBuf,
    length: u64,
    modified: SystemTime,
}

impl FileHashes {
    /// The SHA-256 and the header of a file.
    pub(crate) async fn of(&self, path: &Path) -> Result<(String, Head)> {
        let (known, path) = (Arc::clone(&self.0), path.to_owned());
        blocking(move || {
            let unreadable = |error: io::Error| {
                invalid(CHECK, "the file cannot be read")
                    .with_resource(path.display())
                    .with_source(error)
            };
            let mut file = open(&path)?;
            let metadata = file.metadata().map_err(unreadable)?;
            let key = FileKey {
                path: path.clone(),
                length: metadata.len(),
                modified: metadata.modified().map_err(unreadable)?,
            };
            if let Some(hash) = known.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
                return Ok(hash.clone());
            }
            let mut first = Vec::with_capacity(HEAD);
            (&mut file).take(HEAD as u64).read_to_end(&mut first).map_err(unreadable)?;
            let head = Head::read(&first, Some(key.length))
                .map_err(|reason| invalid(CHECK, reason).with_resource(path.display()))?;
            let mut hasher = Sha256::new();
            hasher.update(&first);
            let rest = key.length.saturating_sub(first.len() as u64);
            io::copy(&mut file.take(rest), &mut hasher).map_err(unreadable)?;
            let hash = (Sha256Digest::from(hasher).to_string(), head);
            known.lock().unwrap_or_else(PoisonError::into_inner).insert(key, hash.clone());
            Ok(hash)
        })
        .await?
    }
}

/// Opens a regular file. Opening a named pipe would block.
pub(super) fn open(path: &Path) -> Result<File> {
    let unreadable = |error: io::Error| {
        invalid(CHECK, "the file cannot be read").with_resource(path.display()).with_source(error)
    };
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(invalid(CHECK, "not a file").with_resource(path.display()));
    }
    File::open(path).map_err(unreadable)
}

/// A reader that fails when there are more bytes than expected.
pub(super) struct Bounded<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Bounded<R> {
    pub(super) fn new(inner: R, limit: u64) -> Self {
        Self { inner, left: limit, limit }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if self.left == 0 {
            return match self.inner.read(&mut [0])? {
                0 => Ok(0),
                _ => Err(io::Error::other(invalid(
                    DOWNLOAD,
                    format_args!(
                        "the file is longer than {}, its expected length",
                        Size::bytes(self.limit)
                    ),
                ))),
            };
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.inner.read(&mut buffer[..most])?;
        self.left = self.left.saturating_sub(read as u64);
        Ok(read)
    }
}

fn client() -> Result<reqwest::Client> {
    reqwest::Client::builder()
        .user_agent(concat!("cloudd/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(30))
        // Between two chunks; the whole download has no deadline.
        .read_timeout(Duration::from_secs(60))
        .build()
        .map_err(|error| {
            Error::new(ErrorKind::Internal, DOWNLOAD)
                .with_message("the HTTP client could not be created")
                .with_source(error)
        })
}

/// Sends a GET request; a response other than success is an error with its status.
async fn request(url: &str, range: Option<String>) -> Result<reqwest::Response> {
    let mut request = client()?.get(url);
    if let Some(range) = range {
        request = request.header(reqwest::header::RANGE, range);
    }
    let response = request.send().await.map_err(|error| connection_error(url, error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let kind = if status.is_server_error() || status.as_u16() == 429 {
        ErrorKind::Unavailable
    } else {
        ErrorKind::InvalidInput
    };
    Err(Error::new(kind, DOWNLOAD)
        .with_resource(public_url(url))
        .with_message(format_args!("the server responded {status}")))
}

fn connection_error(url: &str, error: reqwest::Error) -> Error {
    // The URL is the resource already, and its query may contain a token.
    let error = error.without_url();
    Error::new(ErrorKind::Connection, DOWNLOAD)
        .with_resource(public_url(url))
        .with_message("the connection failed")
        .with_source(error)
}

/// The header of a remote disk image; only its first bytes are downloaded.
pub(super) async fn remote_head(url: &str) -> Result<Head> {
    let mut response = request(url, Some(format!("bytes=0-{}", HEAD - 1))).await?;
    let length = if response.status() == reqwest::StatusCode::PARTIAL_CONTENT {
        total_length(&response)
    } else {
        response.content_length()
    };
    let mut first = Vec::new();
    while first.len() < HEAD {
        match response.chunk().await.map_err(|error| connection_error(url, error))? {
            Some(chunk) => first.extend_from_slice(&chunk),
            None => break,
        }
    }
    first.truncate(HEAD);
    Head::read(&first, length)
        .map_err(|reason| invalid(CHECK, reason).with_resource(public_url(url)))
}

/// The number after the slash of `Content-Range: bytes 0-511/12345`.
fn total_length(response: &reqwest::Response) -> Option<u64> {
    let range = response.headers().get(reqwest::header::CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.parse().ok()
}

/// A running download, to be read by a blocking thread.
pub(super) struct Download {
    pub(super) length: Option<u64>,
    pub(super) reader: PipeReader,
    /// Ends the download, and with it the reading, when dropped.
    pub(super) task: AbortOnDrop,
}

pub(super) struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The number of chunks that are buffered.
const BUFFERED: usize = 16;

pub(super) async fn download(url: &str) -> Result<Download> {
    let mut response = request(url, None).await?;
    let length = response.content_length();
    let (sender, receiver) = mpsc::channel(BUFFERED);
    let url = url.to_owned();
    let task = tokio::spawn(async move {
        loop {
            let chunk = match response.chunk().await {
                Ok(Some(bytes)) => Chunk::Bytes(bytes.to_vec()),
                Ok(None) => Chunk::End,
                Err(error) => Chunk::Failed(connection_error(&url, error)),
            };
            let last = !matches!(chunk, Chunk::Bytes(_));
            // Fails if the reader was dropped.
            if sender.send(chunk).await.is_err() || last {
                return;
            }
        }
    });
    let reader = PipeReader { receiver, rest: io::Cursor::default() };
    Ok(Download { length, reader, task: AbortOnDrop(task) })
}

enum Chunk {
    Bytes(Vec<u8>),
    End,
    Failed(Error),
}

/// The reading end. A sender that is dropped early is an error, not the end of the data.
pub(super) struct PipeReader {
    receiver: mpsc::Receiver<Chunk>,
    rest: io::Cursor<Vec<u8>>,
}

impl Read for PipeReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.rest.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            match self.receiver.blocking_recv() {
                Some(Chunk::Bytes(bytes)) => self.rest = io::Cursor::new(bytes),
                Some(Chunk::End) => {
                    self.receiver.close();
                    return Ok(0);
                }
                Some(Chunk::Failed(error)) => return Err(io::Error::other(error)),
                None => return Err(io::Error::other("the download was cancelled")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_bytes_than_announced_are_an_error() {
        let read = |source: &[u8], limit| {
            let mut bytes = Vec::new();
            Bounded::new(source, limit).read_to_end(&mut bytes).map(|_| bytes)
        };
        assert_eq!(read(b"abc", 3).unwrap(), b"abc");
        assert_eq!(read(b"abc", 4).unwrap(), b"abc");
        assert!(read(b"abc", 2).unwrap_err().to_string().contains("longer than 2 bytes"));
        let mut endless = Bounded::new(io::repeat(7), 10_000);
        assert!(io::copy(&mut endless, &mut io::sink()).is_err());
    }

    #[test]
    fn a_named_pipe_is_refused_and_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert!(open(&pipe).unwrap_err().to_string().contains("not a file"));
    }
}
