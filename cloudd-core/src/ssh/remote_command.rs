use bytes::Bytes;
use russh::client::{Handle, Msg};
use russh::{ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use super::connection::{Connection, HostKeyCheck};
use super::error::SshError;
use crate::text::{sanitize_untrusted, shell_quote};

/// A POSIX shell script that runs in the guest.
pub(super) struct Script {
    /// The name in the guest's process list and in messages.
    pub(super) name: &'static str,
    text: &'static str,
}

/// Prints the events so far, then follows the file.
pub(super) const FOLLOW: Script =
    Script { name: "ssh_follow.sh", text: include_str!("../../assets/ssh_follow.sh") };

/// Receives the build context.
pub(super) const UPLOAD: Script =
    Script { name: "ssh_upload.sh", text: include_str!("../../assets/ssh_upload.sh") };

impl Script {
    /// Returns the command line that runs the script. It consists of quoted words, which every login
    /// shell reads alike.
    fn command(&self, arguments: &[&str]) -> String {
        let mut command = format!("exec sh -c {} {}", shell_quote(self.text), self.name);
        for argument in arguments {
            command.push(' ');
            command.push_str(&shell_quote(argument));
        }
        command
    }
}

/// A script that is running in the guest. Dropping its output closes the connection.
pub(super) struct RemoteCommand {
    pub(super) stdin: ChannelWriteHalf<Msg>,
    pub(super) output: Output,
}

/// The output of a [`RemoteCommand`].
pub(super) struct Output {
    name: &'static str,
    channel: ChannelReadHalf,
    /// The end of what was written to standard error, and to standard output before the script
    /// itself started: a login shell may print a greeting or a refusal.
    stderr: String,
    _session: Handle<HostKeyCheck>,
}

impl RemoteCommand {
    /// Starts a script in the guest.
    pub(super) async fn start(
        connection: Connection,
        script: &Script,
        arguments: &[&str],
    ) -> Result<Self, SshError> {
        let Connection { session, user } = connection;
        let mut channel = session.channel_open_session().await?;
        channel.exec(true, script.command(arguments)).await?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => break,
                Some(ChannelMsg::Failure) => {
                    let stderr = format!("sshd runs no commands for user {user}");
                    return Err(SshError::NotRun { name: script.name, stderr });
                }
                Some(_) => {}
                None => return Err(SshError::Lost),
            }
        }
        let (channel, stdin) = channel.split();
        let output =
            Output { name: script.name, channel, stderr: String::new(), _session: session };
        Ok(Self { stdin, output })
    }
}

impl Output {
    /// How many bytes of standard error are kept.
    const MAX_STDERR: usize = 500;

    /// Waits for more standard output. `None` when the script has ended.
    pub(super) async fn read(&mut self) -> Result<Option<Bytes>, SshError> {
        loop {
            match self.channel.wait().await {
                Some(ChannelMsg::Data { data }) => return Ok(Some(data)),
                Some(ChannelMsg::ExtendedData { data, .. }) => self.record(&data),
                Some(ChannelMsg::Eof | ChannelMsg::Close) => return Ok(None),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => {
                    self.record(format!("signal {signal_name:?}").as_bytes());
                }
                Some(_) => {}
                None => return Err(SshError::Lost),
            }
        }
    }

    /// Reads up to the line that starts with `word`, and returns the rest of that line and the bytes
    /// after it. Other lines before it count as standard error.
    pub(super) async fn read_until(&mut self, word: &str) -> Result<(String, Vec<u8>), SshError> {
        let mut pending = Vec::new();
        loop {
            let Some(data) = self.read().await? else {
                self.record(&pending);
                return Err(SshError::NotRun { name: self.name, stderr: self.stderr_tail() });
            };
            pending.extend_from_slice(&data);
            while let Some(end) = pending.iter().position(|byte| *byte == b'\n') {
                let rest = pending.split_off(end + 1);
                let line = std::mem::replace(&mut pending, rest);
                let line = String::from_utf8_lossy(&line[..end]).into_owned();
                match line.strip_prefix(word).and_then(|rest| rest.strip_prefix(' ')) {
                    Some(answer) => return Ok((answer.to_owned(), pending)),
                    // Printed by `ssh_follow.sh` while it waits.
                    None if line == "." => {}
                    None => self.record(line.as_bytes()),
                }
            }
            if pending.len() > Self::MAX_STDERR {
                self.record(&pending);
                pending.clear();
            }
        }
    }

    /// Waits for the end of the script, and returns the end of its standard error: it may arrive
    /// after the output that it explains.
    pub(super) async fn drain(mut self) -> String {
        while let Ok(Some(_)) = self.read().await {}
        self.stderr_tail()
    }

    /// Returns the error that the script has ended although it should not.
    pub(super) fn ended(&self) -> SshError {
        SshError::Ended { name: self.name, stderr: self.stderr_tail() }
    }

    /// Returns the end of standard error as one sanitized line.
    fn stderr_tail(&self) -> String {
        let words: Vec<_> = self.stderr.split_whitespace().collect();
        sanitize_untrusted(&words.join(" "), 2 * Self::MAX_STDERR)
    }

    fn record(&mut self, bytes: &[u8]) {
        self.stderr.push_str(&String::from_utf8_lossy(bytes));
        self.stderr.push('\n');
        let mut cut = self.stderr.len().saturating_sub(Self::MAX_STDERR);
        while !self.stderr.is_char_boundary(cut) {
            cut += 1;
        }
        self.stderr.drain(..cut);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_passes_the_arguments_unchanged() {
        let nasty = ["a'b\"c $(touch /x) `id`\n*", "", "-n"];
        let script = Script { name: "name", text: r#"printf '[%s]' "$0" "$@" # it's"# };
        let command = script.command(&nasty);
        let output = std::process::Command::new("sh").args(["-c", &command]).output().unwrap();
        let expected: String =
            std::iter::once("name").chain(nasty).map(|word| format!("[{word}]")).collect();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    }
}
