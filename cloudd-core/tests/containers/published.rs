//! The containers that write published images, tested with a server that has the same files at the
//! same paths. The published images are not available here.

use cloudd_core::install::containers::{
    Alpine, Arch, Checksum, FedoraCoreos, Flatcar, OpenSuseLeap, Talos, Ubuntu,
};
use cloudd_core::install::{InstallContainer, Sha256Digest};

use crate::disk::Disk;
use crate::fixtures::{MIB, assert_holds, file_at, image, partitioned, qcow2, sum, through};
use crate::podman::install;
use crate::server::{Answer, Server};

const IGNITION: &str = r#"{"ignition": {"version": "3.4.0"}}"#;
const DEFAULT_SCHEMATIC: &str = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba";

fn sha256(bytes: &[u8]) -> String {
    Sha256Digest::digest(bytes).to_string()
}

fn sha512(bytes: &[u8]) -> String {
    let printed = String::from_utf8(through("sha512sum", &[], bytes)).unwrap();
    printed.split(' ').next().unwrap().to_owned()
}

/// A distribution that publishes an image and a list of checksums.
struct Published {
    container: fn(&str) -> InstallContainer,
    image: &'static str,
    list: &'static str,
    /// The list of checksums, computed from the image and its name.
    sums: fn(&[u8], &str) -> String,
}

const UBUNTU: Published = Published {
    container: |url| Ubuntu::new().version("24.04").mirror(url).into(),
    image: "/releases/24.04/release/ubuntu-24.04-server-cloudimg-amd64.img",
    list: "/releases/24.04/release/SHA256SUMS",
    sums: |image, name| format!("{} *other.img\n{} *{name}\n", sha256(b""), sha256(image)),
};

const PUBLISHED: [Published; 6] = [
    UBUNTU,
    Published {
        container: |url| Ubuntu::new().version("22.04").serial("20250805").mirror(url).into(),
        image: "/releases/22.04/release-20250805/ubuntu-22.04-server-cloudimg-amd64.img",
        list: "/releases/22.04/release-20250805/SHA256SUMS",
        sums: UBUNTU.sums,
    },
    Published {
        container: |url| Alpine::new().version("3.21.4").mirror(url).into(),
        image: "/v3.21/releases/cloud/generic_alpine-3.21.4-x86_64-bios-cloudinit-r0.qcow2",
        list: "/v3.21/releases/cloud/generic_alpine-3.21.4-x86_64-bios-cloudinit-r0.qcow2.sha512",
        sums: |image, _| sha512(image),
    },
    Published {
        container: |url| Arch::new().mirror(url).into(),
        image: "/images/latest/Arch-Linux-x86_64-cloudimg.qcow2",
        list: "/images/latest/Arch-Linux-x86_64-cloudimg.qcow2.SHA256",
        sums: |image, name| format!("{}  {name}\n", sha256(image)),
    },
    Published {
        container: |url| OpenSuseLeap::new().version("15.6").mirror(url).into(),
        image: "/distribution/leap/15.6/appliances/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2",
        list: "/distribution/leap/15.6/appliances/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2.sha256",
        // The list has the name of the build instead of that of the file in the URL.
        sums: |image, name| format!("{}  {name}\n", sha256(image)),
    },
    Published {
        container: |url| OpenSuseLeap::new().version("15.1").mirror(url).into(),
        image: "/distribution/leap/15.1/jeos/openSUSE-Leap-15.1-JeOS.x86_64-OpenStack-Cloud.qcow2",
        list: "/distribution/leap/15.1/jeos/openSUSE-Leap-15.1-JeOS.x86_64-OpenStack-Cloud.qcow2.sha256",
        sums: |image, name| format!("{}  {name}\n", sha256(image)),
    },
];

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

#[test]
fn a_published_image_is_found_held_against_its_list_and_written() {
    let (image, qcow2) = (image(), qcow2(&image()));
    for published in &PUBLISHED {
        let (server, disk) = (Server::new(), Disk::new(8 * MIB as u64));
        server.put(published.image, &*qcow2);
        server.put(published.list, (published.sums)(&qcow2, name(published.image)));
        install((published.container)(&server.url("")), &disk).well();
        assert_holds(&disk, &image);
    }
}

#[test]
fn a_version_that_is_not_there_is_unknown() {
    for published in &PUBLISHED {
        let (server, disk) = (Server::new(), Disk::new(8 * MIB as u64));
        install((published.container)(&server.url("")), &disk).badly(66, "unknown_version: no ");
    }
    let (server, disk) = (Server::new(), Disk::new(8 * MIB as u64));
    server.put(UBUNTU.list, (UBUNTU.sums)(b"", name(UBUNTU.image)));
    install((UBUNTU.container)(&server.url("")), &disk).badly(66, "unknown_version: no Ubuntu");
}

#[test]
fn a_list_without_the_image_and_an_image_of_another_sum_are_told_apart() {
    let (qcow2, server) = (qcow2(&image()), Server::new());
    let disk = Disk::new(8 * MIB as u64);
    server.put(UBUNTU.image, &*qcow2);
    server.put(UBUNTU.list, (UBUNTU.sums)(&qcow2, "another.img"));
    let container = || (UBUNTU.container)(&server.url(""));
    install(container(), &disk).badly(71, "metadata_invalid: ");
    server.put(UBUNTU.list, (UBUNTU.sums)(b"another", name(UBUNTU.image)));
    install(container(), &disk).badly(69, "checksum_mismatch: ");
    // A checksum that is set overrides the list.
    let own = Ubuntu::new().version("24.04").mirror(server.url("")).checksum(sum(&qcow2));
    install(own, &disk).well();
}

/// The part of the metadata of a Fedora CoreOS stream that is read.
fn stream(url: &str, file: &[u8]) -> String {
    let disk = format!(r#"{{"disk": {{"location": "{url}", "sha256": "{}"}}}}"#, sha256(file));
    format!(
        r#"{{"stream": "stable", "architectures": {{"x86_64": {{
            "artifacts": {{"hetzner": {{"release": "1", "formats": {{"raw.xz": {disk}}}}}}},
            "media": {{"hetzner": {{"artifacts": {{"raw.xz": {disk}}}}}}}
        }}}}}}"#
    )
}

/// An image with the boot partition of Fedora CoreOS, and its file.
fn fedora_image(entry: &str) -> (Vec<u8>, Vec<u8>) {
    let image = partitioned("boot", &[(entry, "title Fedora\noptions quiet root=x\n")]);
    let file = through("xz", &["-c"], &image);
    (image, file)
}

#[test]
fn fedora_coreos_is_found_by_its_stream_or_release_and_takes_config_and_arguments() {
    let entry = "loader/entries/ostree-1.conf";
    let (image, file) = fedora_image(entry);
    let (server, disk) = (Server::new(), Disk::new(8 * MIB as u64));
    let url = server.put("/fcos.raw.xz", &*file);
    server.put("/streams/testing.json", stream(&url, &file));
    let release = "/prod/streams/stable/builds/42.20250803.3.0/release.json";
    server.put(release, stream(&url, &file));
    let fedora = || FedoraCoreos::new().mirror(server.url(""));
    install(fedora().version("42.20250803.3.0"), &disk).well();
    assert_holds(&disk, &image);

    let with = fedora().stream("testing").ignition(IGNITION).kernel_arg("a=1").kernel_arg("b");
    install(with, &disk).well();
    assert_eq!(file_at(&disk, MIB as u64, "/ignition/config.ign"), IGNITION);
    let entry = file_at(&disk, MIB as u64, entry);
    assert_eq!(entry, "title Fedora\noptions quiet root=x a=1 b\n");
}

#[test]
fn kernel_arguments_for_a_fedora_coreos_without_an_entry_for_them_are_an_error() {
    let (_, file) = fedora_image("somewhere/else.conf");
    let (server, disk) = (Server::new(), Disk::new(8 * MIB as u64));
    let url = server.put("/fcos.raw.xz", &*file);
    server.put("/streams/stable.json", stream(&url, &file));
    let fedora = FedoraCoreos::new().mirror(server.url("")).kernel_arg("quiet");
    install(fedora, &disk).badly(72, "image_invalid: the image has no boot loader entry");
}

#[test]
fn what_fedora_coreos_does_not_have_is_told_apart() {
    let (server, disk) = (Server::new(), Disk::new(8 * MIB as u64));
    let fedora = || FedoraCoreos::new().mirror(server.url(""));
    install(fedora().stream("nightly"), &disk).badly(66, "unknown_version: no Fedora CoreOS");
    server.put("/streams/stable.json", stream(&server.url("/x"), b"x"));
    install(fedora().platform("vax"), &disk).badly(66, "unknown_version: Fedora CoreOS of stream");
    server.put("/streams/stable.json", "<html>");
    install(fedora(), &disk).badly(71, "metadata_invalid: ");
}

#[test]
fn flatcar_is_written_and_takes_config_and_arguments() {
    let disk_image = partitioned("OEM", &[("grub.cfg", "set oem_id=\"hetzner\"\n")]);
    let file = through("bzip2", &["-c"], &disk_image);
    let (server, disk) = (Server::new(), Disk::new(8 * MIB as u64));
    let path = "/amd64-usr/4230.2.1/flatcar_production_hetzner_image.bin.bz2";
    server.put(path, &*file);
    let short = "0".repeat(40);
    let digests =
        format!("# SHA1 HASH\n{short}  {0}\n# SHA512 HASH\n{1}  {0}\n", name(path), sha512(&file));
    server.put(&format!("{path}.DIGESTS"), digests);
    let flatcar = || Flatcar::new().version("4230.2.1").mirror(server.url(""));
    install(flatcar(), &disk).well();
    assert_holds(&disk, &disk_image);

    install(flatcar().ignition(IGNITION).kernel_arg("quiet"), &disk).well();
    assert_eq!(file_at(&disk, MIB as u64, "/config.ign"), IGNITION);
    let menu = "set oem_id=\"hetzner\"\n\
                set linux_append=\"$linux_append ignition.config.url=oem:///config.ign quiet\"\n";
    assert_eq!(file_at(&disk, MIB as u64, "/grub.cfg"), menu);
    install(flatcar().version("1.2.3"), &disk).badly(66, "unknown_version: no Flatcar 1.2.3");
    let other = flatcar().version("4230.2.1").checksum(Checksum::sha256(sha256(b"other")));
    install(other, &disk).badly(69, "checksum_mismatch: ");
}

#[test]
fn a_config_for_an_image_without_its_partition_is_an_error() {
    let (file, server) = (through("bzip2", &["-c"], &image()), Server::new());
    let path = "/amd64-usr/current/flatcar_production_hetzner_image.bin.bz2";
    server.put(path, &*file);
    let flatcar = Flatcar::new().mirror(server.url("")).checksum(sum(&file)).ignition(IGNITION);
    install(flatcar, &Disk::new(8 * MIB as u64)).badly(72, "image_invalid: ");
}

#[test]
fn talos_is_made_by_the_image_factory_from_a_schematic() {
    let (image, server) = (image(), Server::new());
    let file = through("xz", &["-c"], &image);
    let disk = Disk::new(8 * MIB as u64);
    let talos = || Talos::new("v1.11.0").factory(server.url("")).checksum(sum(&file));
    server.put(&format!("/image/{DEFAULT_SCHEMATIC}/v1.11.0/hcloud-amd64.raw.xz"), &*file);
    install(talos(), &disk).well();
    assert_holds(&disk, &image);

    let own = "c0ffee".repeat(11)[..64].to_owned();
    server.put("/schematics", format!("{{\"id\": \"{own}\"}}"));
    server.put(&format!("/image/{own}/v1.11.0/hcloud-amd64.raw.xz"), &*file);
    let schematic = "customization:\n  extraKernelArgs: [quiet]\n";
    install(talos().schematic_yaml(schematic), &disk).well();
    assert!(server.asked().iter().any(|request| request == "POST /schematics"));

    install(Talos::new("v9.0.0").factory(server.url("")).checksum(sum(&file)), &disk)
        .badly(66, "unknown_version: no Talos v9.0.0");
    server.put("/schematics", "{}");
    install(talos().schematic_yaml(schematic), &disk).badly(71, "metadata_invalid: ");
    server.put("/schematics", Answer::from("no such extension").status(400));
    install(talos().schematic_yaml(schematic), &disk).badly(67, "download_failed: ");
    // The factory publishes no checksums, so the TLS certificate must be valid.
    install(Talos::new("v1.11.0").factory(server.url("")), &disk).badly(64, "bad_parameter: ");
}
