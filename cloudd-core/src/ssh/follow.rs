use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time;

use super::connection::{Connection, Target};
use super::error::SshError;
use super::remote_command::{FOLLOW, RemoteCommand};
use super::retry_state::RetryState;
use crate::guest::Reachability;
use crate::provider::Result;

/// Follows a file in the guest over any number of connections, and delivers each line once.
pub(super) struct Follower {
    target: Arc<Target>,
    file: String,
    lines: mpsc::Sender<Result<Vec<u8>>>,
    position: Position,
    failed: Option<SocketAddr>,
    retries: RetryState,
}

/// How much of which file was delivered.
#[derive(Default)]
struct Position {
    /// Identifies the file: after a reboot of the guest, another file has the same path.
    identity: String,
    /// The start of the first undelivered line, in bytes.
    offset: u64,
}

/// The receiver of the lines was dropped.
struct Closed;

impl Follower {
    pub(super) fn new(
        target: Arc<Target>,
        file: String,
        lines: mpsc::Sender<Result<Vec<u8>>>,
        reachability: Reachability,
    ) -> Self {
        let retries = RetryState::new("follow builder VM", target.name(), reachability);
        Self { target, file, lines, position: Position::default(), failed: None, retries }
    }

    /// Runs until the receiver is dropped or a permanent error is delivered.
    pub(super) async fn run(mut self) {
        loop {
            let error = match self.follow().await {
                Ok(Closed) => return,
                Err(error) => error,
            };
            match self.retries.on_error(error) {
                Ok(delay) => time::sleep(delay).await,
                Err(error) => {
                    let _ = self.lines.send(Err(error)).await;
                    return;
                }
            }
        }
    }

    /// Follows the file over one connection.
    async fn follow(&mut self) -> std::result::Result<Closed, SshError> {
        let connection = Connection::open(&self.target, &mut self.failed).await?;
        let offset = self.position.offset.to_string();
        let arguments = [self.file.as_str(), &self.position.identity, &offset];
        let mut output = RemoteCommand::start(connection, &FOLLOW, &arguments).await?.output;
        // The script waits for the file, which may take minutes.
        self.retries.on_connected();

        let (position, mut bytes) = output.read_until("cloudd-follow").await?;
        self.position = Position::parse(&position).ok_or_else(|| output.ended())?;
        self.retries.on_success();
        // Empty: the guest sends a line again of which the last connection delivered only a part.
        let mut lines = Lines::default();
        loop {
            if let Some(lines) = lines.push(&bytes) {
                let length = lines.len() as u64;
                if self.lines.send(Ok(lines)).await.is_err() {
                    return Ok(Closed);
                }
                self.position.offset += length;
            }
            bytes = match output.read().await? {
                Some(data) => data.into(),
                None => return Err(output.ended()),
            };
        }
    }
}

impl Position {
    /// Parses the words after `cloudd-follow`.
    fn parse(words: &str) -> Option<Self> {
        let (identity, offset) = words.split_once(' ')?;
        Some(Self { identity: identity.to_owned(), offset: offset.parse().ok()? })
    }
}

/// Assembles whole lines from bytes that arrive in pieces.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
}

impl Lines {
    /// A longer line is delivered in parts, to bound memory; it cannot be an event.
    const MAX_LINE: usize = 64 << 10;

    /// Adds bytes, and returns all lines that are complete.
    fn push(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let complete = match bytes.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) => newline + 1,
            None if self.partial.len() + bytes.len() > Self::MAX_LINE => bytes.len(),
            None => 0,
        };
        let (now, later) = bytes.split_at(complete);
        self.partial.extend_from_slice(now);
        let lines = (complete > 0).then(|| std::mem::take(&mut self.partial));
        self.partial.extend_from_slice(later);
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_do_not_depend_on_how_the_bytes_are_split() {
        let text = b"one\ntwo\n\nthree\nfour";
        for size in 1..=text.len() {
            let mut lines = Lines::default();
            let chunks: Vec<_> = text.chunks(size).filter_map(|piece| lines.push(piece)).collect();
            assert!(chunks.iter().all(|chunk| chunk.ends_with(b"\n")), "in pieces of {size}");
            assert_eq!(chunks.concat(), b"one\ntwo\n\nthree\n", "in pieces of {size}");
            assert_eq!(lines.partial, b"four");
        }
    }

    #[test]
    fn a_line_without_end_needs_bounded_memory() {
        let mut lines = Lines::default();
        let mut out = 0;
        for _ in 0..100 {
            out += lines.push(&[b'x'; 10_000]).map_or(0, |chunk| chunk.len());
            assert!(lines.partial.len() <= Lines::MAX_LINE);
        }
        assert_eq!(out + lines.partial.len(), 1_000_000);
    }
}
