use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use russh::client::{self, AuthResult, Handle};
use russh::keys::{
    Algorithm, EcdsaCurve, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate,
};
use russh::{ChannelMsg, Preferred};
use tokio::net::TcpStream;
use tokio::time;

use super::command::Script;
use super::dial::dial;
use super::error::SshError;
use super::keys::fingerprint;
use super::remote_command::RemoteCommand;
use super::target::Target;

/// Keepalives without an answer until a connection counts as lost.
const KEEPALIVES: u32 = 2;

/// The host key types that are understood. Ed25519 is the one that is made; the others are there so
/// that an error can show the fingerprint of what was met instead.
const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// A connection to a guest that has proved its identity and has let us in.
pub(super) struct Connection {
    session: Handle<HostKeyCheck>,
    user: String,
}

impl Connection {
    /// Connects and logs in. `failed` remembers the address on which that went wrong.
    pub(super) async fn open(
        target: &Target,
        failed: &mut Option<SocketAddr>,
    ) -> Result<Self, SshError> {
        let (stream, address) = dial(target, *failed).await?;
        *failed = Some(address);
        // Key exchange and login take seconds where the guest's processor is emulated.
        let patience = target.silence * 2;
        let connection = time::timeout(patience, Self::over(stream, target))
            .await
            .unwrap_or(Err(SshError::Silent(patience)))?;
        *failed = None;
        tracing::debug!(%address, user = target.user, "connected");
        Ok(connection)
    }

    async fn over(stream: TcpStream, target: &Target) -> Result<Self, SshError> {
        let refused = Arc::new(OnceLock::new());
        let check =
            HostKeyCheck { expected: target.keys.host().clone(), refused: Arc::clone(&refused) };
        let session = client::connect_stream(Arc::new(config(target)), stream, check).await;
        // Looked at first: the error may as well be that the connection is closed by now.
        if let Some(seen) = refused.get() {
            let expected = target.keys.host_fingerprint();
            return Err(SshError::HostKey { expected, seen: fingerprint(seen) });
        }
        let mut session = session
            .map_err(|error| SshError::of_handshake(error, target.keys.host_fingerprint()))?;
        let key = PrivateKeyWithHashAlg::new(target.keys.client(), None);
        match session.authenticate_publickey(&target.user, key).await? {
            AuthResult::Success => Ok(Self { session, user: target.user.clone() }),
            // Also what the library says when the connection ended.
            AuthResult::Failure { remaining_methods, .. } if remaining_methods.is_empty() => {
                Err(SshError::Lost)
            }
            AuthResult::Failure { .. } => Err(SshError::Refused { user: target.user.clone() }),
        }
    }

    /// Starts a script in the guest.
    pub(super) async fn start(
        self,
        script: &Script,
        arguments: &[&str],
    ) -> Result<RemoteCommand, SshError> {
        let mut channel = self.session.channel_open_session().await?;
        channel.exec(true, script.command(arguments)).await?;
        loop {
            match channel.wait().await {
                Some(ChannelMsg::Success) => {
                    return Ok(RemoteCommand::new(script.name, self.session, channel));
                }
                Some(ChannelMsg::Failure) => {
                    let said = format!("sshd runs no commands for user {}", self.user);
                    return Err(SshError::NotRun { name: script.name, said });
                }
                Some(_) => {}
                None => return Err(SshError::Lost),
            }
        }
    }
}

fn config(target: &Target) -> client::Config {
    let interval = target.silence / (KEEPALIVES + 1);
    client::Config {
        keepalive_interval: Some(interval),
        keepalive_max: KEEPALIVES as usize,
        // Keepalives cannot be sent while a dead peer's socket is full; this ends it then.
        inactivity_timeout: Some(target.silence + interval),
        preferred: Preferred { key: Cow::Borrowed(HOST_KEYS), ..Preferred::DEFAULT },
        ..client::Config::default()
    }
}

/// Accepts one host key and remembers which other it met.
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
}
