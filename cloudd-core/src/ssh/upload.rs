use std::io::{self, Read, Seek, SeekFrom};
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time;

use super::command::UPLOAD;
use super::connection::Connection;
use super::error::SshError;
use super::remote_command::{Input, Output};
use super::retry_state::RetryState;
use super::target::Target;
use crate::guest::Reachability;
use crate::install::ContextArchive;
use crate::provider::{Error, ErrorKind, Report, Reporter, Result, Size};

const OPERATION: &str = "upload build context to";

/// How many tries in a row may bring nothing although the connection held.
const FAULTS: u32 = 3;

/// How much is read and reported at once, in bytes.
const PIECE: usize = 256 << 10;

/// Brings a build context into the guest, through as many connections as it takes.
pub(super) struct Upload<'a> {
    pub(super) target: &'a Target,
    pub(super) file: &'a str,
    pub(super) archive: &'a ContextArchive,
    pub(super) reporter: &'a Reporter,
    pub(super) reachability: Reachability,
}

/// How a try ended whose connection held.
enum Outcome {
    Complete,
    /// What is wrong with what arrived.
    Fault(String),
}

/// Why a try ended early.
enum Stop {
    SshError(SshError),
    /// The archive cannot be read.
    Unreadable(io::Error),
}

impl<T: Into<SshError>> From<T> for Stop {
    fn from(error: T) -> Self {
        Self::SshError(error.into())
    }
}

impl Upload<'_> {
    pub(super) async fn run(self) -> Result<()> {
        let mut retries = RetryState::new(OPERATION, self.target.name(), self.reachability.clone());
        let mut failed = None;
        let mut furthest = 0;
        let mut faults = 0;
        loop {
            let mut from = 0;
            let ended = self.attempt(&mut failed, &mut from, &mut retries).await;
            if from > furthest {
                furthest = from;
                faults = 0;
            }
            let pause = match ended {
                Ok(Outcome::Complete) => return Ok(()),
                Ok(Outcome::Fault(fault)) => {
                    faults += 1;
                    if faults == FAULTS {
                        return Err(self
                            .error(ErrorKind::Failed)
                            .with_message(fault)
                            .with_attempts(faults));
                    }
                    retries.on_error(SshError::Ended { name: UPLOAD.name, said: fault })?
                }
                Err(Stop::SshError(error)) => retries.on_error(error)?,
                Err(Stop::Unreadable(error)) => {
                    return Err(self
                        .error(ErrorKind::Internal)
                        .with_message("the packed context cannot be read")
                        .with_source(error));
                }
            };
            time::sleep(pause).await;
        }
    }

    /// As much as one connection brings. `from` is where the guest wanted the bytes from.
    async fn attempt(
        &self,
        failed: &mut Option<SocketAddr>,
        from: &mut u64,
        retries: &mut RetryState,
    ) -> std::result::Result<Outcome, Stop> {
        let connection = Connection::open(self.target, failed).await?;
        let (bytes, sha256) = (self.archive.len().to_string(), self.archive.sha256().to_string());
        let program = connection.start(&UPLOAD, &[self.file, &bytes, &sha256]).await?;
        let mut output = program.output;

        let (words, _) = output.read_until("cloudd-upload").await?;
        retries.on_success();
        let Some(start) = words.strip_prefix("from ").and_then(|start| start.parse().ok()) else {
            return Ok(self.judge(&words, output).await);
        };
        *from = start;
        let (words, _) = {
            let answer = output.read_until("cloudd-upload");
            tokio::pin!(answer);
            // A guest that cannot go on says so at once, and reads no further.
            tokio::select! {
                biased;
                words = &mut answer => words?,
                sent = self.send(start, &program.input) => { sent?; answer.await? }
            }
        };
        Ok(self.judge(&words, output).await)
    }

    async fn send(&self, start: u64, input: &Input) -> std::result::Result<(), Stop> {
        let mut pieces = read_from(self.archive, start);
        let mut done = start;
        while let Some(piece) = pieces.recv().await {
            let piece = piece.map_err(Stop::Unreadable)?;
            done += piece.len() as u64;
            input.write(piece).await?;
            self.reporter.report(Report::Progress {
                what: "upload build context".to_owned(),
                done: Size::bytes(done),
                total: Some(Size::bytes(self.archive.len())),
            });
        }
        Ok(input.end().await?)
    }

    /// What the guest says of what it has.
    async fn judge(&self, words: &str, output: Output) -> Outcome {
        let (verdict, what) = words.split_once(' ').unwrap_or((words, ""));
        let archive = self.archive;
        Outcome::Fault(match verdict {
            "complete" => return Outcome::Complete,
            "length" => format!("{what} of {} bytes arrived", archive.len()),
            "damaged" => format!("what arrived has SHA-256 {what}, not {}", archive.sha256()),
            "failed" => {
                let why = output.stderr_tail().await;
                format!("the guest cannot keep it (exit code {what}): {why}")
            }
            _ => format!("the guest's answer is not understood: {words}"),
        })
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error::new(kind, OPERATION).with_resource(self.target.name())
    }
}

/// Reads an archive where reading may block. Ends when nobody takes the pieces.
fn read_from(archive: &ContextArchive, start: u64) -> mpsc::Receiver<io::Result<Bytes>> {
    let (pieces, receiver) = mpsc::channel(2);
    let mut reader = archive.open();
    tokio::task::spawn_blocking(move || {
        if let Err(error) = reader.seek(SeekFrom::Start(start)) {
            let _ = pieces.blocking_send(Err(error));
            return;
        }
        loop {
            let mut piece = vec![0; PIECE];
            let piece = match reader.read(&mut piece) {
                Ok(0) => return,
                Ok(length) => {
                    piece.truncate(length);
                    Ok(piece.into())
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => Err(error),
            };
            let last = piece.is_err();
            if pieces.blocking_send(piece).is_err() || last {
                return;
            }
        }
    });
    receiver
}
