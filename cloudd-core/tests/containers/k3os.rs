//! `k3os`, installed from an ISO image with the files of the real one, which is not available here.

use std::fs;
use std::process::Command;

use cloudd_core::install::Sha256Digest;
use cloudd_core::install::containers::K3os;

use crate::disk::Disk;
use crate::fixtures::file_at;
use crate::podman::{install_trusting, run};
use crate::server::Server;

const MIB: u64 = 1 << 20;
const ROOT: u64 = 66 * MIB;
const ISO: &str = "/v0.21.5-k3s2r1/k3os-amd64.iso";
const LIST: &str = "/v0.21.5-k3s2r1/sha256sum-amd64.txt";

/// An ISO image with these files.
fn iso(files: &[(&str, &str)]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let tree = directory.path().join("tree");
    for (path, content) in files {
        fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
        fs::write(tree.join(path), content).unwrap();
    }
    let iso = directory.path().join("iso");
    run(Command::new("bsdtar")
        .args(["--format=iso9660", "-cf"])
        .arg(&iso)
        .arg("-C")
        .args([tree.as_os_str(), ".".as_ref()]));
    fs::read(iso).unwrap()
}

#[test]
fn k3os_is_installed_with_its_config_and_boot_loaders() {
    let iso = iso(&[
        ("k3os/system/kernel/current/kernel.squashfs", "kernel"),
        ("k3os/system/kernel/current/initrd", "initrd"),
        ("k3os/system/k3os/current/k3os", "program"),
        ("boot/grub/grub.cfg", "of the ISO image"),
    ]);
    let (server, disk) = (Server::tls(), Disk::new(1 << 30));
    server.put(ISO, &*iso);
    let sum = Sha256Digest::digest(&iso);
    server.put(LIST, format!("{sum}  dist/artifacts/k3os-amd64.iso\n"));
    let k3os = || K3os::new().mirror(server.url(""));
    let ended = install_trusting(k3os().config("hostname: box\n").kernel_arg("quiet"), &disk);
    assert!(ended.well().output.contains("k3OS is archived"), "{}", ended.output);

    let file = |path: &str| file_at(&disk, ROOT, path);
    assert_eq!(file("/k3os/system/kernel/current/kernel.squashfs"), "kernel");
    assert_eq!(file("/k3os/system/k3os/current/k3os"), "program");
    assert_eq!(file("/k3os/system/config.yaml"), "hostname: box\n");
    assert_eq!(file("/k3os/system/growpart"), "/dev/sda 3\n");
    let menu = file("/boot/grub/grub.cfg");
    assert!(
        menu.contains("search.fs_label K3OS_STATE root") && menu.contains(" quiet\n"),
        "{menu}"
    );
    let bytes = disk.bytes();
    assert!(bytes[..440].iter().any(|byte| *byte != 0), "no boot code");

    let without_config = "k3OS cannot read the user data of servers on Hetzner Cloud";
    assert!(!ended.output.contains(without_config), "{}", ended.output);
    let ended = install_trusting(k3os(), &disk);
    assert!(ended.well().output.contains(without_config), "{}", ended.output);
    assert!(file("/k3os/system/config.yaml").contains("- hetzner"), "no default config");

    server.put(LIST, format!("{}  k3os-amd64.iso\n", Sha256Digest::digest(b"another")));
    install_trusting(k3os(), &disk).badly(69, "checksum_mismatch: ");
    install_trusting(k3os().version("v0.0.1"), &disk).badly(66, "unknown_version: no k3OS v0.0.1");
}

#[test]
fn an_iso_image_of_something_else_is_refused() {
    let iso = iso(&[("casper/vmlinuz", "another system")]);
    let (server, disk) = (Server::tls(), Disk::new(1 << 30));
    server.put(ISO, &*iso);
    server.put(LIST, format!("{}  k3os-amd64.iso\n", Sha256Digest::digest(&iso)));
    install_trusting(K3os::new().mirror(server.url("")), &disk).badly(72, "image_invalid: ");
}
