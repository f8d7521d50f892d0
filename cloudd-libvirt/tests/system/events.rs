//! What a guest writes to its second serial port.

use cloudd_core::guest::GuestChannel;
use cloudd_core::provider::{Provider, Reporter, Size, VmId};

use crate::standing_copy::StandingCopy;
use crate::support::{
    Bench, Guest, HELLO, POWERS_OFF, STAYS_ON, eventually_virsh, pool, soon, virsh, with_guest,
};

const LINES: usize = 280_000;
/// 4.5 MB: virtlogd puts the file aside at 2 MiB.
pub(crate) const FLOODS: Guest = Guest(&["FLOOD=1", "LINES=280000"]);

async fn channel(bench: &Bench, vm: &VmId) -> Box<dyn GuestChannel> {
    bench.provider.open_channel(vm).await.unwrap().unwrap()
}

pub(crate) async fn read_to_end(mut channel: Box<dyn GuestChannel>) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = soon(channel.receive()).await.unwrap() {
        all.extend(bytes);
    }
    all
}

#[tokio::test]
async fn a_channel_opened_before_the_start_gives_everything_and_ends_with_the_vm() {
    with_guest(POWERS_OFF, |bench| async move {
        let vm = bench.vm().await;
        let channel = channel(&bench, &vm.id).await;
        let reading = tokio::spawn(read_to_end(channel));
        bench.provider.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
        assert_eq!(reading.await.unwrap(), format!("{HELLO}\n").as_bytes());
    })
    .await;
}

#[tokio::test]
async fn events_are_heard_while_the_guest_runs() {
    with_guest(STAYS_ON, |bench| async move {
        let vm = bench.started_vm().await;
        let mut channel = channel(&bench, &vm.id).await;
        let first = soon(channel.receive()).await.unwrap().unwrap();
        assert!(first.starts_with(b"{\"cloudd\""), "{first:?}");
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_when_the_log_is_rotated_away() {
    with_guest(FLOODS, |bench| async move {
        // While a copy is running, libvirt refuses to refresh the pool.
        let [source, copy] = ["source", "copy"].map(|it| format!("{}.{it}", bench.name()));
        virsh(&["vol-create-as", &pool(), &source, "64M", "--format", "raw"]);
        let copying = StandingCopy::begin(bench.dir.path(), &source, &copy, Size::mib(64));

        let vm = bench.vm().await;
        let early = tokio::spawn(read_to_end(channel(&bench, &vm.id).await));
        bench.provider.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
        let all = early.await.unwrap();
        assert_flood(&all);
        let rotated = bench.dir.path().join("rotated");
        let file = format!("{}.events.log.1", vm.id);
        virsh(&["vol-download", &file, rotated.to_str().unwrap(), "--pool", &pool()]);
        assert!(rotated.metadata().unwrap().len() > 0, "it was not rotated twice");
        // The same for one who comes when everything is over.
        assert_flood(&read_to_end(channel(&bench, &vm.id).await).await);
        bench.provider.delete(&vm.id.into()).await.unwrap();

        drop(copying);
        for volume in [source, copy] {
            eventually_virsh(&["vol-delete", &volume, "--pool", &pool()]).await;
        }
        eventually_virsh(&["pool-refresh", &pool()]).await;
        assert!(!bench.volumes().iter().any(|name| name.contains(".log")));
    })
    .await;
}

pub(crate) fn assert_flood(all: &[u8]) {
    let text = std::str::from_utf8(all).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some(HELLO));
    let mut count = 0;
    for (number, line) in lines.enumerate() {
        let digits = line.strip_prefix("line   ").unwrap_or_else(|| panic!("{number}: {line:?}"));
        let value = digits.bytes().fold(0, |value, letter| value * 16 + usize::from(letter - b'a'));
        assert_eq!(value, number, "lines are missing or came twice");
        count += 1;
    }
    assert_eq!(count, LINES);
}
