use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time;

use super::error::SshError;
use super::target::Target;

/// How long one address may take to accept a connection. A guest that boots drops what arrives
/// early, and the network's own repetitions come ever later, so a fresh try is the faster one.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// By how much an address that just failed lets the others go first.
const FAILED_ADDRESS_DELAY: Duration = Duration::from_secs(1);

/// Connects to whichever address answers first.
///
/// `failed` is the address on which the last connection broke: something may answer there that is
/// no sshd, or lose what it accepts.
pub(super) async fn dial(
    target: &Target,
    failed: Option<SocketAddr>,
) -> Result<(TcpStream, SocketAddr), SshError> {
    let mut dials = JoinSet::new();
    for address in target.sockets() {
        let handicapped = failed == Some(address) && target.addresses.len() > 1;
        dials.spawn(async move {
            if handicapped {
                time::sleep(FAILED_ADDRESS_DELAY).await;
            }
            let connected = match time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await
            {
                Ok(connected) => connected.map_err(|error| error.to_string()),
                Err(_) => Err(format!("no answer within {} s", CONNECT_TIMEOUT.as_secs())),
            };
            connected.map(|stream| (stream, address)).map_err(|why| format!("{address}: {why}"))
        });
    }
    let mut reasons = Vec::new();
    while let Some(dialled) = dials.join_next().await {
        match dialled {
            Ok(Ok((stream, address))) => {
                // Events are short and are read as they come.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                return Ok((stream, address));
            }
            Ok(Err(reason)) => reasons.push(reason),
            Err(_) => reasons.push("cancelled".to_owned()),
        }
    }
    Err(SshError::Unreachable(reasons.join("; ")))
}
