use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::client::{self, AuthResult, ChannelOpenHandle, Handle, Msg, Session};
use russh::keys::{
    Algorithm, EcdsaCurve, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh::{Channel, Preferred};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time;

use super::SshKeys;
use super::error::SshError;
use super::keys::fingerprint;
use crate::text::human_duration;

/// The time for one address to accept a TCP connection. A booting guest drops early packets, and the
/// kernel retransmits them ever more slowly, so that a new attempt connects sooner.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How much later than the others an address is tried on which the last login failed. All addresses
/// are raced, in the manner of Happy Eyeballs (RFC 8305).
const FAILED_ADDRESS_DELAY: Duration = Duration::from_secs(1);

/// Unanswered keepalives after which a connection is lost.
const MAX_KEEPALIVES: u32 = 2;

/// The accepted types of host keys. cloudd makes Ed25519 keys only; the other types are accepted so
/// that an error can show the fingerprint of a wrong key.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// The builder VM to connect to, and the keys that identify both sides.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) keys: SshKeys,
    pub(super) addresses: Vec<IpAddr>,
    pub(super) port: u16,
    pub(super) user: String,
    /// The time without any data after which a connection is lost.
    pub(super) silence: Duration,
}

impl Target {
    fn sockets(&self) -> impl Iterator<Item = SocketAddr> {
        self.addresses.iter().map(|ip| SocketAddr::new(*ip, self.port))
    }

    /// Returns all addresses, which name the VM in errors.
    pub(super) fn name(&self) -> String {
        let sockets: Vec<_> = self.sockets().map(|socket| socket.to_string()).collect();
        sockets.join(" or ")
    }
}

/// An authenticated connection: the guest has proved its host key and accepted the client's key.
pub(super) struct Connection {
    pub(super) session: Handle<HostKeyCheck>,
    pub(super) user: String,
}

impl Connection {
    /// Connects and logs in. `failed` holds the address on which the last attempt failed after the
    /// TCP connection: another service may listen there.
    pub(super) async fn open(
        target: &Target,
        failed: &mut Option<SocketAddr>,
    ) -> Result<Self, SshError> {
        let (stream, address) = connect(target, *failed).await?;
        *failed = Some(address);
        // Key exchange and login take seconds on an emulated processor.
        let timeout = target.silence * 2;
        let connection = time::timeout(timeout, Self::log_in(stream, target))
            .await
            .unwrap_or(Err(SshError::Silent(timeout)))?;
        *failed = None;
        tracing::debug!(%address, user = target.user, "connected");
        Ok(connection)
    }

    async fn log_in(stream: TcpStream, target: &Target) -> Result<Self, SshError> {
        let interval = target.silence / (MAX_KEEPALIVES + 1);
        let config = client::Config {
            keepalive_interval: Some(interval),
            keepalive_max: MAX_KEEPALIVES as usize,
            // Detects a dead peer whose socket buffer is full, to which no keepalive can be sent.
            inactivity_timeout: Some(target.silence + interval),
            preferred: Preferred { key: Cow::Borrowed(HOST_KEYS), ..Preferred::DEFAULT },
            ..client::Config::default()
        };
        let refused = Arc::new(OnceLock::new());
        let check =
            HostKeyCheck { expected: target.keys.host().clone(), refused: Arc::clone(&refused) };
        let session = client::connect_stream(Arc::new(config), stream, check).await;
        let expected = target.keys.host_fingerprint();
        // Checked before the error, which may only say that the connection was closed.
        if let Some(seen) = refused.get() {
            return Err(SshError::HostKey { expected, seen: fingerprint(seen) });
        }
        let mut session = session.map_err(|error| SshError::of_handshake(error, expected))?;
        let key = PrivateKeyWithHashAlg::new(target.keys.client(), None);
        match session.authenticate_publickey(&target.user, key).await? {
            AuthResult::Success => Ok(Self { session, user: target.user.clone() }),
            // What russh returns when the connection has ended.
            AuthResult::Failure { remaining_methods, .. } if remaining_methods.is_empty() => {
                Err(SshError::Lost)
            }
            AuthResult::Failure { .. } => Err(SshError::Refused { user: target.user.clone() }),
        }
    }
}

/// Opens a TCP connection to the address that answers first.
async fn connect(
    target: &Target,
    failed: Option<SocketAddr>,
) -> Result<(TcpStream, SocketAddr), SshError> {
    let mut attempts = JoinSet::new();
    for address in target.sockets() {
        let delayed = failed == Some(address) && target.addresses.len() > 1;
        attempts.spawn(async move {
            if delayed {
                time::sleep(FAILED_ADDRESS_DELAY).await;
            }
            match time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => Ok((stream, address)),
                Ok(Err(error)) => Err(format!("{address}: {error}")),
                Err(_) => {
                    Err(format!("{address}: no answer within {}", human_duration(CONNECT_TIMEOUT)))
                }
            }
        });
    }
    let mut reasons = Vec::new();
    while let Some(attempt) = attempts.join_next().await {
        match attempt.unwrap_or_else(|error| Err(error.to_string())) {
            Ok((stream, address)) => {
                // Events are short and must not be delayed.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "TCP_NODELAY");
                }
                return Ok((stream, address));
            }
            Err(reason) => reasons.push(reason),
        }
    }
    Err(SshError::Unreachable(reasons.join("; ")))
}

/// Accepts one host key, and records the key that it refuses.
pub(super) struct HostKeyCheck {
    expected: PublicKey,
    refused: Arc<OnceLock<PublicKey>>,
}

impl client::Handler for HostKeyCheck {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        shown: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = shown else {
            return Ok(false);
        };
        if key.key_data() == self.expected.key_data() {
            return Ok(true);
        }
        // Set at most once: a refusal ends the connection.
        let _ = self.refused.set(key.clone());
        Ok(false)
    }

    // A server has no reason to open a channel. Dropping the reply rejects it; the defaults accept.

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_session(
        &mut self,
        _: Channel<Msg>,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }

    async fn server_channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        Ok(())
    }
}
