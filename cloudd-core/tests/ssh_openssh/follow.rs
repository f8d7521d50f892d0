//! Bytes that are written in the guest arrive unchanged.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use cloudd_core::guest::GuestChannel;
use cloudd_core::ssh::SshChannel;

use crate::support::growing::numbered;
use crate::support::{Growing, LOOPBACK, Sshd, receive, text, within};

#[tokio::test]
async fn lines_arrive_as_they_are_written() {
    let sshd = Sshd::started();
    let mut file = Growing::at(&sshd.events());
    let mut channel = sshd.channel();
    file.write("before\n");
    assert_eq!(receive(&mut channel, 1).await, b"before\n");
    for n in 1..=20 {
        let line = numbered([n]);
        file.write(&line);
        assert_eq!(receive(&mut channel, line.len()).await, line.as_bytes());
    }
    assert_eq!(channel.reachability().unwrap().reason(), None);
}

#[tokio::test]
async fn a_line_arrives_when_it_is_whole() {
    let sshd = Sshd::started();
    let mut file = Growing::at(&sshd.events());
    let mut channel = sshd.channel();
    file.write("one\nha");
    assert_eq!(receive(&mut channel, 1).await, b"one\n");
    file.write("lf\n");
    assert_eq!(receive(&mut channel, 1).await, b"half\n");
}

#[tokio::test]
async fn the_file_may_come_later() {
    let sshd = Sshd::started();
    let mut channel = sshd.channel();
    // Enough time for one connection, which finds no file.
    let early = tokio::time::timeout(Duration::from_secs(2), channel.receive()).await;
    assert!(early.is_err(), "nothing to receive yet: {early:?}");
    assert_eq!(sshd.sessions().min(1), 1, "it waits in the guest");
    assert!(
        channel.reachability().unwrap().was_reachable(),
        "{:?}",
        channel.reachability().unwrap().reason()
    );
    Growing::at(&sshd.events()).write("first\n");
    assert_eq!(receive(&mut channel, 1).await, b"first\n");
}

#[tokio::test]
async fn the_server_may_come_later() {
    let mut sshd = Sshd::new();
    Growing::at(&sshd.events()).write("first\n");
    let mut channel = sshd.channel();
    let early = tokio::time::timeout(Duration::from_secs(1), channel.receive()).await;
    assert!(early.is_err(), "nothing to receive yet: {early:?}");
    let reason = channel.reachability().unwrap().reason().unwrap();
    assert!(reason.contains("onnection refused"), "{reason}");
    sshd.start();
    assert_eq!(receive(&mut channel, 1).await, b"first\n");
    assert_eq!(channel.reachability().unwrap().reason(), None);
}

#[tokio::test]
async fn of_two_addresses_one_is_enough() {
    let sshd = Sshd::started();
    Growing::at(&sshd.events()).write("first\n");
    let nobody = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
    for addresses in [[nobody, LOOPBACK], [LOOPBACK, nobody]] {
        let mut channel = SshChannel::new(&sshd.keys, addresses)
            .unwrap()
            .port(sshd.port)
            .user(crate::support::user())
            .events_file(text(&sshd.events()));
        assert_eq!(receive(&mut channel, 1).await, b"first\n");
    }
}

#[tokio::test]
async fn an_address_that_accepts_and_says_nothing_does_not_hide_the_other() {
    let sshd = Sshd::started();
    Growing::at(&sshd.events()).write("first\n");
    let mute = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
    let listener = tokio::net::TcpListener::bind((mute, sshd.port)).await.unwrap();
    let mut channel = SshChannel::new(&sshd.keys, [mute, LOOPBACK])
        .unwrap()
        .port(sshd.port)
        .user(crate::support::user())
        .silence(Duration::from_secs(1))
        .events_file(text(&sshd.events()));
    assert_eq!(receive(&mut channel, 1).await, b"first\n");
    drop(listener);
}

#[tokio::test]
async fn a_greeting_of_the_login_shell_is_no_event() {
    let mut sshd = Sshd::new();
    sshd.force("echo Welcome!; echo to the builder >&2; eval \"$SSH_ORIGINAL_COMMAND\"");
    sshd.start();
    Growing::at(&sshd.events()).write("first\n");
    assert_eq!(receive(&mut sshd.channel(), 1).await, b"first\n");
}

#[tokio::test]
async fn a_dropped_receive_loses_nothing() {
    let sshd = Sshd::started();
    let all = numbered(1..=5000);
    Growing::at(&sshd.events()).write(&all);
    let mut channel = sshd.channel();
    let mut received = Vec::new();
    let mut dropped = 0;
    let collect = async {
        while received.len() < all.len() {
            // Polled only once, so that most of these futures are dropped before they are ready.
            match tokio::time::timeout(Duration::ZERO, channel.receive()).await {
                Ok(lines) => received.extend(lines.unwrap().unwrap()),
                Err(_) => {
                    dropped += 1;
                    tokio::task::yield_now().await;
                }
            }
        }
    };
    within(60, collect).await;
    assert!(received == all.as_bytes());
    assert!(dropped > 10, "dropped {dropped} times");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_comes_late_gets_everything() {
    let sshd = Sshd::started();
    let mut file = Growing::at(&sshd.events());
    file.write("first\n");
    let mut channel = sshd.channel().silence(Duration::from_secs(1));
    receive(&mut channel, 1).await;
    // More than all buffers hold, read after more time than the silence that ends a connection.
    let all = numbered(1..=200_000);
    file.write(&all);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(receive(&mut channel, all.len()).await == all.as_bytes());
}

#[tokio::test]
async fn a_channel_that_is_dropped_ends_its_session() {
    let sshd = Sshd::started();
    Growing::at(&sshd.events()).write("first\n");
    let mut channel = sshd.channel();
    receive(&mut channel, 1).await;
    assert!(sshd.sessions() > 0);
    drop(channel);
    let ended = async {
        while sshd.sessions() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(10, ended).await;
}
