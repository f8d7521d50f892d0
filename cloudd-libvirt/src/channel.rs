//! The channel on which a guest speaks: the file that collects what it writes to its second serial
//! port, read from where the last reading ended.
//!
//! The file is a volume of the pool, so it is read through libvirt, from the local machine and
//! from far away alike, and a lost connection loses nothing. virtlogd rotates it away at 2 MiB:
//! what was read last tells where in which file the reading goes on.

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

/// Follows the events of one VM.
pub(crate) struct EventLog {
    host: Arc<Host>,
    vm: String,
    position: Position,
    /// Whether the guest can have said something.
    has_run: bool,
}

/// Where reading goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Position {
    offset: u64,
    /// The last bytes before the offset: what must stand there, if the file is still the same.
    before: Vec<u8>,
}

/// How much of what was read is looked at again. Events have sequence numbers, so no two lines of
/// a log are equal.
const OVERLAP: usize = 256;
/// The most that is read at once.
const PIECE: Size = Size::mib(1);
/// How many old files of a log are looked for.
const LOOKED_FOR: u32 = 9;

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
    /// Off, running, or gone: before the bytes were read.
    state: Option<PowerState>,
}

#[async_trait]
impl GuestChannel for EventLog {
    async fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        let mut pauses = POLL.pauses();
        loop {
            match self.read().await {
                Ok(reading) => {
                    // From here to the return nothing is awaited: dropped or not, the position
                    // and what was given go together.
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
                // The caller has the deadline.
                Err(error) if error.kind().is_transient() => {
                    tracing::debug!(%error, vm = self.vm, "reading events again");
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
        // Asked first: a guest that is off now has written all that it ever will.
        let state = match self.domain(vm)? {
            Some((domain, _)) => self.power_state(&domain, vm)?,
            None => None,
        };
        let log = VmFiles(vm).events_log();
        let (bytes, position) = self.read_on(&log, position)?;
        Ok(Reading { bytes, position, state })
    }

    /// Bytes that follow the position, and the position after them. No bytes when there are none
    /// yet.
    fn read_on(&self, log: &str, position: &Position) -> Result<(Vec<u8>, Position)> {
        if let Some(bytes) = self.read_after(log, position)?
            && (bytes.is_empty() || *position != Position::default())
        {
            let position = position.after(&bytes);
            return Ok((bytes, position));
        }
        // Another file stands in the place of the one we know; or these are the first bytes, and
        // may not be the oldest that there are.
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
                    // The file we know is read to its end: the one after it is next.
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
            tracing::warn!(log, "some of what the guest wrote is lost: rotated away too fast");
        }
        let oldest = files.last().map_or(log, String::as_str);
        let bytes = self.read_after(oldest, &start)?.unwrap_or_default();
        Ok((bytes.clone(), start.after(&bytes)))
    }

    /// The files of a log, the newest first: the one that is written, and those that were rotated
    /// away.
    pub(crate) fn log_files(&self, log: &str) -> Result<Vec<String>> {
        let mut files = vec![log.to_owned()];
        for number in 0..LOOKED_FOR {
            if number == ROTATED {
                // Where virtlogd keeps more files than we made, libvirt does not know of them yet.
                self.refresh_pool()?;
            }
            let file = rotated(log, number);
            // One that is empty was made for later.
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

    /// What stands in a file after this position; `None` when the file has something else before
    /// it than it should.
    fn read_after(&self, file: &str, position: &Position) -> Result<Option<Vec<u8>>> {
        let Some(volume) = self.volume(file)? else {
            return Ok((position.offset == 0).then(Vec::new));
        };
        let from = position.offset - position.before.len() as u64;
        let bytes = match self.download(&volume, file, from, PIECE) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            bytes => bytes?,
        };
        Ok(bytes.strip_prefix(position.before.as_slice()).map(<[u8]>::to_vec))
    }

    /// Whether there is a byte in a log, or was before it was rotated away.
    pub(crate) fn was_written(&self, log: &str) -> Result<bool> {
        Ok(self.has_bytes(log)? || self.has_bytes(&rotated(log, 0))?)
    }

    /// All that the guest has printed on its console.
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
    /// The position after these further bytes.
    fn after(&self, bytes: &[u8]) -> Self {
        let mut before = self.before.clone();
        before.extend_from_slice(bytes);
        before.drain(..before.len().saturating_sub(OVERLAP));
        Self { offset: self.offset + bytes.len() as u64, before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_remembers_the_end_of_what_was_read() {
        let position = Position::default().after(b"abc").after(b"de");
        assert_eq!(position, Position { offset: 5, before: b"abcde".to_vec() });
        let long = position.after(&[b'x'; 1000]);
        assert_eq!((long.offset, long.before.len()), (1005, OVERLAP));
    }
}
