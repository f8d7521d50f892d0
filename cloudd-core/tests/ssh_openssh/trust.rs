//! Refused keys and users, and the errors that report them.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use cloudd_core::guest::GuestChannel;
use cloudd_core::provider::{Error, ErrorKind, Reporter};
use cloudd_core::ssh::{SshChannel, SshKeys};

use crate::support::{Growing, MISSING, Sshd, context, receive, text, within};

async fn refusal(channel: &mut SshChannel) -> Error {
    let error = within(30, channel.receive()).await.unwrap_err();
    assert_eq!(channel.receive().await.unwrap(), None, "nothing comes after the error");
    error
}

/// Returns the fingerprint of the installed host key as `ssh-keygen` prints it.
fn fingerprint(sshd: &Sshd) -> String {
    let output = ssh_keygen(&["-l", "-E", "sha256", "-f", &text(&sshd.path("host_key"))]);
    output.split(' ').nth(1).unwrap().to_owned()
}

fn ssh_keygen(arguments: &[&str]) -> String {
    let output = Command::new("ssh-keygen")
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("ssh-keygen {MISSING}: {error}"));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn another_host_key_ends_the_channel_at_once() {
    let sshd = Sshd::started();
    Growing::at(&sshd.events()).write("secret of another\n");
    let known = SshKeys::generate().unwrap();
    // Authorized, so that only the host key is wrong.
    sshd.authorize(known.client_public());
    let mut channel = sshd.channel_with(&known);
    let start = Instant::now();
    let error = refusal(&mut channel).await;
    assert!(start.elapsed() < Duration::from_secs(5), "took {:?}", start.elapsed());
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    let said = error.to_string();
    let (seen, expected) = (fingerprint(&sshd), known.host_fingerprint());
    assert!(said.contains(&format!("the host key is {seen}, not {expected}")), "{said}");
    assert!(said.contains("127.0.0.1"), "{said}");

    let error = within(30, sshd.channel_with(&known).upload(&context(1000), &Reporter::silent()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Untrusted);
    assert!(!sshd.context().exists());
}

#[tokio::test]
async fn host_keys_of_other_types_are_other_host_keys() {
    for (kind, shown) in [("ecdsa", true), ("rsa", false)] {
        let mut sshd = Sshd::new();
        let path = text(&sshd.path("host_key"));
        fs::remove_file(&path).unwrap();
        ssh_keygen(&["-q", "-N", "", "-t", kind, "-f", &path]);
        sshd.start();
        let error = refusal(&mut sshd.channel()).await;
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        let said = error.to_string();
        assert!(said.contains(&sshd.keys.host_fingerprint()), "{said}");
        assert_eq!(said.contains(&fingerprint(&sshd)), shown, "{said}");
    }
}

#[tokio::test]
async fn a_host_key_that_changes_later_ends_the_channel() {
    let mut sshd = Sshd::started();
    Growing::at(&sshd.events()).write("one\n");
    let mut channel = sshd.channel();
    receive(&mut channel, 1).await;
    sshd.stop();
    sshd.install_host_key(SshKeys::generate().unwrap().expose_host_private());
    sshd.start();
    assert_eq!(refusal(&mut channel).await.kind(), ErrorKind::Untrusted);
}

#[tokio::test]
async fn a_user_key_that_is_refused_ends_the_channel() {
    let sshd = Sshd::started();
    sshd.authorize(SshKeys::generate().unwrap().client_public());
    let error = refusal(&mut sshd.channel()).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let said = error.to_string();
    assert!(said.contains("sshd refuses user"), "{said}");
    assert!(said.contains("with the key of this build after"), "{said}");
}

#[tokio::test]
async fn a_user_key_may_be_authorized_a_moment_later() {
    let sshd = Sshd::started();
    Growing::at(&sshd.events()).write("one\n");
    sshd.authorize("");
    let mut channel = sshd.channel();
    let refused = async {
        while channel
            .reachability()
            .unwrap()
            .reason()
            .is_none_or(|why| !why.contains("refuses user"))
        {
            let _ = tokio::time::timeout(Duration::from_millis(10), channel.receive()).await;
        }
    };
    within(10, refused).await;
    sshd.authorize(sshd.keys.client_public());
    assert_eq!(receive(&mut channel, 1).await, b"one\n");
}

#[tokio::test]
async fn a_user_who_may_not_run_commands_is_named_with_what_the_guest_says() {
    let sshd = Sshd::started();
    // What cloud-init adds to root's keys by default.
    sshd.authorize(&format!(
        "command=\"echo 'Please login as the user \\\"fedora\\\" rather than the user \\\"root\\\".'; exit 142\" {}",
        sshd.keys.client_public()
    ));
    let error = refusal(&mut sshd.channel()).await;
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    let said = error.to_string();
    assert!(said.contains("Please login as the user \"fedora\""), "{said}");
    assert!(said.contains("disable_root"), "{said}");
}

#[tokio::test]
async fn an_sshd_without_a_common_algorithm_is_named() {
    let mut sshd = Sshd::new();
    sshd.configure("Ciphers aes128-cbc");
    sshd.start();
    assert_eq!(refusal(&mut sshd.channel()).await.kind(), ErrorKind::Unsupported);
}

#[test]
fn a_builder_without_address_is_an_error_at_once() {
    let error = SshChannel::new(&SshKeys::generate().unwrap(), []).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
