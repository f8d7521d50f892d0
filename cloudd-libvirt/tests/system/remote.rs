//! A libvirt on another machine, reached through ssh, and connections that are lost.

use std::time::{Duration, Instant};

use cloudd_core::provider::{PowerState, Provider, Reporter};
use cloudd_libvirt::BaseImage;

use crate::events::{FLOODS, assert_flood, read_to_end};
use crate::sshd::Sshd;
use crate::support::{Bench, Guest, HELLO, POWERS_OFF, STAYS_ON, builder_at, soon, with_provider};

async fn with_remote<F, Fut>(guest: Guest, sshd: &Sshd, test: F)
where
    F: FnOnce(std::sync::Arc<Bench>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let base = BaseImage::path(guest.disk(dir.path()));
    let provider = builder_at(&sshd.uri()).base_image(base).connect().await.unwrap();
    with_provider(dir, provider, test).await;
}

#[tokio::test]
async fn a_remote_vm_is_built_heard_and_exported_as_a_local_one() {
    let sshd = Sshd::start();
    with_remote(POWERS_OFF, &sshd, |bench| async move {
        let vm = bench.vm().await;
        let channel = bench.provider.open_channel(&vm.id).await.unwrap().unwrap();
        let heard = tokio::spawn(read_to_end(channel));
        bench.provider.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
        soon(bench.provider.wait_vm_off(&vm.id)).await.unwrap();
        assert_eq!(heard.await.unwrap(), format!("{HELLO}\n").as_bytes());
        let silent = Reporter::silent();
        let image = bench.provider.create_image(&vm.id, &bench.image_spec(), &silent).await;
        assert_eq!(image.unwrap().disk_size, cloudd_core::provider::Size::mib(16));
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_breaks_is_opened_again_and_no_event_is_lost() {
    let sshd = std::sync::Arc::new(Sshd::start());
    let (far, end) = (std::sync::Arc::clone(&sshd), sshd);
    with_remote(FLOODS, &end, |bench| async move {
        let vm = bench.vm().await;
        let channel = bench.provider.open_channel(&vm.id).await.unwrap().unwrap();
        let heard = tokio::spawn(read_to_end(channel));
        bench.provider.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert!(far.signal_connections("-KILL") > 0);
            assert!(bench.provider.vm(&vm.id).await.unwrap().is_some());
        }
        soon(bench.provider.wait_vm_off(&vm.id)).await.unwrap();
        assert_flood(&heard.await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn a_connection_that_freezes_is_noticed_and_opened_again() {
    let sshd = std::sync::Arc::new(Sshd::start());
    let (far, end) = (std::sync::Arc::clone(&sshd), sshd);
    with_remote(STAYS_ON, &end, |bench| async move {
        let vm = bench.started_vm().await;
        assert!(far.signal_connections("-STOP") > 0);
        let began = Instant::now();
        let seen = soon(bench.provider.vm(&vm.id)).await.unwrap().unwrap();
        assert_eq!(seen.state, PowerState::Running);
        assert!(began.elapsed() > Duration::from_secs(1), "nothing was frozen");
    })
    .await;
}
