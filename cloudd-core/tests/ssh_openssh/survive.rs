//! No line is lost or repeated when connections fail.

use std::collections::VecDeque;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cloudd_core::guest::GuestChannel;
use cloudd_core::ssh::SshChannel;
use tokio::time::timeout;

use crate::support::growing::numbered;
use crate::support::way::Way;
use crate::support::{Growing, Sshd, receive, within};

/// Follows a file that is written continuously, and disturbs the server repeatedly.
async fn follow_through(sshd: &mut Sshd, mut disturb: impl FnMut(&mut Sshd)) {
    let stop = Arc::new(AtomicBool::new(false));
    let writer = Growing::at(&sshd.events()).keep_writing(Arc::clone(&stop));
    let mut channel = sshd.channel();
    let mut received = Vec::new();
    for _ in 0..6 {
        received.extend(receive(&mut channel, 20_000).await);
        // The lines received so far may have been sent before the last disturbance.
        within(30, async {
            while sshd.sessions() == 0 {
                let more = timeout(Duration::from_millis(10), channel.receive()).await;
                received.extend(more.map_or(Vec::new(), |lines| lines.unwrap().unwrap()));
            }
        })
        .await;
        disturb(sshd);
    }
    stop.store(true, Ordering::Relaxed);
    let last = writer.join().unwrap();
    let expected = numbered(1..=last);
    let left = expected.len() - received.len();
    received.extend(receive(&mut channel, left).await);
    assert!(received == expected.as_bytes(), "{}", first_difference(&received, &expected));
}

fn first_difference(received: &[u8], expected: &str) -> String {
    let received = String::from_utf8_lossy(received).into_owned();
    let at = received.lines().zip(expected.lines()).position(|(is, should)| is != should);
    let around = at.unwrap_or_default().saturating_sub(1);
    let lines: VecDeque<_> = received.lines().skip(around).take(4).collect();
    format!("line {at:?} differs: {lines:?}")
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_sessions_lose_and_repeat_no_line() {
    let mut sshd = Sshd::started();
    follow_through(&mut sshd, |sshd| sshd.kill_sessions()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_server_loses_and_repeats_no_line() {
    let mut sshd = Sshd::started();
    follow_through(&mut sshd, |sshd| {
        sshd.stop();
        sshd.start();
    })
    .await;
}

#[tokio::test]
async fn a_guest_that_came_up_again_is_read_from_its_first_line() {
    let mut sshd = Sshd::started();
    Growing::at(&sshd.events()).write("stage1 1\nstage1 2\n");
    let mut channel = sshd.channel();
    receive(&mut channel, 18).await;
    for next in ["return 1\n", "return, and longer than what was there before\n"] {
        sshd.stop();
        // Both files exist at the same time, so that they have different inodes.
        let new = sshd.path("new");
        Growing::at(&new).write(next);
        fs::rename(&new, sshd.events()).unwrap();
        sshd.start();
        assert_eq!(receive(&mut channel, next.len()).await, next.as_bytes());
    }
}

#[tokio::test]
async fn a_peer_that_died_without_a_word_is_noticed() {
    let sshd = Sshd::started();
    let mut file = Growing::at(&sshd.events());
    file.write("one\n");
    let way = Way::to(sshd.port).await;
    let silence = Duration::from_secs(2);
    let mut channel: SshChannel = sshd.channel().port(way.port).silence(silence);
    assert_eq!(receive(&mut channel, 1).await, b"one\n");

    // An idle connection that answers is kept for longer than a dead one would be.
    assert!(timeout(silence * 2, channel.receive()).await.is_err());
    assert_eq!(way.connections(), 1);

    way.cut();
    file.write("two\n");
    let cut = Instant::now();
    assert_eq!(receive(&mut channel, 1).await, b"two\n");
    assert_eq!(way.connections(), 2);
    let after = cut.elapsed();
    assert!(after >= silence / 2 && after <= silence * 4, "noticed after {after:?}");
}

#[tokio::test]
async fn a_channel_waits_as_long_as_it_is_asked_to() {
    let mut sshd = Sshd::started();
    let mut file = Growing::at(&sshd.events());
    file.write("one\n");
    let mut channel = sshd.channel();
    receive(&mut channel, 1).await;
    sshd.stop();
    let nothing = timeout(Duration::from_secs(4), channel.receive()).await;
    assert!(nothing.is_err(), "neither an error nor an end: {nothing:?}");
    assert!(channel.reachability().unwrap().reason().is_some());
    file.write("two\n");
    sshd.start();
    assert_eq!(within(10, receive(&mut channel, 1)).await, b"two\n");
}
