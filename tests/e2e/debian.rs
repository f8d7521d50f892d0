//! A real distribution, from its packages to its login prompt, by the install container that comes
//! with cloudd.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cloudd_core::build::{ImageBuilder, ReusePolicy};
use cloudd_core::install::{InstallContainer, containers::Debian};
use cloudd_core::provider::{Image, Provider, Size};
use cloudd_libvirt::VmOptions;
use cloudd_tests::lab::{Lab, run};
use tempfile::TempDir;

const USER_DATA: &str = "#cloud-config\nhostname: named-by-user-data\n";

/// The container's own context but for one line of its Containerfile: the base image comes with it,
/// as the builder VM has no registry to pull it from.
fn without_registry(container: impl Into<InstallContainer>) -> (TempDir, InstallContainer) {
    let loaded = container.into().load().unwrap();
    let context = loaded.context().unwrap();
    let directory = TempDir::new().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-xzp", "-C"]).arg(directory.path()).stdin(Stdio::piped());
    let mut tar = tar.spawn().unwrap();
    let mut archive = context.archive().open();
    std::io::copy(&mut archive, &mut tar.stdin.take().unwrap()).unwrap();
    assert!(tar.wait().unwrap().success());

    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/machine/container-base.sh");
    let storage = run(&mut Command::new(script));
    let base = Path::new(storage.lines().last().unwrap()).join("base.tar");
    std::fs::copy(base, directory.path().join("base.tar")).unwrap();
    let path = directory.path().join(context.containerfile());
    let containerfile = std::fs::read_to_string(&path).unwrap();
    assert!(containerfile.contains("FROM $BASE\n"), "{containerfile}");
    let containerfile = containerfile.replace("FROM $BASE\n", "FROM scratch\nADD base.tar /\n");
    std::fs::write(path, containerfile).unwrap();

    let container = InstallContainer::directory(directory.path());
    let container = container.containerfile(context.containerfile());
    (directory, container)
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_debian_installed_from_its_packages_takes_user_data_and_shows_its_login_prompt() {
    let lab = Lab::new().await;
    let (_context, container) = without_registry(Debian::new());
    let builder = ImageBuilder::new("debian", container)
        // What a run that was killed has left is no proof of this one.
        .reuse(ReusePolicy::Replace)
        .volume_size(Size::gib(2))
        // Base image, packages and tree stand on the builder's disk.
        .root_size(Size::gib(8));
    let (result, _) = lab.build(&builder).await;
    let image = result.unwrap().image;
    let console = console_until(&lab, &image, "named-by-user-data login:").await;
    lab.libvirt.delete(&image.id.into()).await.unwrap();
    assert!(console.is_ok(), "{console:?}");
}

/// Starts a VM from the image and reads its console until it says this.
async fn console_until(lab: &Lab, image: &Image, wanted: &str) -> Result<Duration, String> {
    let options = VmOptions::new().user_data(USER_DATA);
    let vm = lab.libvirt.start_vm_from(&image.id, options).await.unwrap();
    let begun = Instant::now();
    let result = loop {
        let console = lab.libvirt.console(&vm.id).await.unwrap();
        let console = String::from_utf8_lossy(&console);
        if console.contains(wanted) {
            println!("{wanted} after {:?}", begun.elapsed());
            break Ok(begun.elapsed());
        }
        if begun.elapsed() > Duration::from_secs(10 * 60) {
            break Err(console.into_owned());
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    };
    lab.libvirt.delete(&vm.id.into()).await.unwrap();
    result
}
