//! Private keys appear in no output and no log, at the most verbose level.
//!
//! In a separate process, because the log subscriber is global: russh logs from tasks.

#![cfg(feature = "ssh")]
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "ssh_support/mod.rs"]
mod support;

use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloudd_core::guest::GuestChannel;
use cloudd_core::provider::Reporter;
use cloudd_core::ssh::SshKeys;
use russh::keys::PrivateKey;
use tracing_subscriber::fmt::MakeWriter;

use support::{Growing, Sshd, context, receive, within};

/// Everything that was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self::Writer {
        self.clone()
    }
}

/// Returns the forms in which a private key could appear.
fn forms(pem: &str) -> Vec<String> {
    let key = PrivateKey::from_openssh(pem).unwrap();
    let seed = key.key_data().ed25519().unwrap().private.to_bytes();
    let mut forms: Vec<_> =
        pem.lines().filter(|line| !line.starts_with('-')).map(str::to_owned).collect();
    let mut hex = String::new();
    for byte in seed {
        write!(hex, "{byte:02x}").unwrap();
    }
    let decimal = format!("{seed:?}");
    forms.push(hex.to_uppercase());
    forms.push(hex);
    forms.push(decimal.trim_matches(['[', ']']).to_owned());
    forms.push(STANDARD.encode(seed).trim_end_matches('=').to_owned());
    // The first line of the PEM is the same for every key.
    let common = SshKeys::generate().unwrap().expose_client_private().to_owned();
    forms.retain(|form| !common.contains(form.as_str()));
    assert!(forms.len() >= 6, "{forms:?}");
    forms
}

#[tokio::test(flavor = "multi_thread")]
async fn no_private_key_is_ever_shown() {
    let log = Log::default();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .init();

    let mut sshd = Sshd::started();
    let mut shown = format!("{:?} {:#?}", sshd.keys, sshd.channel());

    // All operations of the channel: events, a lost session, a context, and every refusal.
    Growing::at(&sshd.events()).write("one\n");
    let mut channel = sshd.channel();
    receive(&mut channel, 1).await;
    sshd.kill_sessions();
    Growing::at(&sshd.events()).write("two\n");
    receive(&mut channel, 1).await;
    within(60, channel.upload(&context(100_000), &Reporter::silent())).await.unwrap();
    sshd.stop();
    write!(shown, "{channel:?} {:?}", channel.reachability().unwrap().reason()).unwrap();
    sshd.start();

    let other = SshKeys::generate().unwrap();
    let error = within(60, sshd.channel_with(&other).receive()).await.unwrap_err();
    write!(shown, "{error} {error:?}").unwrap();
    sshd.authorize(other.client_public());
    let error = within(60, sshd.channel().receive()).await.unwrap_err();
    write!(shown, "{error} {error:?}").unwrap();

    let logged = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for word in ["TRACE", "russh", "userauth_success", "cloudd_core::ssh"] {
        assert!(logged.contains(word), "the log is not what it should be: no {word}");
    }
    shown.push_str(&logged);
    let pems = [&sshd.keys, &other]
        .map(|keys| [keys.expose_client_private(), keys.expose_host_private()])
        .concat();
    for form in pems.into_iter().flat_map(forms) {
        assert!(!shown.contains(&form), "a private key is shown");
    }
    assert!(shown.contains(sshd.keys.client_public()), "public keys may be");
}
