//! The life cycle of a VM: creation, image, and a VM from that image.

use std::time::{SystemTime, UNIX_EPOCH};

use cloudd_core::provider::{
    ErrorKind, PowerState, Provider, Reporter, ResourceId, Selector, VmId,
};
use cloudd_libvirt::VmOptions;

use crate::support::{Bench, POWERS_OFF, soon, virsh, with_guest};

#[tokio::test]
async fn a_guest_runs_its_disk_becomes_an_image_and_the_image_runs() {
    with_guest(POWERS_OFF, |bench| async move {
        let provider = &bench.provider;
        let vm = bench.vm_that_ran().await;
        let console = String::from_utf8(provider.console(&vm.id).await.unwrap()).unwrap();
        assert!(console.contains("hello from the guest"), "{console:?}");

        let image =
            provider.create_image(&vm.id, &bench.image_spec(), &Reporter::silent()).await.unwrap();
        provider.delete(&vm.id.into()).await.unwrap();
        let of_volume = |name: &String| name.contains(".volume.") || name.contains("-volume.");
        let left: Vec<_> = bench.volumes().into_iter().filter(|name| !of_volume(name)).collect();
        assert_eq!(
            left,
            [format!("{}.cloudd-image.json", image.id), format!("{}.qcow2", image.id)]
        );

        let of_build = Selector::build(&bench.build);
        assert_eq!(provider.images(&of_build).await.unwrap(), std::slice::from_ref(&image));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!((now - 120..=now).contains(&image.created), "{image:?} now {now}");

        let raw = read_image(&bench, image.id.as_str());
        assert_eq!(raw.len(), 16 << 20, "the size of the root disk");
        assert_eq!(raw[..512], POWERS_OFF.assemble(bench.dir.path()));
        assert_eq!(&raw[1024..1037], b"CLOUDD-MARKER", "what the guest wrote");
        assert!(raw[1536..].iter().all(|byte| *byte == 0));

        let copied = VmOptions::new().labels(image.labels.clone());
        let refused = provider.start_vm_from(&image.id, copied).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidInput, "labels of cloudd from a user");
        let second = provider.start_vm_from(&image.id, VmOptions::new()).await.unwrap();
        let deleted = provider.delete(&image.id.clone().into()).await;
        assert_eq!(deleted.unwrap_err().kind(), ErrorKind::Busy, "an image under a VM");
        soon(provider.wait_vm_off(&second.id)).await.unwrap();
        let console = String::from_utf8(provider.console(&second.id).await.unwrap()).unwrap();
        assert!(console.contains("hello from the guest"), "{console:?}");
        provider.delete(&second.id.into()).await.unwrap();
        provider.delete(&image.id.clone().into()).await.unwrap();
        assert_eq!(provider.image(&image.id).await.unwrap(), None);
    })
    .await;
}

/// The disk in an image, read by QEMU's own tool.
fn read_image(bench: &Bench, image: &str) -> Vec<u8> {
    let file = bench.dir.path().join("image.qcow2");
    let (volume, to) = (format!("{image}.qcow2"), file.to_str().unwrap());
    virsh(&["vol-download", &volume, to, "--pool", &crate::support::pool()]);
    let raw = bench.dir.path().join("image.raw");
    let converted = std::process::Command::new("qemu-img")
        .args(["convert", "-f", "qcow2", "-O", "raw"])
        .args([&file, &raw])
        .status();
    assert!(converted.unwrap().success());
    std::fs::read(raw).unwrap()
}

#[tokio::test]
async fn deleting_leaves_nothing_not_even_logs() {
    with_guest(POWERS_OFF, |bench| async move {
        let vm = bench.vm_that_ran().await;
        let found = bench.provider.find(&Selector::build(&bench.build)).await.unwrap();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(bench.volumes().len() >= 6, "{:?}", bench.volumes());
        bench.provider.delete(&vm.id.into()).await.unwrap();
        let volume = found.iter().find(|it| matches!(it.id, ResourceId::Volume(_))).unwrap();
        bench.provider.delete(&volume.id).await.unwrap();
        assert_eq!(bench.volumes(), [""; 0]);
        assert!(!virsh(&["list", "--all"]).contains(bench.build.as_str()));
    })
    .await;
}

#[tokio::test]
async fn a_half_made_vm_is_found_finished_and_deleted() {
    with_guest(POWERS_OFF, |bench| async move {
        // The state after a process died right after it had defined the domain.
        let spec = bench.spec().await;
        let vm = bench.create(&spec).await.vm;
        let name = vm.id.as_str();
        let xml = virsh(&["dumpxml", name]).replace("state=\"ready\"", "state=\"creating\"");
        let cut = xml.find("<devices>").unwrap()..xml.find("</devices>").unwrap() + 10;
        let file = bench.dir.path().join("half.xml");
        std::fs::write(&file, [&xml[..cut.start], &xml[cut.end..]].concat()).unwrap();
        virsh(&["define", file.to_str().unwrap()]);
        for gone in [".root.qcow2", ".events.log"] {
            virsh(&["vol-delete", &format!("{name}{gone}"), "--pool", &crate::support::pool()]);
        }

        let found = bench.provider.find(&Selector::build(&bench.build)).await.unwrap();
        assert!(found.iter().any(|it| it.id == ResourceId::Vm(vm.id.clone())), "{found:?}");
        let started = bench.provider.start_vm(&vm.id, &Reporter::silent()).await;
        assert!(started.unwrap_err().to_string().contains("incomplete"));

        let again = bench.create(&spec).await.vm;
        assert_eq!(again.id, vm.id);
        bench.provider.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
        soon(bench.provider.wait_vm_off(&vm.id)).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_qemu_that_is_killed_is_stuck_and_never_off() {
    with_guest(crate::support::STAYS_ON, |bench| async move {
        let vm = bench.started_vm().await;
        let pid = std::fs::read_to_string(format!("/run/libvirt/qemu/{}.pid", vm.id)).unwrap();
        let killed = std::process::Command::new("kill").args(["-9", pid.trim()]).status();
        assert!(killed.unwrap().success());
        let error = soon(bench.provider.wait_vm_off(&vm.id)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Gone);
        assert!(error.to_string().contains("the QEMU process has ended"), "{error}");
        let state = bench.provider.vm(&vm.id).await.unwrap().unwrap().state;
        assert!(matches!(state, PowerState::Error(_)), "{state:?}");
    })
    .await;
}

#[tokio::test]
async fn whether_a_vm_ever_ran_is_known_when_it_is_off() {
    with_guest(POWERS_OFF, |bench| async move {
        let provider = &bench.provider;
        let vm = bench.vm().await;
        assert_eq!(started(&bench, &vm.id).await, Some(false));
        forget_why_off(&bench, vm.id.as_str());
        assert_eq!(started(&bench, &vm.id).await, Some(false));

        provider.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
        assert_eq!(started(&bench, &vm.id).await, Some(true));
        soon(provider.wait_vm_off(&vm.id)).await.unwrap();
        assert_eq!(started(&bench, &vm.id).await, Some(true));
        // From here on only the logs of the guest show that it ran.
        forget_why_off(&bench, vm.id.as_str());
        assert_eq!(started(&bench, &vm.id).await, Some(true));

        provider.delete(&vm.id.clone().into()).await.unwrap();
        assert_eq!(started(&bench, &vm.id).await, None);
    })
    .await;
}

/// Whether the VM was ever started; `None` if it does not exist.
async fn started(bench: &Bench, vm: &VmId) -> Option<bool> {
    bench.provider.vm(vm).await.unwrap().and_then(|vm| vm.started)
}

/// Has the effect of a restart of the daemon without disturbing other tests.
fn forget_why_off(bench: &Bench, vm: &str) {
    let file = bench.dir.path().join("forgotten.xml");
    std::fs::write(&file, virsh(&["dumpxml", vm])).unwrap();
    virsh(&["undefine", vm]);
    virsh(&["define", file.to_str().unwrap()]);
    assert!(virsh(&["domstate", "--reason", vm]).contains("unknown"));
}
