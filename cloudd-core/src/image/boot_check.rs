//! Trying an image before it is handed out.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::adopt::CHECK;
use super::error::{Cause, InvalidInput};
use super::plan::Planned;
use super::reuse::PASSED;
use super::run::Run;
use super::{ImageBuilder, Phase};
use crate::provider::{
    BootSpec, Capabilities, Error, ErrorKind, Image, Labels, Provider, Result, Vm, VmId, keys,
};
use crate::retry::{self, Backoff};

/// How a VM that was started from an image shows that the image is good.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReadinessProbe {
    /// Its console shows this text, such as `login:`. Hetzner Cloud shows no console.
    Console(String),
    /// This TCP port takes connections.
    Tcp(u16),
    /// An SSH server answers at this port: what it sends first begins with `SSH-` (RFC 4253,
    /// section 4.2). Nobody logs in.
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
            Self::Console(text) => write!(f, "{text:?} on its console"),
            Self::Tcp(port) => write!(f, "an open TCP port {port}"),
            Self::Ssh(port) => write!(f, "an SSH server at port {port}"),
            Self::Http { port, path } => write!(f, "an answer to GET {path} at port {port}"),
        }
    }
}

/// What becomes of an image that does not pass its boot check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnBootCheckFailure {
    /// It is deleted.
    #[default]
    Delete,
    /// It stays, to be looked at, without the label of those that passed.
    Keep,
}

/// Starts a VM from the image and waits for a sign of life.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct BootCheck {
    sign: ReadinessProbe,
    failed_image: OnBootCheckFailure,
}

impl BootCheck {
    /// A check that waits for this sign, for at most
    /// [`Deadlines::boot_check`](super::Deadlines::boot_check).
    pub fn new(sign: ReadinessProbe) -> Self {
        Self { sign, failed_image: OnBootCheckFailure::default() }
    }

    /// What becomes of an image that does not pass; default [`OnBootCheckFailure::Delete`].
    pub fn on_failure(mut self, failed_image: OnBootCheckFailure) -> Self {
        self.failed_image = failed_image;
        self
    }
}

impl ImageBuilder {
    /// Whether the provider can do the check.
    pub(super) fn check_boot_check(
        &self,
        capabilities: &Capabilities,
    ) -> std::result::Result<(), InvalidInput> {
        let missing = match &self.boot_check {
            None => return Ok(()),
            Some(_) if !capabilities.boots_images => "start a VM from an image",
            Some(BootCheck { sign: ReadinessProbe::Console(text), .. }) if text.is_empty() => {
                return Err(InvalidInput::BootCheck(
                    "the text to wait for on the console is empty".to_owned(),
                ));
            }
            Some(BootCheck { sign: ReadinessProbe::Console(_), .. }) if !capabilities.console => {
                "show a VM's console"
            }
            Some(BootCheck {
                sign: ReadinessProbe::Tcp(_) | ReadinessProbe::Ssh(_) | ReadinessProbe::Http { .. },
                ..
            }) if !capabilities.addresses => "tell the address of a VM on the network that it has",
            Some(BootCheck { sign: ReadinessProbe::Http { path, .. }, .. })
                if !path.starts_with('/') || path.contains(char::is_whitespace) =>
            {
                return Err(InvalidInput::BootCheck(format!(
                    "{path:?} is not a path: it begins with / and has no white space"
                )));
            }
            Some(_) => return Ok(()),
        };
        Err(InvalidInput::BootCheck(format!("the provider cannot {missing}")))
    }
}

/// The image, once it has passed its check; at once where none is wanted.
pub(super) async fn passed(
    run: &Run<'_>,
    planned: &Planned,
    image: Image,
) -> std::result::Result<Image, Cause> {
    let Some(check) = &run.builder.boot_check else { return Ok(image) };
    if image.labels.get(keys::BOOT_CHECK) == Some(PASSED) {
        return Ok(image);
    }
    run.enter(Phase::BootCheck);
    let vm = started(run, planned, &image).await?;
    let deadline = run.builder.deadlines.boot_check;
    let result = run.wait("sign of life", deadline, sign(run.provider, &vm.id, &check.sign)).await;
    if let Err(cause) = result {
        tell_console(run, &vm.id).await;
        let why = match cause {
            Cause::Provider(error) if error.kind() == ErrorKind::Failed => error.to_string(),
            Cause::Deadline { after, .. } => {
                format!("no sign of life within {} s", after.as_secs_f32())
            }
            cause => return Err(cause),
        };
        let kept = match check.failed_image {
            OnBootCheckFailure::Keep => Some(image.id),
            OnBootCheckFailure::Delete => {
                run.created(image.id);
                None
            }
        };
        return Err(Cause::BootCheck { wanted: check.sign.clone(), why, kept });
    }
    run.delete_found(&vm.id.into()).await?;
    let label = (keys::BOOT_CHECK.to_owned(), PASSED.to_owned());
    let labels = Labels::from_iter([label]);
    let id = image.id.clone().into();
    run.call("label", &image.id, run.provider.set_labels(&id, &labels)).await?;
    Ok(Image { labels: image.labels.merged(&labels), ..image })
}

async fn started(
    run: &Run<'_>,
    planned: &Planned,
    image: &Image,
) -> std::result::Result<Vm, Cause> {
    let name = format!("cloudd-{}-check", run.build());
    let check = Labels::from_iter([(keys::PHASE.to_owned(), CHECK.to_owned())]);
    let labels = planned.labels(run, &run.build()).merged(&check);
    let architecture = run.builder.architecture;
    let mut spec = BootSpec::new(&name, labels, image.id.clone(), architecture, image.disk_size);
    spec.lease = run.claim().map(|lease| lease.id.clone());
    let reporter = run.sink.reporter();
    let create = run.provider.create_vm_from_image(&spec, &reporter);
    let vm = run.call("create VM from image", &name, create).await?;
    run.created(vm.id.clone());
    let start = run.provider.start_vm(&vm.id, &reporter);
    run.wait("start of the VM", run.builder.deadlines.call, start).await?;
    Ok(vm)
}

/// What the console shows is the reason more often than not.
async fn tell_console(run: &Run<'_>, vm: &VmId) {
    if !run.provider.capabilities().console {
        return;
    }
    match timeout(run.builder.deadlines.call, run.provider.console(vm)).await {
        Ok(Ok(console)) => {
            for line in String::from_utf8_lossy(&console).lines() {
                let printable = line.chars().filter(|c| !c.is_control());
                run.log(printable.collect());
            }
        }
        Ok(Err(error)) => run.log(format!("the console cannot be read: {error}")),
        Err(_) => run.log("the console cannot be read in time".to_owned()),
    }
}

/// Waits until the VM shows it. Ends with an error at once when the VM goes off without it.
async fn sign(provider: &dyn Provider, vm: &VmId, sign: &ReadinessProbe) -> Result<()> {
    let shown = retry::poll_until("look for sign of life of", vm, Backoff::STEADY, || async {
        Ok(shows(provider, vm, sign).await?.then_some(()))
    });
    tokio::select! {
        shown = shown => shown,
        off = provider.wait_vm_off(vm) => {
            off?;
            // Its last words may be what is waited for, and nobody had looked since.
            if matches!(sign, ReadinessProbe::Console(_)) && shows(provider, vm, sign).await? {
                return Ok(());
            }
            Err(Error::new(ErrorKind::Failed, "wait for sign of life of")
                .with_resource(vm)
                .with_message("the VM went off"))
        }
    }
}

/// Whether the VM shows it now.
async fn shows(provider: &dyn Provider, vm: &VmId, sign: &ReadinessProbe) -> Result<bool> {
    if let ReadinessProbe::Console(text) = sign {
        let console = provider.console(vm).await?;
        return Ok(String::from_utf8_lossy(&console).contains(text.as_str()));
    }
    let addresses = provider.vm(vm).await?.map(|vm| vm.addresses).unwrap_or_default();
    for address in addresses {
        if answers(address, sign).await {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether what is wanted answers at this address, within seconds.
async fn answers(address: IpAddr, sign: &ReadinessProbe) -> bool {
    const PATIENCE: Duration = Duration::from_secs(5);
    let answer = async {
        match sign {
            ReadinessProbe::Console(_) => Ok(false),
            ReadinessProbe::Tcp(port) => connect(address, *port).await.map(|_| true),
            ReadinessProbe::Ssh(port) => {
                let mut connection = connect(address, *port).await?;
                Ok(first(&mut connection).await?.starts_with(b"SSH-"))
            }
            ReadinessProbe::Http { port, path } => {
                let mut connection = connect(address, *port).await?;
                let host = SocketAddr::new(address, *port);
                let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n");
                connection.write_all(request.as_bytes()).await?;
                Ok(is_good(&first(&mut connection).await?))
            }
        }
    };
    let answer: std::result::Result<std::io::Result<bool>, _> = timeout(PATIENCE, answer).await;
    matches!(answer, Ok(Ok(true)))
}

async fn connect(address: IpAddr, port: u16) -> std::io::Result<TcpStream> {
    TcpStream::connect(SocketAddr::new(address, port)).await
}

/// The first bytes that the other side sends: enough for a status line, which is not split in
/// practice but may be.
async fn first(connection: &mut TcpStream) -> std::io::Result<Vec<u8>> {
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

/// Whether this is the beginning of an answer with a status from 200 to 399 (RFC 9112, section 4).
fn is_good(answer: &[u8]) -> bool {
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
    fn only_an_http_answer_of_success_is_a_sign_of_life() {
        for (answer, good) in [
            ("HTTP/1.1 200 OK\r\n", true),
            ("HTTP/1.0 301 Moved", true),
            ("HTTP/1.1 503 Service Unavailable", false),
            ("HTTP/1.1 2", false),
            ("SSH-2.0-OpenSSH_9.2", false),
            ("", false),
        ] {
            assert_eq!(is_good(answer.as_bytes()), good, "{answer:?}");
        }
    }
}
