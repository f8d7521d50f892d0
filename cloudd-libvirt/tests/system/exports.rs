//! Images that are being made, and the processes that make them.

use std::time::Duration;

use cloudd_core::provider::{ErrorKind, ImageId, ImageStatus, Provider, Reporter, Size};
use cloudd_libvirt::VmOptions;

use crate::standing_copy::StandingCopy;
use crate::support::{Bench, FILLS, POWERS_OFF, another, pool, soon, virsh, with_guest};

/// Has an image as a process leaves it that is killed while libvirt copies.
fn make_half(bench: &Bench, image: &ImageId) {
    let file = bench.dir.path().join("record");
    let path = file.to_str().unwrap();
    let record = format!("{image}.cloudd-image.json");
    virsh(&["vol-download", &record, path, "--pool", &pool()]);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"ready\"", "\"creating\"")).unwrap();
    virsh(&["vol-upload", &record, path, "--pool", &pool()]);
}

#[tokio::test]
async fn half_an_image_is_not_available_and_is_finished_by_its_own_build() {
    with_guest(POWERS_OFF, |bench| async move {
        let vm = bench.vm_that_ran().await;
        let silent = Reporter::silent();
        let image =
            bench.provider.create_image(&vm.id, &bench.image_spec(), &silent).await.unwrap();
        make_half(&bench, &image.id);

        let other = another(&bench).await;
        let half = other.image(&image.id).await.unwrap().unwrap();
        assert_eq!(half.status, ImageStatus::Creating);
        let started = other.start_vm_from(&image.id, VmOptions::new()).await;
        assert!(started.unwrap_err().to_string().contains("incomplete"));
        let again = other.create_image(&vm.id, &bench.image_spec(), &silent).await.unwrap();
        assert_eq!(again.id, image.id);
        assert_eq!(again.status, ImageStatus::Available);
        assert_eq!(other.image(&image.id).await.unwrap(), Some(again));
    })
    .await;
}

#[tokio::test]
async fn an_image_deleted_while_it_is_made_is_gone_in_the_end() {
    with_guest(POWERS_OFF, |bench| async move {
        let other = another(&bench).await;
        let vm = bench.vm_that_ran().await;
        for _ in 0..4 {
            let spec = bench.image_spec();
            let image = ImageId::new(format!("{}-{}", spec.name, bench.build));
            let silent = Reporter::silent();
            let (made, deleted) =
                tokio::join!(bench.provider.create_image(&vm.id, &spec, &silent), async {
                    soon(async { while other.image(&image).await.unwrap().is_none() {} }).await;
                    other.delete(&image.clone().into()).await
                });
            let left = other.image(&image).await.unwrap();
            match (made, deleted) {
                // It was complete before the other asked, or was given up because he did.
                (Ok(_) | Err(_), Ok(())) => assert_eq!(left, None),
                (made, Err(error)) => {
                    assert_eq!(error.kind(), ErrorKind::Busy, "{made:?}");
                    assert_eq!(made.is_ok(), left.is_some());
                }
            }
            bench.provider.delete(&image.into()).await.unwrap();
            assert!(!bench.volumes().iter().any(|name| name.starts_with("system-test")));
        }
    })
    .await;
}

#[tokio::test]
async fn an_export_that_outlives_its_process_is_waited_for_and_made_anew() {
    with_guest(FILLS, |bench| async move {
        let silent = Reporter::silent();
        let size = Size::mib(64);
        let mut spec = bench.spec().await;
        spec.requirements.volume_size = size;
        spec.resolved.root_size = size;
        let vm = bench.create(&spec).await.vm;
        bench.provider.start_vm(&vm.id, &silent).await.unwrap();
        soon(bench.provider.wait_vm_off(&vm.id)).await.unwrap();
        let spec = bench.image_spec();
        let image = bench.provider.create_image(&vm.id, &spec, &silent).await.unwrap();
        make_half(&bench, &image.id);
        let (root, file) = (format!("{}.root.qcow2", bench.name()), format!("{}.qcow2", image.id));
        virsh(&["vol-delete", &file, "--pool", &pool()]);
        let export = StandingCopy::begin(bench.dir.path(), &root, &file, size);

        let other = another(&bench).await;
        let again = other.create_image(&vm.id, &spec, &silent);
        tokio::pin!(again);
        let early = tokio::time::timeout(Duration::from_secs(4), &mut again).await;
        assert!(early.is_err(), "its file was still written to: {early:?}");
        drop(export);
        let again = soon(again).await.unwrap();
        assert_eq!((again.id, again.status), (image.id, ImageStatus::Available));
    })
    .await;
}
