use std::io::{self, Read, Seek, SeekFrom};
use std::net::SocketAddr;

use bytes::Bytes;
use russh::ChannelWriteHalf;
use russh::client::Msg;
use tokio::sync::mpsc;
use tokio::time;

use super::connection::{Connection, Target};
use super::error::SshError;
use super::remote_command::{Output, RemoteCommand, UPLOAD};
use super::retry_state::RetryState;
use crate::guest::Reachability;
use crate::install::ContextArchive;
use crate::provider::{Error, ErrorKind, Report, Reporter, Result, Size};
use crate::text::sanitize_untrusted;

const OPERATION: &str = "upload build context to";

/// Attempts in a row without progress, on a working connection, after which the upload fails.
const MAX_FAULTS: u32 = 3;

/// Bytes per read and per progress report.
const CHUNK: usize = 256 << 10;

/// Uploads a build context to the guest, over any number of connections.
pub(super) struct Upload<'a> {
    pub(super) target: &'a Target,
    pub(super) file: &'a str,
    pub(super) archive: &'a ContextArchive,
    pub(super) reporter: &'a Reporter,
    pub(super) reachability: Reachability,
}

/// The guest's verdict at the end of an attempt.
enum Outcome {
    Complete,
    /// What is wrong with what arrived.
    Fault(String),
}

/// An attempt without a verdict.
enum Interrupted {
    Ssh(SshError),
    /// The archive cannot be read.
    Archive(io::Error),
}

impl<T: Into<SshError>> From<T> for Interrupted {
    fn from(error: T) -> Self {
        Self::Ssh(error.into())
    }
}

impl Upload<'_> {
    /// Uploads until the guest has verified the context.
    pub(super) async fn run(self) -> Result<()> {
        let mut retries = RetryState::new(OPERATION, self.target.name(), self.reachability.clone());
        let mut failed = None;
        let mut furthest = 0;
        let mut faults = 0;
        loop {
            let mut start = 0;
            let ended = self.attempt(&mut failed, &mut start, &mut retries).await;
            if start > furthest {
                furthest = start;
                faults = 0;
            }
            let delay = match ended {
                Ok(Outcome::Complete) => return Ok(()),
                Ok(Outcome::Fault(fault)) => {
                    faults += 1;
                    if faults == MAX_FAULTS {
                        return Err(self
                            .error(ErrorKind::Failed)
                            .with_message(fault)
                            .with_attempts(faults));
                    }
                    retries.on_error(SshError::Ended { name: UPLOAD.name, stderr: fault })?
                }
                Err(Interrupted::Ssh(error)) => retries.on_error(error)?,
                Err(Interrupted::Archive(error)) => {
                    return Err(self
                        .error(ErrorKind::Internal)
                        .with_message("the packed context cannot be read")
                        .with_source(error));
                }
            };
            time::sleep(delay).await;
        }
    }

    /// Uploads as much as one connection allows. Sets `start` to the offset that the guest asks for.
    async fn attempt(
        &self,
        failed: &mut Option<SocketAddr>,
        start: &mut u64,
        retries: &mut RetryState,
    ) -> std::result::Result<Outcome, Interrupted> {
        let connection = Connection::open(self.target, failed).await?;
        let (bytes, sha256) = (self.archive.len().to_string(), self.archive.sha256().to_string());
        let arguments = [self.file, &bytes, &sha256];
        let RemoteCommand { stdin, mut output } =
            RemoteCommand::start(connection, &UPLOAD, &arguments).await?;

        let (answer, _) = output.read_until("cloudd-upload").await?;
        retries.on_success();
        let Some(offset) = answer.strip_prefix("from ").and_then(|offset| offset.parse().ok())
        else {
            return Ok(self.outcome(&answer, output).await);
        };
        *start = offset;
        let (answer, _) = {
            let answer = output.read_until("cloudd-upload");
            tokio::pin!(answer);
            // A guest that cannot continue answers at once and reads no further.
            tokio::select! {
                biased;
                answer = &mut answer => answer?,
                sent = self.send(offset, &stdin) => { sent?; answer.await? }
            }
        };
        Ok(self.outcome(&answer, output).await)
    }

    /// Sends the archive from an offset on.
    async fn send(
        &self,
        start: u64,
        stdin: &ChannelWriteHalf<Msg>,
    ) -> std::result::Result<(), Interrupted> {
        let mut chunks = read_from(self.archive, start);
        let mut done = start;
        while let Some(chunk) = chunks.recv().await {
            let chunk = chunk.map_err(Interrupted::Archive)?;
            done += chunk.len() as u64;
            stdin.data_bytes(chunk).await?;
            self.reporter.report(Report::Progress {
                what: "upload build context".to_owned(),
                done: Size::bytes(done),
                total: Some(Size::bytes(self.archive.len())),
            });
        }
        Ok(stdin.eof().await?)
    }

    /// Interprets the last line of `ssh_upload.sh`.
    async fn outcome(&self, answer: &str, output: Output) -> Outcome {
        const MAX_ANSWER: usize = 200;
        let answer = sanitize_untrusted(answer, MAX_ANSWER);
        let (verdict, detail) = answer.split_once(' ').unwrap_or((&answer, ""));
        let archive = self.archive;
        Outcome::Fault(match verdict {
            "complete" => return Outcome::Complete,
            "length" => format!("{detail} of {} bytes arrived", archive.len()),
            "damaged" => format!("what arrived has SHA-256 {detail}, not {}", archive.sha256()),
            "failed" => {
                let stderr = output.drain().await;
                format!("the guest cannot store it (exit code {detail}): {stderr}")
            }
            _ => format!("unexpected answer of the guest: {answer}"),
        })
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, OPERATION).with_resource(self.target.name())
    }
}

/// Reads an archive on a blocking thread, which ends when the receiver is dropped.
fn read_from(archive: &ContextArchive, start: u64) -> mpsc::Receiver<io::Result<Bytes>> {
    let (chunks, receiver) = mpsc::channel(2);
    let mut reader = archive.open();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = reader.seek(SeekFrom::Start(start)) {
            let _ = chunks.blocking_send(Err(error));
            return;
        }
        loop {
            let mut chunk = vec![0; CHUNK];
            let chunk = match reader.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => {
                    chunk.truncate(length);
                    Ok(chunk.into())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let failed = chunk.is_err();
            if chunks.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    });
    receiver
}
