//! The guest channel: the log file of the second serial port, read incrementally.
//!
//! The file is a volume of the pool, so that it can be read through a local or remote libvirt, and a
//! lost connection loses no data. virtlogd rotates it at 2 MiB; the last bytes that were read
//! identify the file and the position at which reading continues.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cloudd_core::guest::GuestChannel;
use cloudd_core::provider::{ErrorKind, PowerState, Result, Size};
use cloudd_core::retry::Backoff;

use crate::connection::Host;
use crate::connection::Session;
use crate::vm::{ROTATED, VmFiles, rotated};

/// Reads the event log of one VM.
pub(crate) struct EventLog {
    host: Arc<Host>,
    vm: String,
    position: Position,
    /// Whether the VM has run.
    has_run: bool,
}

/// The position at which reading continues.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Position {
    offset: u64,
    /// The last bytes before the offset. If the file has other bytes there, it was rotated.
    before: Vec<u8>,
}

/// The number of bytes that are compared. Events have sequence numbers, so no two lines of a log are
/// equal.
const OVERLAP: usize = 256;
/// The largest read.
const CHUNK: Size = Size::mib(1);
/// The largest number of rotated files that are looked up.
const MAX_ROTATED: u32 = 9;

const POLL: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(1), 1.5, 0.1);

impl EventLog {
    pub(crate) fn new(host: Arc<Host>, vm: String) -> Self {
        Self { host, vm, position: Position::default(), has_run: false }
    }

    async fn read(&self) -> Result<Reading> {
        let (vm, position) = (self.vm.clone(), self.position.clone());
        self.host.call(move |session| session.read_events(&vm, &position)).await
    }
}

struct Reading {
    bytes: Vec<u8>,
    position: Position,
    /// The state before the bytes were read; `None` if the VM does not exist.
    state: Option<PowerState>,
}

#[async_trait]
impl GuestChannel for EventLog {
    async fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        let mut pauses = POLL.pauses();
        loop {
            match self.read().await {
                Ok(reading) => {
                    // There is no await before the return, so that the position advances only
                    // with the bytes that are returned.
                    if !reading.bytes.is_empty() {
                        self.position = reading.position;
                        self.has_run = true;
                        return Ok(Some(reading.bytes));
                    }
                    match reading.state {
                        None => return Ok(None),
                        Some(PowerState::Off) if self.has_run => return Ok(None),
                        Some(PowerState::Off) => {}
                        Some(_) => self.has_run = true,
                    }
                }
                // Deadlines are the caller's.
                Err(error) if error.kind().is_transient() => {
                    tracing::debug!(%error, vm = self.vm, "retrying to read events");
                }
                Err(error) => return Err(error),
            }
            tokio::time::sleep(pauses.next().unwrap_or(POLL.longest)).await;
        }
    }
}

impl fmt::Debug for EventLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventLog").field("vm", &self.vm).finish_non_exhaustive()
    }
}

impl Session {
    fn read_events(&self, vm: &str, position: &Position) -> Result<Reading> {
        // The state is read first: a guest that is off now writes nothing more.
        let state = match self.domain(vm)? {
            Some((domain, _)) => self.power_state(&domain, vm)?,
            None => None,
        };
        let log = VmFiles(vm).events_log();
        let (bytes, position) = self.read_on(&log, position)?;
        Ok(Reading { bytes, position, state })
    }

    /// The bytes that follow the position, and the position after them. No bytes if there are none
    /// yet.
    fn read_on(&self, log: &str, position: &Position) -> Result<(Vec<u8>, Position)> {
        if let Some(bytes) = self.read_after(log, position)?
            && (bytes.is_empty() || *position != Position::default())
        {
            let position = position.after(&bytes);
            return Ok((bytes, position));
        }
        // The file was rotated; or this is the first read, and older files may exist.
        let files = self.log_files(log)?;
        let start = Position::default();
        let mut newer = None;
        for file in &files {
            if *position == start {
                break;
            }
            match self.read_after(file, position)? {
                None => {}
                Some(rest) if rest.is_empty() => {
                    // This file was read to its end; continue with the next newer one.
                    let bytes = match newer {
                        Some(newer) => self.read_after(newer, &start)?.unwrap_or_default(),
                        None => Vec::new(),
                    };
                    return Ok((bytes.clone(), start.after(&bytes)));
                }
                Some(rest) => return Ok((rest.clone(), position.after(&rest))),
            }
            newer = Some(file);
        }
        if *position != start {
            tracing::warn!(log, "part of the guest's output is lost: the log was rotated too fast");
        }
        let oldest = files.last().map_or(log, String::as_str);
        let bytes = self.read_after(oldest, &start)?.unwrap_or_default();
        Ok((bytes.clone(), start.after(&bytes)))
    }

    /// The files of a log, newest first: the current one and the rotated ones.
    pub(crate) fn log_files(&self, log: &str) -> Result<Vec<String>> {
        let mut files = vec![log.to_owned()];
        for number in 0..MAX_ROTATED {
            if number == ROTATED {
                // virtlogd is configured to keep more files than were created; libvirt does not list
                // them without a refresh.
                self.refresh_pool()?;
            }
            let file = rotated(log, number);
            // An empty file is not yet used.
            if !self.has_bytes(&file)? {
                break;
            }
            files.push(file);
        }
        Ok(files)
    }

    fn has_bytes(&self, file: &str) -> Result<bool> {
        let Some(volume) = self.volume(file)? else { return Ok(false) };
        Ok(!self.download(&volume, file, 0, Size::bytes(1))?.is_empty())
    }

    /// The bytes of a file after the position; `None` if the file has other bytes before it.
    fn read_after(&self, file: &str, position: &Position) -> Result<Option<Vec<u8>>> {
        let Some(volume) = self.volume(file)? else {
            return Ok((position.offset == 0).then(Vec::new));
        };
        let from = position.offset.saturating_sub(position.before.len() as u64);
        let bytes = match self.download(&volume, file, from, CHUNK) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        Ok(bytes.strip_prefix(position.before.as_slice()).map(<[u8]>::to_vec))
    }

    /// Whether anything was written to a log, including rotated files.
    pub(crate) fn was_written(&self, log: &str) -> Result<bool> {
        Ok(self.has_bytes(log)? || self.has_bytes(&rotated(log, 0))?)
    }

    /// The console output.
    pub(crate) fn console(&self, vm: &str) -> Result<Vec<u8>> {
        let files = self.log_files(&VmFiles(vm).console_log())?;
        let mut bytes = Vec::new();
        for file in files.iter().rev() {
            if let Some(volume) = self.volume(file)? {
                bytes.extend(self.download(&volume, file, 0, Size::mib(64))?);
            }
        }
        Ok(bytes)
    }
}

impl Position {
    /// The position after further bytes.
    fn after(&self, bytes: &[u8]) -> Self {
        let mut before = self.before.clone();
        before.extend_from_slice(bytes);
        before.drain(..before.len().saturating_sub(OVERLAP));
        Self { offset: self.offset.saturating_add(bytes.len() as u64), before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_contains_the_last_bytes() {
        let position = Position::default().after(b"abc").after(b"de");
        assert_eq!(position, Position { offset: 5, before: b"abcde".to_vec() });
        let long = position.after(&[b'x'; 1000]);
        assert_eq!((long.offset, long.before.len()), (1005, OVERLAP));
    }
}
