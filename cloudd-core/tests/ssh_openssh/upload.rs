//! Contexts arrive complete and verified, or the upload fails.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloudd_core::guest::GuestChannel;
use cloudd_core::install::{ContextArchive, Sha256Digest};
use cloudd_core::provider::{Error, ErrorKind, Report, Reporter};
use cloudd_core::ssh::SshChannel;

use crate::support::way::Way;
use crate::support::{Growing, MISSING, Sshd, context, receive, within};

/// The offsets that an upload reported, in bytes.
#[derive(Clone, Default)]
struct Progress(Arc<Mutex<Vec<u64>>>);

impl Progress {
    fn reporter(&self, also: impl Fn(u64) + Send + Sync + 'static) -> Reporter {
        let steps = self.clone();
        Reporter::new(move |report| {
            let Report::Progress { done, total, .. } = report else { return };
            assert!(done <= total.unwrap());
            steps.0.lock().unwrap().push(done.as_bytes());
            also(done.as_bytes());
        })
    }

    fn steps(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }
}

async fn upload(channel: SshChannel, archive: &ContextArchive) -> Result<(), Error> {
    upload_telling(channel, archive, &Reporter::silent()).await
}

async fn upload_telling(
    mut channel: SshChannel,
    archive: &ContextArchive,
    reporter: &Reporter,
) -> Result<(), Error> {
    within(120, channel.upload(archive, reporter)).await
}

#[track_caller]
fn assert_in_place(sshd: &Sshd, archive: &ContextArchive) {
    let arrived = fs::read(sshd.context()).unwrap();
    assert_eq!(arrived.len() as u64, archive.len());
    assert_eq!(Sha256Digest::digest(&arrived), archive.sha256());
    assert_eq!(fs::metadata(sshd.context()).unwrap().mode() & 0o777, 0o600);
    assert_eq!(left_over(sshd), ["context.tar.gz"]);
}

fn left_over(sshd: &Sshd) -> Vec<String> {
    let entries = fs::read_dir(sshd.context().parent().unwrap()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_mebibytes_arrive_and_are_verified() {
    let sshd = Sshd::started();
    let archive = context(20 << 20);
    assert!(archive.len() > 20 << 20);
    let progress = Progress::default();
    let start = Instant::now();
    upload_telling(sshd.channel(), &archive, &progress.reporter(|_| {})).await.unwrap();
    let seconds = start.elapsed().as_secs_f64();
    let mib = archive.len() as f64 / f64::from(1 << 20);
    println!(
        "{mib:.1} MiB in {seconds:.2} s: {:.0} MiB/s, login and verification included",
        mib / seconds
    );
    assert_in_place(&sshd, &archive);
    let steps = progress.steps();
    assert!(steps.is_sorted() && steps.len() > 10);
    assert_eq!(*steps.last().unwrap(), archive.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_small_context_arrives_too() {
    let sshd = Sshd::started();
    let archive = context(0);
    upload(sshd.channel(), &archive).await.unwrap();
    assert_in_place(&sshd, &archive);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_goes_on_where_it_was() {
    let sshd = Arc::new(Sshd::started());
    let archive = context(20 << 20);
    let progress = Progress::default();
    let killed = Arc::new(Mutex::new(0));
    let reporter = {
        let (sshd, killed) = (Arc::clone(&sshd), Arc::clone(&killed));
        progress.reporter(move |done| {
            let mut killed = killed.lock().unwrap();
            if *killed < 3 && done > (*killed + 1) * (5 << 20) {
                *killed += 1;
                let sshd = Arc::clone(&sshd);
                std::thread::spawn(move || sshd.kill_sessions());
            }
        })
    };
    upload_telling(sshd.channel(), &archive, &reporter).await.unwrap();
    assert_in_place(&sshd, &archive);
    assert_eq!(*killed.lock().unwrap(), 3);
    // A lost connection loses the bytes in flight, not those that had arrived.
    let steps = progress.steps();
    let losses: Vec<_> = steps.windows(2).filter(|pair| pair[1] < pair[0]).collect();
    assert!(!losses.is_empty());
    for pair in losses {
        assert!(pair[1] > 0 && pair[0] - pair[1] < 5 << 20, "from {} to {}", pair[0], pair[1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_dies_amid_the_upload_is_noticed() {
    let sshd = Sshd::started();
    let way = Arc::new(Way::to(sshd.port).await);
    let archive = context(20 << 20);
    let progress = Progress::default();
    let cut = Arc::clone(&way);
    let reporter = progress.reporter(move |done| {
        if done > 8 << 20 && cut.connections() == 1 {
            cut.cut();
        }
    });
    let channel = sshd.channel().port(way.port).silence(Duration::from_secs(2));
    upload_telling(channel, &archive, &reporter).await.unwrap();
    assert_eq!(way.connections(), 2);
    assert_in_place(&sshd, &archive);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_comes_later_gets_the_context_then() {
    let mut sshd = Sshd::new();
    let archive = context(1 << 20);
    let channel = sshd.channel();
    let uploaded = tokio::spawn({
        let archive = archive.clone();
        async move { upload(channel, &archive).await }
    });
    tokio::task::yield_now().await;
    sshd.start();
    uploaded.await.unwrap().unwrap();
    assert_in_place(&sshd, &archive);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_damaged_is_not_put_in_place() {
    let mut sshd = Sshd::new();
    sshd.force("tr x y | sh -c \"$SSH_ORIGINAL_COMMAND\"");
    sshd.start();
    let archive = context(1 << 20);
    let error = upload(sshd.channel(), &archive).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    let said = error.to_string();
    assert!(said.contains(&format!("not {}", archive.sha256())), "{said}");
    assert!(said.contains("after 3 attempts"), "{said}");
    assert_eq!(left_over(&sshd), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_by_a_part_each_time_is_put_together() {
    let mut sshd = Sshd::new();
    sshd.force("head -c 1000000 | sh -c \"$SSH_ORIGINAL_COMMAND\"");
    sshd.start();
    let archive = context(4 << 20);
    upload(sshd.channel(), &archive).await.unwrap();
    assert_in_place(&sshd, &archive);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_never_arrives_is_an_error() {
    let mut sshd = Sshd::new();
    sshd.force("head -c 1000 | sh -c \"$SSH_ORIGINAL_COMMAND\"");
    sshd.start();
    let archive = context(4 << 20);
    let error = upload(sshd.channel(), &archive).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    let said = error.to_string();
    assert!(said.contains(&format!("1000 of {} bytes arrived", archive.len())), "{said}");
    assert!(!sshd.context().exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_that_cannot_keep_it_says_why() {
    let sshd = Sshd::started();
    let channel = sshd.channel().context_file("/dev/full/context.tar.gz");
    let error = upload(channel, &context(4 << 20)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert!(error.to_string().contains("mkdir: "), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_in_place_already_is_not_sent_again() {
    let sshd = Sshd::started();
    let archive = context(1 << 20);
    upload(sshd.channel(), &archive).await.unwrap();
    let progress = Progress::default();
    upload_telling(sshd.channel(), &archive, &progress.reporter(|_| {})).await.unwrap();
    assert_eq!(progress.steps(), [0; 0]);
    assert_in_place(&sshd, &archive);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_go_on_beside_an_upload() {
    let sshd = Sshd::started();
    let mut file = Growing::at(&sshd.events());
    file.write("one\n");
    let mut channel = sshd.channel();
    receive(&mut channel, 1).await;
    let archive = context(4 << 20);
    file.write("two\n");
    within(120, channel.upload(&archive, &Reporter::silent())).await.unwrap();
    assert_eq!(receive(&mut channel, 1).await, b"two\n");
    assert_eq!(Sha256Digest::digest(&fs::read(sshd.context()).unwrap()), archive.sha256());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_needs_no_more_than_busybox() {
    let mut sshd = Sshd::new();
    let tools = sshd.path("bin");
    fs::create_dir(&tools).unwrap();
    let installed = Command::new("/bin/busybox").args(["--install", "-s"]).arg(&tools).status();
    let installed = installed.unwrap_or_else(|error| panic!("/bin/busybox {MISSING}: {error}"));
    assert!(installed.success());
    sshd.force(&format!(
        "PATH={}; export PATH; exec sh -c \"$SSH_ORIGINAL_COMMAND\"",
        tools.display()
    ));
    sshd.start();
    let archive = context(1 << 20);
    upload(sshd.channel(), &archive).await.unwrap();
    assert_in_place(&sshd, &archive);
    let mut file = Growing::at(&sshd.events());
    file.write("one\n");
    let mut channel = sshd.channel();
    assert_eq!(receive(&mut channel, 1).await, b"one\n");
    file.write("two\n");
    assert_eq!(receive(&mut channel, 1).await, b"two\n");
}
