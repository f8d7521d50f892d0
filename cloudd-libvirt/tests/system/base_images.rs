//! Where base images come from, and what is left of them.

use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::install::Sha256Digest;
use cloudd_core::provider::{
    Architecture, BuildRequirements, ErrorKind, Provider, Report, Reporter, Size,
};
use cloudd_libvirt::{BaseImage, CachedBaseImage, Libvirt};

use crate::http::Server;
use crate::support::{
    BASE_SIZE, Bench, POWERS_OFF, builder, pool, soon, unique, virsh, with_provider,
};

/// A disk of the guest that no other test has: its content is its name in the cache.
fn unique_disk(dir: &std::path::Path) -> Vec<u8> {
    let path = POWERS_OFF.disk(dir);
    let mut disk = std::fs::read(&path).unwrap();
    let nonce = unique();
    disk[BASE_SIZE - 512..][..nonce.len()].copy_from_slice(nonce.as_bytes());
    std::fs::write(path, &disk).unwrap();
    disk
}

fn sha256(bytes: &[u8]) -> String {
    Sha256Digest::digest(bytes).to_string()
}

/// Deletes from the cache, when it is dropped, what only one test used.
struct Uncache(String);

impl Drop for Uncache {
    fn drop(&mut self) {
        for volume in cached(&self.0) {
            virsh(&["vol-delete", &volume, "--pool", &pool()]);
        }
    }
}

/// The cache's volumes for this content.
fn cached(sha256: &str) -> Vec<String> {
    let listed = virsh(&["vol-list", &pool()]);
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| name.contains(&sha256[..16])).map(str::to_owned).collect()
}

async fn connect(base: BaseImage) -> Libvirt {
    builder().base_image(base).upload_patience(Duration::from_secs(3)).connect().await.unwrap()
}

async fn prepare(bench: &Bench, reporter: &Reporter) -> cloudd_core::provider::Result<()> {
    let resolved = bench.provider.resolve(&bench.requirements()).await?;
    bench.provider.ensure_base_image(&bench.requirements(), &resolved, reporter).await
}

async fn boots(bench: &Bench) {
    let vm = bench.vm_that_ran().await;
    let console = String::from_utf8(bench.provider.console(&vm.id).await.unwrap()).unwrap();
    assert!(console.contains("hello from the guest"), "{console:?}");
}

#[tokio::test]
async fn a_download_is_cached_by_its_content_and_boots() {
    let dir = tempfile::tempdir().unwrap();
    let disk = unique_disk(dir.path());
    let sum = sha256(&disk);
    let _uncache = Uncache(sum.clone());
    let server = Server::start(disk).await;
    let provider = connect(BaseImage::url(server.url(), sum.to_uppercase())).await;
    with_provider(dir, provider, |bench| async move {
        let reports = Arc::new(std::sync::Mutex::new(Vec::new()));
        let recorded = Arc::clone(&reports);
        let reporter = Reporter::new(move |report| recorded.lock().unwrap().push(report));
        prepare(&bench, &reporter).await.unwrap();
        let last = reports.lock().unwrap().pop();
        assert!(
            matches!(last, Some(Report::Progress { done, total: Some(total), .. }) if done == total),
            "{last:?}"
        );
        let asked = server.requests();
        boots(&bench).await;
        assert_eq!(server.requests(), asked, "the cache was not used");
        assert_eq!(cached(&sum).len(), 2);
    })
    .await;
}

#[tokio::test]
async fn a_wrong_checksum_is_an_error_before_any_vm_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = unique_disk(dir.path());
    let (actual, wrong) = (sha256(&disk), sha256(unique().as_bytes()));
    let server = Server::start(disk).await;
    let provider = connect(BaseImage::url(server.url(), &wrong)).await;
    with_provider(dir, provider, |bench| async move {
        let error = prepare(&bench, &Reporter::silent()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.contains(&wrong) && text.contains(&actual), "{text}");
        assert_eq!(cached(&wrong), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn a_download_that_breaks_off_or_is_not_there_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = unique_disk(dir.path());
    let sum = sha256(&disk);
    let _uncache = Uncache(sum.clone());
    let server = Server::start(disk).await;
    let provider = connect(BaseImage::url(server.url_that_breaks_off(), &sum)).await;
    let missing = BaseImage::url(server.url_that_is_missing(), &sum);
    with_provider(dir, provider, |bench| async move {
        let error = prepare(&bench, &Reporter::silent()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connection, "{error:?}");
        assert_eq!(cached(&sum), [""; 0]);

        let other = connect(missing).await;
        let error = other.resolve(&bench.requirements()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.to_string().contains("404"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_download_without_end_is_an_error_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    unique_disk(dir.path());
    let (raw, qcow2) = (dir.path().join("base.img"), dir.path().join("base.qcow2"));
    let mut convert = Command::new("qemu-img");
    convert.args(["convert", "-O", "qcow2"]).args([&raw, &qcow2]);
    assert!(convert.status().unwrap().success());
    let disk = std::fs::read(qcow2).unwrap();
    let sum = sha256(&disk);
    let _uncache = Uncache(sum.clone());
    let server = Server::start(disk).await;
    let provider = connect(BaseImage::url(server.url_without_end(), &sum)).await;
    with_provider(dir, provider, |bench| async move {
        let error = soon(prepare(&bench, &Reporter::silent())).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.to_string().contains("is longer than"), "{error}");
        assert_eq!(cached(&sum), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn secrets_in_a_url_are_in_no_error_and_not_in_the_pool() {
    const SECRETS: [&str; 3] = ["alice", "hunter2", "s3cret"];
    let assert_public = |text: &str| {
        assert!(!SECRETS.iter().any(|secret| text.contains(secret)), "{text}");
    };
    let dir = tempfile::tempdir().unwrap();
    let disk = unique_disk(dir.path());
    let sum = sha256(&disk);
    let wrong = sha256(unique().as_bytes());
    let _uncache = Uncache(sum.clone());
    let server = Server::start(disk).await;
    for (path, sum) in [("missing", &sum), ("breaks-off", &sum), ("base.img", &wrong)] {
        let provider = connect(BaseImage::url(server.url_with_secrets(path), sum)).await;
        assert_public(&format!("{provider} {provider:?}"));
        let requirements = BuildRequirements::new(Architecture::X86_64, Size::mib(16));
        let error = match provider.resolve(&requirements).await {
            Ok(resolved) => provider
                .ensure_base_image(&requirements, &resolved, &Reporter::silent())
                .await
                .unwrap_err(),
            Err(error) => error,
        };
        assert_public(&format!("{error} {error:?}"));
    }
    let provider = connect(BaseImage::url(server.url_with_secrets("base.img"), &sum)).await;
    with_provider(dir, provider, |bench| async move {
        prepare(&bench, &Reporter::silent()).await.unwrap();
        let file = bench.dir.path().join("record");
        let record = format!("cloudd-base-{sum}.cloudd-base.json");
        virsh(&["vol-download", &record, file.to_str().unwrap(), "--pool", &pool()]);
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains("/base.img?…"), "{text}");
        assert_public(&text);
    })
    .await;
}

#[tokio::test]
async fn a_qcow2_file_is_a_base_and_one_with_another_under_it_is_not() {
    let dir = tempfile::tempdir().unwrap();
    unique_disk(dir.path());
    let raw = dir.path().join("base.img");
    let (qcow2, overlay) = (dir.path().join("base.qcow2"), dir.path().join("overlay.qcow2"));
    let image = |arguments: &[&str]| {
        assert!(Command::new("qemu-img").args(arguments).output().unwrap().status.success());
    };
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    image(&["convert", "-O", "qcow2", &text(&raw), &text(&qcow2)]);
    image(&["create", "-f", "qcow2", "-F", "raw", "-b", &text(&raw), &text(&overlay)]);
    let _uncache = Uncache(sha256(&std::fs::read(&qcow2).unwrap()));
    let provider = connect(BaseImage::path(qcow2)).await;
    with_provider(dir, provider, |bench| async move {
        boots(&bench).await;
        let other = connect(BaseImage::path(overlay)).await;
        let error = other.resolve(&bench.requirements()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("must be self-contained"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn a_volume_of_the_user_is_a_base_until_somebody_writes_to_it() {
    let dir = tempfile::tempdir().unwrap();
    unique_disk(dir.path());
    let file = dir.path().join("base.img").to_str().unwrap().to_owned();
    let name = format!("user-{}.img", unique());
    virsh(&["vol-create-as", &pool(), &name, "4M"]);
    virsh(&["vol-upload", &name, &file, "--pool", &pool()]);
    let provider = connect(BaseImage::volume(&name)).await;
    let volume = name.clone();
    with_provider(dir, provider, |bench| async move {
        let spec = bench.spec().await;
        virsh(&["vol-upload", &volume, &file, "--pool", &pool()]);
        let error = bench.provider.create_builder(&spec, &Reporter::silent()).await.unwrap_err();
        assert!(error.to_string().contains("was written to"), "{error}");
        boots(&bench).await;
    })
    .await;
    virsh(&["vol-delete", &name, "--pool", &pool()]);
}

#[tokio::test]
async fn two_processes_bring_one_base_image_into_the_pool() {
    let dir = tempfile::tempdir().unwrap();
    let sum = sha256(&unique_disk(dir.path()));
    let _uncache = Uncache(sum.clone());
    let base = BaseImage::path(dir.path().join("base.img"));
    let second = connect(base.clone()).await;
    let first = connect(base).await;
    with_provider(dir, first, |bench| async move {
        let resolved = second.resolve(&bench.requirements()).await.unwrap();
        let silent = Reporter::silent();
        let requirements = bench.requirements();
        let (a, b) = tokio::join!(
            prepare(&bench, &silent),
            second.ensure_base_image(&requirements, &resolved, &silent),
        );
        a.unwrap();
        b.unwrap();
        assert_eq!(cached(&sum).len(), 2, "one volume and one record: {:?}", cached(&sum));
        boots(&bench).await;
    })
    .await;
}

#[tokio::test]
async fn what_a_killed_process_has_begun_is_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let sum = sha256(&unique_disk(dir.path()));
    let _uncache = Uncache(sum.clone());
    let provider = connect(BaseImage::path(dir.path().join("base.img"))).await;
    let half = half_uploaded(dir.path(), &sum);
    with_provider(dir, provider, |bench| async move {
        soon(prepare(&bench, &Reporter::silent())).await.unwrap();
        assert!(!cached(&sum).contains(&half), "{:?}", cached(&sum));
        boots(&bench).await;
    })
    .await;
}

/// What a process leaves that is killed while it writes: a record and a volume, whose name is
/// returned.
fn half_uploaded(dir: &std::path::Path, sum: &str) -> String {
    let half = format!("cloudd-base-{}-half.img", &sum[..16]);
    virsh(&["vol-create-as", &pool(), &half, "4M"]);
    let record = serde_json::json!({
        "cloudd": 1, "kind": "base", "name": format!("cloudd-base-{sum}"), "state": "creating",
        "data": half, "size": 0, "created": 0,
    });
    let file = dir.join("record");
    std::fs::write(&file, record.to_string()).unwrap();
    let record = format!("cloudd-base-{sum}.cloudd-base.json");
    virsh(&["vol-create-as", &pool(), &record, "0"]);
    virsh(&["vol-upload", &record, file.to_str().unwrap(), "--pool", &pool()]);
    half
}

/// The base image with this content, as the provider lists it.
async fn listed(bench: &Bench, sum: &str) -> Option<CachedBaseImage> {
    let mut images = bench.provider.base_images().await.unwrap();
    images.retain(|image| image.name == format!("cloudd-base-{sum}"));
    assert!(images.len() <= 1, "{images:?}");
    images.pop()
}

#[tokio::test]
async fn base_images_are_listed_with_their_source_and_what_uses_them() {
    let dir = tempfile::tempdir().unwrap();
    let sum = sha256(&unique_disk(dir.path()));
    let _uncache = Uncache(sum.clone());
    let path = dir.path().join("base.img");
    let provider = connect(BaseImage::path(&path)).await;
    with_provider(dir, provider, |bench| async move {
        assert_eq!(listed(&bench, &sum).await, None);
        half_uploaded(bench.dir.path(), &sum);
        let half = listed(&bench, &sum).await.unwrap();
        assert_eq!((half.ready, half.source, half.used_by), (false, None, None));

        soon(prepare(&bench, &Reporter::silent())).await.unwrap();
        let image = listed(&bench, &sum).await.unwrap();
        assert_eq!((image.ready, &image.used_by), (true, &None));
        assert_eq!(image.size, Size::bytes(BASE_SIZE as u64));
        assert!(image.allocated > Size::bytes(0) && image.created > 0, "{image:?}");
        assert_eq!(image.source.as_deref(), path.to_str());

        let vm = bench.vm().await;
        let user = listed(&bench, &sum).await.unwrap().used_by.unwrap();
        assert!(user.contains(vm.id.as_str()), "{user} does not name {}", vm.id);
        bench.provider.delete(&vm.id.into()).await.unwrap();
        assert_eq!(listed(&bench, &sum).await.unwrap().used_by, None);
    })
    .await;
}

#[tokio::test]
async fn a_cancelled_upload_ends_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let disk = unique_disk(dir.path());
    let sum = sha256(&disk);
    let _uncache = Uncache(sum.clone());
    let server = Server::start(disk).await;
    let provider = connect(BaseImage::url(server.url_that_hangs(), &sum)).await;
    with_provider(dir, provider, |bench| async move {
        let silent = Reporter::silent();
        let waited = prepare(&bench, &silent);
        assert!(tokio::time::timeout(Duration::from_secs(2), waited).await.is_err());
        soon(async {
            while !cached(&sum).is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        })
        .await;
    })
    .await;
}

#[tokio::test]
async fn old_base_images_are_pruned_unless_a_disk_begins_with_them() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let dir = tempfile::tempdir().unwrap();
    let sum = sha256(&unique_disk(dir.path()));
    let _uncache = Uncache(sum.clone());
    let provider = connect(BaseImage::path(dir.path().join("base.img"))).await;
    with_provider(dir, provider, |bench| async move {
        let vm = bench.vm().await;
        let name = format!("cloudd-base-{sum}");
        make_old(&bench, &format!("{name}.cloudd-base.json"));
        assert!(!bench.provider.prune_base_images(DAY).await.unwrap().contains(&name));
        bench.provider.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
        soon(bench.provider.wait_vm_off(&vm.id)).await.unwrap();
        bench.provider.delete(&vm.id.into()).await.unwrap();
        assert!(bench.provider.prune_base_images(DAY).await.unwrap().contains(&name));
        assert_eq!(cached(&sum), [""; 0]);
    })
    .await;
}

/// Sets the time in a record to 1970.
fn make_old(bench: &Bench, record: &str) {
    let file = bench.dir.path().join("record");
    virsh(&["vol-download", record, file.to_str().unwrap(), "--pool", &pool()]);
    let mut json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    json["created"] = 0.into();
    // No shorter than it was: volumes are not cut off.
    let text = format!("{:4096}", json.to_string());
    std::fs::write(&file, text).unwrap();
    virsh(&["vol-upload", record, file.to_str().unwrap(), "--pool", &pool()]);
}
