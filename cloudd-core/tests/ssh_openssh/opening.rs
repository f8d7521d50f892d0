//! A server that opens channels to the client, as a builder VM under the control of its install
//! container could.

use std::sync::Arc;

use cloudd_core::guest::GuestChannel as _;
use cloudd_core::ssh::{SshChannel, SshKeys};
use russh::keys::PrivateKey;
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::support::{LOOPBACK, within};

/// Which channels the client has accepted.
type Accepted = Vec<(&'static str, bool)>;

struct Opening(mpsc::Sender<Accepted>);

impl server::Handler for Opening {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: server::VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        _: ChannelId,
        _: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let (client, accepted) = (session.handle(), self.0.clone());
        tokio::spawn(async move {
            let (host, port) = ("127.0.0.1", 22);
            let forwarded = client.channel_open_forwarded_tcpip(host, port, host, port).await;
            let direct = client.channel_open_direct_tcpip(host, port, host, port).await;
            let socket = client.channel_open_forwarded_streamlocal("/run/socket").await;
            let result = vec![
                ("agent", client.channel_open_agent().await.is_ok()),
                ("forwarded TCP", forwarded.is_ok()),
                ("TCP", direct.is_ok()),
                ("forwarded socket", socket.is_ok()),
                ("socket", client.channel_open_direct_streamlocal("/run/socket").await.is_ok()),
                ("session", client.channel_open_session().await.is_ok()),
                ("X11", client.channel_open_x11(host, port).await.is_ok()),
            ];
            let _ = accepted.send(result).await;
        });
        Ok(())
    }
}

#[tokio::test]
async fn channels_that_the_server_opens_are_rejected() {
    let keys = SshKeys::generate().unwrap();
    let host_key = PrivateKey::from_openssh(keys.expose_host_private()).unwrap();
    let config = server::Config { keys: vec![host_key], ..server::Config::default() };
    let listener = TcpListener::bind((LOOPBACK, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, mut accepted) = mpsc::channel(1);
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let session = server::run_stream(Arc::new(config), stream, Opening(sender)).await.unwrap();
        session.await
    });
    let mut channel = SshChannel::new(&keys, [LOOPBACK]).unwrap().port(port);
    let accepted = async {
        tokio::select! {
            accepted = accepted.recv() => accepted.unwrap(),
            received = channel.receive() => panic!("{received:?}"),
        }
    };
    for (kind, was_accepted) in within(30, accepted).await {
        assert!(!was_accepted, "a channel of kind {kind} was accepted");
    }
}
