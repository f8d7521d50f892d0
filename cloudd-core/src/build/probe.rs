use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::provider::{Capabilities, Error, ErrorKind, InvalidName, Provider, Result, VmId};
use crate::retry::{self, Backoff};

/// How a VM shows that it works.
///
/// Written and parsed as `console:TEXT`, `tcp:PORT`, `ssh:PORT` and `http:PORT/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadinessProbe {
    /// Its console shows this text, such as `login:`. Hetzner Cloud has no console.
    Console(String),
    /// This TCP port accepts connections.
    Tcp(u16),
    /// An SSH server answers on this port: its first line begins with `SSH-` (RFC 4253, section 4.2).
    /// The probe does not log in.
    Ssh(u16),
    /// A web server answers a `GET` without TLS with a status from 200 to 399.
    Http {
        /// The port, usually 80.
        port: u16,
        /// The path, such as `/health`.
        path: String,
    },
}

impl fmt::Display for ReadinessProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Console(text) => write!(f, "console:{text}"),
            Self::Tcp(port) => write!(f, "tcp:{port}"),
            Self::Ssh(port) => write!(f, "ssh:{port}"),
            Self::Http { port, path } => write!(f, "http:{port}{path}"),
        }
    }
}

impl FromStr for ReadinessProbe {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Self, InvalidName> {
        let parse = || {
            let (kind, rest) = text.split_once(':')?;
            Some(match kind {
                "console" => Self::Console(rest.to_owned()),
                "tcp" => Self::Tcp(rest.parse().ok()?),
                "ssh" => Self::Ssh(rest.parse().ok()?),
                "http" => {
                    let (port, path) = rest.split_once('/').unwrap_or((rest, ""));
                    Self::Http { port: port.parse().ok()?, path: format!("/{path}") }
                }
                _ => return None,
            })
        };
        parse().ok_or_else(|| {
            InvalidName::new(
                "readiness probe",
                text,
                "tcp:PORT, ssh:PORT, http:PORT/PATH or console:TEXT",
            )
        })
    }
}

impl ReadinessProbe {
    /// Checks that a provider with these capabilities can run the probe.
    pub(super) fn validate(&self, capabilities: &Capabilities) -> Result<(), String> {
        match self {
            Self::Console(text) if text.is_empty() => {
                Err("the text to wait for on the console is empty".to_owned())
            }
            Self::Console(_) if !capabilities.console => {
                Err("the provider cannot show a VM's console".to_owned())
            }
            Self::Tcp(_) | Self::Ssh(_) | Self::Http { .. } if !capabilities.addresses => {
                Err("the provider cannot tell the address of a VM on the network that it has"
                    .to_owned())
            }
            Self::Http { path, .. }
                if !path.starts_with('/') || path.contains(char::is_whitespace) =>
            {
                Err(format!("{path:?} is not a path: expected / first, and no white space"))
            }
            _ => Ok(()),
        }
    }

    /// Waits until the VM passes the probe. Has no deadline.
    ///
    /// # Errors
    /// [`ErrorKind::Failed`] if the VM powers off before; errors of the provider.
    pub(super) async fn wait(&self, provider: &dyn Provider, vm: &VmId) -> Result<()> {
        let passes = retry::poll_until("probe VM", vm, Backoff::STEADY, || async {
            Ok(self.passes(provider, vm).await?.then_some(()))
        });
        tokio::select! {
            passed = passes => passed,
            off = provider.wait_vm_off(vm) => {
                off?;
                // The console may have shown the text after the last poll.
                if matches!(self, Self::Console(_)) && self.passes(provider, vm).await? {
                    return Ok(());
                }
                Err(Error::new(ErrorKind::Failed, "probe VM")
                    .with_resource(vm)
                    .with_message("the VM powered off"))
            }
        }
    }

    /// Whether the VM passes the probe now.
    async fn passes(&self, provider: &dyn Provider, vm: &VmId) -> Result<bool> {
        if let Self::Console(text) = self {
            let console = provider.console(vm).await?;
            return Ok(String::from_utf8_lossy(&console).contains(text.as_str()));
        }
        let addresses = provider.vm(vm).await?.map(|vm| vm.addresses).unwrap_or_default();
        for address in addresses {
            if self.passes_at(address).await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether the server at this address passes the probe, within 5 seconds.
    async fn passes_at(&self, address: IpAddr) -> bool {
        const TIMEOUT: Duration = Duration::from_secs(5);
        let connect = |port| TcpStream::connect(SocketAddr::new(address, port));
        let probe = async {
            match self {
                Self::Console(_) => Ok(false),
                Self::Tcp(port) => connect(*port).await.map(|_| true),
                Self::Ssh(port) => {
                    Ok(first_bytes(&mut connect(*port).await?).await?.starts_with(b"SSH-"))
                }
                Self::Http { port, path } => {
                    let mut connection = connect(*port).await?;
                    let host = SocketAddr::new(address, *port);
                    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
                    connection.write_all(request.as_bytes()).await?;
                    Ok(is_http_success(&first_bytes(&mut connection).await?))
                }
            }
        };
        let passed: Result<std::io::Result<bool>, _> = timeout(TIMEOUT, probe).await;
        matches!(passed, Ok(Ok(true)))
    }
}

/// The first bytes that the other side sends: at least as many as hold an HTTP status.
async fn first_bytes(connection: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    const ENOUGH: usize = 12;
    let mut read = Vec::new();
    let mut buffer = [0; 64];
    while read.len() < ENOUGH {
        match connection.read(&mut buffer).await? {
            0 => break,
            count => read.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(read)
}

/// Whether this is the beginning of an HTTP answer with a status from 200 to 399 (RFC 9112,
/// section 4).
fn is_http_success(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let mut parts = text.split(' ');
    let version = parts.next().unwrap_or_default();
    version.starts_with("HTTP/1.")
        && matches!(parts.next(), Some(status) if status.len() >= 3
            && matches!(status.as_bytes()[0], b'2' | b'3'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_http_answer_of_success_passes() {
        for (answer, passes) in [
            ("HTTP/1.1 200 OK\r\n", true),
            ("HTTP/1.0 301 Moved", true),
            ("HTTP/1.1 503 Service Unavailable", false),
            ("HTTP/1.1 2", false),
            ("SSH-2.0-OpenSSH_9.2", false),
            ("", false),
        ] {
            assert_eq!(is_http_success(answer.as_bytes()), passes, "{answer:?}");
        }
    }

    #[test]
    fn probes_are_parsed_as_they_are_displayed() {
        for text in ["tcp:22", "ssh:2222", "http:80/health", "http:8080/", "console:a: b"] {
            assert_eq!(text.parse::<ReadinessProbe>().unwrap().to_string(), text);
        }
        let without_path = ReadinessProbe::Http { port: 80, path: "/".to_owned() };
        assert_eq!("http:80".parse(), Ok(without_path));
        for bad in ["", "tcp", "tcp:x", "udp:1", "tcp:65536"] {
            assert!(bad.parse::<ReadinessProbe>().is_err(), "{bad}");
        }
    }
}
