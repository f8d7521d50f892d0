use bytes::Bytes;
use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use super::connection::HostKeyCheck;
use super::error::SshError;

/// A script that runs in the guest. Dropping it closes its connection.
pub(super) struct RemoteCommand {
    pub(super) input: Input,
    pub(super) output: Output,
}

/// What the script reads.
pub(super) struct Input(ChannelWriteHalf<Msg>);

/// What the script writes.
pub(super) struct Output {
    name: &'static str,
    channel: ChannelReadHalf,
    /// The last it said beside the output that was asked for: on standard error, or before it was
    /// itself that spoke.
    said: String,
    _session: Handle<HostKeyCheck>,
}

impl RemoteCommand {
    pub(super) fn new(
        name: &'static str,
        session: Handle<HostKeyCheck>,
        channel: Channel<Msg>,
    ) -> Self {
        let (read, write) = channel.split();
        let output = Output { name, channel: read, said: String::new(), _session: session };
        Self { input: Input(write), output }
    }
}

impl Input {
    /// Sends bytes, at the pace at which the script reads.
    pub(super) async fn write(&self, bytes: impl Into<Bytes>) -> Result<(), SshError> {
        Ok(self.0.data_bytes(bytes).await?)
    }

    /// No more bytes follow.
    pub(super) async fn end(&self) -> Result<(), SshError> {
        Ok(self.0.eof().await?)
    }
}

impl Output {
    /// How much of what a guest says is kept, in bytes.
    const SAID: usize = 500;

    /// Waits for more output. `None` when the script has ended.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>, SshError> {
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => return Ok(Some(data)),
                Some(ChannelMsg::ExtendedData { data, .. }) => self.heard(&data),
                Some(ChannelMsg::Eof | ChannelMsg::Close) => return Ok(None),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    self.heard(format!("signal {signal_name:?}").as_bytes());
                }
                Some(_) => {}
                None => return Err(SshError::Lost),
            }
        }
    }

    /// Reads up to the line that begins with `word`, and gives what follows the word, and the bytes
    /// after the line. Other lines may come before it: a login shell's greeting, say.
    pub(super) async fn read_until(&mut self, word: &str) -> Result<(String, Vec<u8>), SshError> {
        let mut pending = Vec::new();
        loop {
            let Some(data) = self.read().await? else {
                self.heard(&pending);
                return Err(SshError::NotRun { name: self.name, said: self.said() });
            };
            pending.extend_from_slice(&data);
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let rest = pending.split_off(end + 1);
                let line = std::mem::replace(&mut pending, rest);
                let line = String::from_utf8_lossy(&line[..end]).into_owned();
                match line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')) {
                    Some(said) => return Ok((said.to_owned(), pending)),
                    None if line == "." => {}
                    None => self.heard(line.as_bytes()),
                }
            }
            if pending.len() > Self::SAID {
                self.heard(&pending);
                pending.clear();
            }
        }
    }

    /// What it says until it ends: standard error may come after what it explains.
    pub(super) async fn stderr_tail(mut self) -> String {
        while let Ok(Some(_)) = self.read().await {}
        self.said()
    }

    /// The error that the script has ended, which it never should.
    pub(super) fn ended(&self) -> SshError {
        SshError::Ended { name: self.name, said: self.said() }
    }

    /// The last words that were not output, on one line and harmless to a terminal.
    fn said(&self) -> String {
        let words: Vec<_> = self.said.split_whitespace().collect();
        words.join(" ").replace(char::is_control, "\u{fffd}")
    }

    fn heard(&mut self, bytes: &[u8]) {
        self.said.push_str(&String::from_utf8_lossy(bytes));
        self.said.push('\n');
        let mut cut = self.said.len().saturating_sub(Self::SAID);
        while !self.said.is_char_boundary(cut) {
            cut += 1;
        }
        self.said.drain(..cut);
    }
}
