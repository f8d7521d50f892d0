//! `debian`, installed from the Debian mirror of this machine. `tests/e2e` tests that the disk boots.

use std::process::Command;

use cloudd_core::install::InstallContainer;
use cloudd_core::install::containers::Debian;

use crate::disk::Disk;
use crate::fixtures::{check_file_system, file_at, names_at};
use crate::podman::{install, run};
use crate::server::Server;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const ESP: u64 = 2 * MIB;
const ROOT: u64 = 66 * MIB;

#[test]
fn debian_is_installed_with_boot_loaders_for_bios_and_uefi() {
    let disk = Disk::new(2 * GIB);
    install(Debian::new().package("tree").kernel_arg("cloudd.test=1"), &disk).well();

    let table = run(Command::new("/sbin/sfdisk").arg("--json").arg(disk.path()));
    let table: serde_json::Value = serde_json::from_str(&table).unwrap();
    let partitions = table["partitiontable"]["partitions"].as_array().unwrap();
    let starts: Vec<_> = partitions.iter().map(|it| it["start"].as_u64().unwrap() * 512).collect();
    assert_eq!(starts, [MIB, ESP, ROOT]);
    check_file_system(&disk, ROOT);

    let bytes = disk.bytes();
    assert_eq!(bytes[510..512], [0x55, 0xaa], "no boot sector");
    assert!(bytes[..440].iter().any(|byte| *byte != 0), "no boot code");
    assert!(bytes[MIB as usize..][..512].iter().any(|byte| *byte != 0), "no core image");
    let esp = format!("{}@@{ESP}", disk.path().display());
    let found = run(Command::new("mdir").args(["-b", "-i", &esp, "::EFI/BOOT"]));
    assert!(found.contains("BOOTX64.EFI"), "{found}");

    let menu = file_at(&disk, ROOT, "/boot/grub/grub.cfg");
    let uuid = menu.split("root=UUID=").nth(1).unwrap().split(' ').next().unwrap();
    assert!(menu.contains("cloudd.test=1"), "{menu}");
    assert!(file_at(&disk, ROOT, "/etc/fstab").contains(&format!("UUID={uuid} / ext4")));
    let names = |path: &str| names_at(&disk, ROOT, path);
    assert!(names("/usr/bin").contains("/tree/"), "the package is missing");
    assert!(names("/").contains("/vmlinuz/"), "no kernel");
    assert_eq!(file_at(&disk, ROOT, "/etc/machine-id"), "", "all systems would have one identity");
    assert!(!names("/etc/ssh").contains("ssh_host_"), "all systems would have one key");
}

#[test]
fn what_cannot_be_installed_is_named() {
    let disk = Disk::new(GIB);
    let server = Server::new();
    let from = |url: &str| InstallContainer::from(Debian::new().suite("bo").mirror(url));
    install(from(&server.url("/debian")), &disk).badly(66, "unknown_version: no suite bo");
    install(from("http://127.0.0.1:1/debian"), &disk).badly(67, "download_failed: ");
    let small = Disk::new(200 * MIB);
    install(Debian::new(), &small).badly(73, "device_too_small: ");
}

#[test]
fn nothing_is_written_where_nothing_could_be_installed() {
    // Packages are downloaded before the device is written.
    let disk = Disk::holding(GIB, b"what was there before");
    install(Debian::new().mirror("http://127.0.0.1:1/debian"), &disk)
        .badly(67, "download_failed: ");
    assert!(disk.bytes().starts_with(b"what was there before"));
}
