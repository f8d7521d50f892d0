//! Conflicts of several processes on one pool, which libvirt does not prevent.

use std::time::Instant;

use cloudd_core::provider::{
    BuildId, BuilderVm, ErrorKind, Labels, Provider, Reporter, ResourceId, Selector, VmId, keys,
};

use crate::support::{
    Bench, POWERS_OFF, STAYS_ON, another, join_all, pool, soon, virsh, with_guest,
};

#[tokio::test]
async fn a_volume_attached_by_one_process_is_not_deleted_by_another() {
    with_guest(STAYS_ON, |bench| async move {
        let other = another(&bench).await;
        let spec = bench.spec().await;
        let BuilderVm { vm, volume, .. } = bench.create(&spec).await;
        let id = ResourceId::from(volume.id.clone());
        for running in [false, true] {
            if running {
                other.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
            }
            let error = other.delete(&id).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
            assert!(error.to_string().contains(vm.id.as_str()), "{error}");
        }
        // The refused deletion did not change the volume.
        let again = other.create_builder(&spec, &Reporter::silent()).await.unwrap();
        assert_eq!(again.volume, volume);
        other.delete(&vm.id.into()).await.unwrap();
        other.delete(&id).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_volume_that_somebody_attached_by_hand_is_not_deleted() {
    with_guest(STAYS_ON, |bench| async move {
        let volume = bench.volume().await;
        let name = format!("foreign-{}", bench.build);
        virsh(&["create", &foreign_domain(&bench, &name, &volume.name)]);
        let refused = bench.provider.delete(&volume.id.clone().into()).await;
        // A domain that another program defined is not deleted, whatever its name.
        let foreign = bench.provider.delete(&VmId::new(&name).into()).await;
        virsh(&["destroy", &name]);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Busy);
        assert!(foreign.unwrap_err().to_string().contains("not created by cloudd"));
        bench.provider.delete(&volume.id.into()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_volume_is_attached_to_one_vm_only() {
    with_guest(POWERS_OFF, |bench| async move {
        let volume = bench.volume().await;
        let name = format!("foreign-{}", bench.build);
        let file = foreign_domain(&bench, &name, &volume.name);
        virsh(&["define", &file]);
        let spec = bench.spec().await;
        let created = bench.provider.create_builder(&spec, &Reporter::silent()).await;
        virsh(&["undefine", &name]);
        let error = created.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
        assert!(error.to_string().contains(&name), "{error}");
        assert!(!virsh(&["list", "--all"]).contains(&spec.name), "the second VM is left");
        assert!(!bench.volumes().iter().any(|name| name.contains(".root.")));
    })
    .await;
}

#[tokio::test]
async fn of_many_that_create_one_name_exactly_one_succeeds() {
    with_guest(POWERS_OFF, |bench| async move {
        let other = another(&bench).await;
        let mut tries = Vec::new();
        for number in 0..8 {
            let build = BuildId::random();
            let mut spec = bench.spec().await;
            spec.labels = Labels::from_iter([(keys::BUILD, build.as_str())]);
            let provider = if number % 2 == 0 { &*bench.provider } else { &other };
            tries.push(async move { provider.create_builder(&spec, &Reporter::silent()).await });
        }
        let results = join_all(tries).await;
        let (made, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(made.len(), 1, "{made:?}");
        for error in refused {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::AlreadyExists);
        }
        let BuilderVm { vm, volume, .. } = made.into_iter().next().unwrap().unwrap();
        other.delete(&vm.id.into()).await.unwrap();
        other.delete(&volume.id.into()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_volume_that_is_used_and_deleted_at_once_is_one_or_the_other() {
    const ROUNDS: u32 = 12;
    with_guest(POWERS_OFF, |bench| async move {
        let other = another(&bench).await;
        // How long making a VM takes here and now says when deleting comes at the same time.
        let began = Instant::now();
        let vm = bench.vm().await;
        let usual = began.elapsed();
        bench.provider.delete(&vm.id.into()).await.unwrap();
        let mut outcomes = (0, 0);
        for round in 0..ROUNDS {
            let id = ResourceId::from(bench.volume().await.id);
            let (spec, silent) = (bench.spec().await, Reporter::silent());
            let (created, deleted) =
                tokio::join!(bench.provider.create_builder(&spec, &silent), async {
                    tokio::time::sleep(usual * 2 * round / ROUNDS).await;
                    other.delete(&id).await
                });
            let volume_is_there = bench.volumes().iter().any(|it| it.ends_with(".volume.qcow2"));
            // Deleted first, the volume is created again together with its VM.
            match &deleted {
                Err(_) => outcomes.0 += 1,
                Ok(()) => outcomes.1 += 1,
            }
            let expected = created.is_ok() || deleted.is_err();
            assert_eq!(volume_is_there, expected, "{created:?} {deleted:?}");
            for name in [ResourceId::Vm(VmId::new(&spec.name)), id] {
                soon(bench.provider.delete(&name)).await.unwrap();
            }
        }
        assert!(outcomes.0 > 0 && outcomes.1 > 0, "no real race: {outcomes:?}");
    })
    .await;
}

#[tokio::test]
async fn a_record_whose_writer_died_is_found_by_its_build_and_deleted() {
    with_guest(POWERS_OFF, |bench| async move {
        let record = format!("{}.cloudd-volume.json", bench.name());
        virsh(&["vol-create-as", &pool(), &record, "0"]);
        let found = bench.provider.find(&Selector::build(&bench.build)).await.unwrap();
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].labels.get(keys::EXPIRES).is_some(), "it could not be swept");
        bench.provider.delete(&found[0].id).await.unwrap();
        assert_eq!(bench.volumes(), [""; 0]);
        // And the same build, tried again, takes it up.
        virsh(&["vol-create-as", &pool(), &record, "0"]);
        bench.volume().await;
    })
    .await;
}

/// The XML file of a domain that is not cloudd's and uses this volume.
fn foreign_domain(bench: &Bench, name: &str, volume: &str) -> String {
    let path = virsh(&["vol-path", &format!("{volume}.volume.qcow2"), &pool()]);
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory>\
         <os><type arch='x86_64'>hvm</type></os><devices><disk type='file' device='disk'>\
         <driver name='qemu' type='qcow2'/><source file='{}'/><target dev='vda'/></disk>\
         </devices></domain>",
        path.trim()
    );
    let file = bench.dir.path().join("foreign.xml");
    std::fs::write(&file, xml).unwrap();
    file.to_str().unwrap().to_owned()
}
