//! Images that are being made, and the processes that make them.

use std::process::Command;
use std::time::{Duration, Instant};

use cloudd_core::provider::{
    ErrorKind, ImageId, ImageStatus, Provider, Reporter, Size, VolumeSpec,
};
use cloudd_libvirt::VmOptions;

use crate::support::{
    Bench, FILLS, POWERS_OFF, another, as_root, pool, soon, uri, virsh, with_guest,
};

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
        let volume = VolumeSpec::new(bench.name(), size, bench.labels());
        let volume = bench.provider.create_volume(&volume, &silent).await.unwrap();
        let mut spec = bench.vm_spec(volume).await;
        spec.offer.root_size = size;
        let vm = bench.provider.create_vm(&spec, &silent).await.unwrap();
        bench.provider.start_vm(&vm.id, &silent).await.unwrap();
        soon(bench.provider.wait_vm_off(&vm.id)).await.unwrap();
        let spec = bench.image_spec();
        let image = bench.provider.create_image(&vm.id, &spec, &silent).await.unwrap();
        make_half(&bench, &image.id);
        let export = Export::left_behind(&bench, &image.id);

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

/// A copy of a root disk to the file of an image, made by the daemon for a client that is dead. It
/// stands still until this is dropped.
struct Export {
    process: String,
}

impl Export {
    fn left_behind(bench: &Bench, image: &ImageId) -> Self {
        let (root, file) = (format!("{}.root.qcow2", bench.name()), format!("{image}.qcow2"));
        virsh(&["vol-delete", &file, "--pool", &pool()]);
        let xml = bench.dir.path().join("image.xml");
        let rest = "<capacity unit='MiB'>64</capacity><target><format type='qcow2'/></target>";
        std::fs::write(&xml, format!("<volume><name>{file}</name>{rest}</volume>")).unwrap();
        let create = || {
            Command::new("virsh")
                .args(["-q", "-c", &uri(), "vol-create-from", &pool(), xml.to_str().unwrap()])
                .args([&root, "--inputpool", &pool()])
                .spawn()
                .unwrap()
        };
        let begun = Instant::now();
        let mut client = create();
        let process = loop {
            if let Some(process) = copying_to(&file) {
                break process;
            }
            // It was over before it was seen.
            if client.try_wait().unwrap().is_some() {
                virsh(&["vol-delete", &file, "--pool", &pool()]);
                client = create();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it is never seen");
        };
        as_root("kill", &["-STOP", &process]);
        client.kill().unwrap();
        client.wait().unwrap();
        Self { process }
    }
}

/// The process in which libvirt copies a disk to this file, if there is one now. Looked for without
/// starting a program: it may live for a tenth of a second.
fn copying_to(file: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut ids = processes.filter_map(|it| it.file_name().into_string().ok());
    ids.find(|id| {
        let command = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let mut words = command.split('\0');
        words.next().is_some_and(|program| program.ends_with("qemu-img"))
            && words.next() == Some("convert")
            && words.any(|word| word.ends_with(&format!("/{file}")))
    })
}

impl Drop for Export {
    fn drop(&mut self) {
        as_root("kill", &["-CONT", &self.process]);
    }
}
