use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time;

use super::command::FOLLOW;
use super::connection::Connection;
use super::error::SshError;
use super::lines::Lines;
use super::retry_state::RetryState;
use super::target::Target;
use crate::guest::Reachability;
use crate::provider::Result;

/// Follows a file in the guest through any number of connections, and gives its lines, each once.
pub(super) struct Follower {
    target: Arc<Target>,
    file: String,
    lines: mpsc::Sender<Result<Vec<u8>>>,
    position: Position,
    failed: Option<SocketAddr>,
    retries: RetryState,
}

/// How much of which file was given.
#[derive(Default)]
struct Position {
    /// Tells this file from another one at the same path, such as after a reboot of the guest.
    identity: String,
    /// Where the first line begins that was not given, in bytes.
    offset: u64,
}

/// Nobody reads the lines any more.
struct Unread;

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

    /// Until nobody reads any more, or there is no hope.
    pub(super) async fn run(mut self) {
        loop {
            let error = match self.follow().await {
                Ok(Unread) => return,
                Err(error) => error,
            };
            match self.retries.on_error(error) {
                Ok(pause) => time::sleep(pause).await,
                Err(error) => {
                    let _ = self.lines.send(Err(error)).await;
                    return;
                }
            }
        }
    }

    /// As long as one connection holds.
    async fn follow(&mut self) -> std::result::Result<Unread, SshError> {
        let connection = Connection::open(&self.target, &mut self.failed).await?;
        let offset = self.position.offset.to_string();
        let arguments = [self.file.as_str(), &self.position.identity, &offset];
        let mut output = connection.start(&FOLLOW, &arguments).await?.output;
        // The file may come minutes later.
        self.retries.on_connected();

        let (position, mut bytes) = output.read_until("cloudd-follow").await?;
        self.position = Position::parse(&position).ok_or_else(|| output.ended())?;
        self.retries.on_success();
        // What the last connection left of an unfinished line comes again.
        let mut lines = Lines::default();
        loop {
            if let Some(lines) = lines.push(&bytes) {
                let length = lines.len() as u64;
                if self.lines.send(Ok(lines)).await.is_err() {
                    return Ok(Unread);
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
    /// From the words after `cloudd-follow`.
    fn parse(words: &str) -> Option<Self> {
        let (identity, offset) = words.split_once(' ')?;
        Some(Self { identity: identity.to_owned(), offset: offset.parse().ok()? })
    }
}
