//! Disks that are in use in ways that only a look beyond the pool shows, and records that are not
//! understood: nothing of it is deleted.

use cloudd_core::provider::{
    BuilderVm, ErrorKind, ImageId, ImageStatus, Provider, Reporter, ResourceId, Selector, keys,
};

use crate::support::{Bench, POWERS_OFF, pool, soon, unique, virsh, with_guest};

/// Creates a volume of the pool and a record with these changes.
fn put_image(bench: &Bench, change: impl Fn(&mut serde_json::Value)) -> String {
    let name = format!("system-test-{}", bench.build);
    let mut record = serde_json::json!({
        "cloudd": 1, "kind": "image", "name": name, "state": "ready",
        "data": format!("{name}.qcow2"), "size": 4 << 20, "created": 1,
        "labels": { keys::BUILD: bench.build.as_str() },
    });
    change(&mut record);
    virsh(&["vol-create-as", &pool(), &format!("{name}.qcow2"), "4M", "--format", "qcow2"]);
    put_record(bench, &name, &record.to_string());
    name
}

fn put_record(bench: &Bench, name: &str, text: &str) {
    let file = bench.dir.path().join("record");
    std::fs::write(&file, text).unwrap();
    let record = format!("{name}.cloudd-image.json");
    virsh(&["vol-create-as", &pool(), &record, "0"]);
    virsh(&["vol-upload", &record, file.to_str().unwrap(), "--pool", &pool()]);
}

fn remove(volumes: &[String]) {
    for volume in volumes {
        virsh(&["vol-delete", volume, "--pool", &pool()]);
    }
}

fn path(volume: &str) -> String {
    virsh(&["vol-path", volume, &pool()]).trim().to_owned()
}

/// Defines a domain that is off, with a disk of this type and source.
fn define(bench: &Bench, disk: &str) -> String {
    let name = format!("foreign-{}", unique());
    let xml = format!(
        "<domain type='qemu'><name>{name}</name><memory unit='MiB'>16</memory>\
         <os><type arch='x86_64'>hvm</type></os><devices>{disk}</devices></domain>"
    );
    let file = bench.dir.path().join("foreign.xml");
    std::fs::write(&file, xml).unwrap();
    virsh(&["define", file.to_str().unwrap()]);
    name
}

fn file_disk(path: &str) -> String {
    format!(
        "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>\
         <target dev='vda'/></disk>"
    )
}

fn overlay(of: &str, path: &str) {
    let mut create = std::process::Command::new("qemu-img");
    create.args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", of, path]);
    assert!(create.status().unwrap().success());
}

async fn assert_busy(bench: &Bench, id: impl Into<ResourceId>, user: &str) {
    let error = bench.provider.delete(&id.into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{error:?}");
    assert!(error.to_string().contains(user), "{error}");
}

#[tokio::test]
async fn an_image_that_a_vm_names_by_pool_and_volume_is_not_deleted() {
    with_guest(POWERS_OFF, |bench| async move {
        let image = put_image(&bench, |_| ());
        let disk = format!(
            "<disk type='volume' device='disk'><driver name='qemu' type='qcow2'/>\
             <source pool='{}' volume='{image}.qcow2'/><target dev='vda'/></disk>",
            pool()
        );
        let vm = define(&bench, &disk);
        assert_busy(&bench, ImageId::new(&image), &vm).await;
        virsh(&["undefine", &vm]);
        // The refused deletion did not change the image.
        let found = bench.provider.image(&ImageId::new(&image)).await.unwrap().unwrap();
        assert_eq!(found.status, ImageStatus::Available);
        bench.provider.delete(&ImageId::new(&image).into()).await.unwrap();
        assert_eq!(bench.volumes(), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn an_image_under_a_disk_outside_of_all_pools_is_not_deleted() {
    with_guest(POWERS_OFF, |bench| async move {
        let image = put_image(&bench, |_| ());
        let other = bench.dir.path().join("other");
        std::fs::create_dir(&other).unwrap();
        let file = |name: &str| other.join(name).to_str().unwrap().to_owned();
        overlay(&path(&format!("{image}.qcow2")), &file("below.qcow2"));
        let above = bench.dir.path().join("above.qcow2").to_str().unwrap().to_owned();
        overlay(&file("below.qcow2"), &above);
        for disk in [file("below.qcow2"), above] {
            let vm = define(&bench, &file_disk(&disk));
            assert_busy(&bench, ImageId::new(&image), &vm).await;
            virsh(&["undefine", &vm]);
        }
        let missing = define(&bench, &file_disk("/nonexistent/disk.qcow2"));
        bench.provider.delete(&ImageId::new(&image).into()).await.unwrap();
        virsh(&["undefine", &missing]);
    })
    .await;
}

#[tokio::test]
async fn an_image_with_an_overlay_in_another_pool_is_not_deleted() {
    with_guest(POWERS_OFF, |bench| async move {
        let image = put_image(&bench, |_| ());
        let other = bench.dir.path().join("pool");
        std::fs::create_dir(&other).unwrap();
        overlay(&path(&format!("{image}.qcow2")), other.join("top.qcow2").to_str().unwrap());
        let name = format!("other-{}", bench.build);
        virsh(&["pool-create-as", &name, "dir", "--target", other.to_str().unwrap()]);
        let refused = bench.provider.delete(&ImageId::new(&image).into()).await;
        virsh(&["pool-destroy", &name]);
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("top.qcow2, which is an overlay"), "{error}");
        bench.provider.delete(&ImageId::new(&image).into()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn an_image_under_a_snapshot_is_not_deleted() {
    with_guest(POWERS_OFF, |bench| async move {
        let image = put_image(&bench, |_| ());
        let vm = define(&bench, &file_disk(&path(&format!("{image}.qcow2"))));
        virsh(&["snapshot-create-as", &vm, "later", "--disk-only"]);
        assert_busy(&bench, ImageId::new(&image), "").await;
        // The VM now has a disk that libvirt does not list as a volume.
        virsh(&["snapshot-delete", &vm, "later", "--metadata"]);
        assert_busy(&bench, ImageId::new(&image), "").await;
        virsh(&["undefine", &vm]);
        soon(async {
            while bench.volumes().iter().any(|volume| volume.ends_with(".later")) {
                remove(&[format!("{image}.later")]);
            }
        })
        .await;
        bench.provider.delete(&ImageId::new(&image).into()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_vm_whose_disk_another_vm_uses_is_left_as_it_is() {
    with_guest(POWERS_OFF, |bench| async move {
        let spec = bench.spec().await;
        let BuilderVm { vm, .. } = bench.create(&spec).await;
        let top = bench.dir.path().join("top.qcow2").to_str().unwrap().to_owned();
        overlay(&path(&format!("{}.root.qcow2", vm.name)), &top);
        let other = define(&bench, &file_disk(&top));
        assert_busy(&bench, vm.id.clone(), &other).await;
        virsh(&["undefine", &other]);
        let again = bench.provider.create_builder(&spec, &Reporter::silent()).await.unwrap();
        assert_eq!(again.vm.id, vm.id);
        bench.provider.delete(&vm.id.into()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_record_that_is_not_understood_is_listed_and_not_deleted() {
    type Change = fn(&mut serde_json::Value);
    let changes: [Change; 2] =
        [|record| record["cloudd"] = 2.into(), |record| record["architecture"] = "riscv64".into()];
    for change in changes {
        with_guest(POWERS_OFF, move |bench| async move {
            let image = put_image(&bench, |record| {
                record["labels"][keys::EXPIRES] = "1".into();
                change(record);
            });
            let selector = Selector::build(&bench.build);
            let found = bench.provider.find(&selector).await.unwrap();
            assert_eq!(found.len(), 1, "{found:?}");
            assert_eq!(found[0].labels.get(keys::EXPIRES), None, "it could be swept");
            let images = bench.provider.images(&selector).await.unwrap();
            assert!(images[0].protected && images[0].status == ImageStatus::Broken);
            let before = bench.volumes();
            let error = bench.provider.delete(&found[0].id).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protected, "{error:?}");
            assert!(error.to_string().contains(&image), "{error}");
            assert_eq!(bench.volumes(), before);
            remove(&before);
        })
        .await;
    }
}

#[tokio::test]
async fn a_record_does_not_direct_deletion_to_another_volume() {
    with_guest(POWERS_OFF, |bench| async move {
        let victim = format!("victim-{}.qcow2", bench.build);
        virsh(&["vol-create-as", &pool(), &victim, "4M", "--format", "qcow2"]);
        let image = put_image(&bench, |record| record["data"] = victim.as_str().into());
        let error = bench.provider.delete(&ImageId::new(&image).into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protected, "{error:?}");
        assert!(error.to_string().contains(&victim), "{error}");
        assert_eq!(bench.volumes().len(), 3, "{:?}", bench.volumes());
        remove(&bench.volumes());
    })
    .await;
}

#[tokio::test]
async fn a_damaged_record_does_not_delete_data() {
    with_guest(POWERS_OFF, |bench| async move {
        let image = format!("system-test-{}", bench.build);
        let data = format!("{image}.qcow2");
        virsh(&["vol-create-as", &pool(), &data, "4M", "--format", "qcow2"]);
        put_record(&bench, &image, "{\"cloudd\":1,\"kind\":\"ima");
        let error = bench.provider.delete(&ImageId::new(&image).into()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protected, "{error:?}");
        assert!(bench.volumes().contains(&data));
        remove(&[data]);
        bench.provider.delete(&ImageId::new(&image).into()).await.unwrap();
        assert_eq!(bench.volumes(), [""; 0]);
    })
    .await;
}
