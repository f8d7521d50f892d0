//! The containers that write published images, tested with a local HTTPS server that has the same files at the
//! same paths. The published images are not available here.

use cloudd_core::install::containers::{
    Alpine, Arch, Checksum, FedoraCoreos, Flatcar, OpenSuseLeap, Talos, Ubuntu,
};
use cloudd_core::install::{InstallContainer, Sha256Digest};

use crate::disk::Disk;
use crate::fixtures::{MIB, assert_holds, file_at, image, partitioned, qcow2, sum, through};
use crate::podman::{by_hand, install, install_trusting};
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
        let (server, disk) = (Server::tls(), Disk::new(8 * MIB as u64));
        server.put(published.image, &*qcow2);
        server.put(published.list, (published.sums)(&qcow2, name(published.image)));
        install_trusting((published.container)(&server.url("")), &disk).well();
        assert_holds(&disk, &image);
    }
}

#[test]
fn a_version_that_is_not_there_is_unknown() {
    for published in &PUBLISHED {
        let (server, disk) = (Server::tls(), Disk::new(8 * MIB as u64));
        install_trusting((published.container)(&server.url("")), &disk)
            .badly(66, "unknown_version: no ");
    }
    let (server, disk) = (Server::tls(), Disk::new(8 * MIB as u64));
    server.put(UBUNTU.list, (UBUNTU.sums)(b"", name(UBUNTU.image)));
    install_trusting((UBUNTU.container)(&server.url("")), &disk)
        .badly(66, "unknown_version: no Ubuntu");
}

#[test]
fn a_list_without_the_image_and_an_image_of_another_sum_are_told_apart() {
    let (qcow2, server) = (qcow2(&image()), Server::tls());
    let disk = Disk::new(8 * MIB as u64);
    server.put(UBUNTU.image, &*qcow2);
    server.put(UBUNTU.list, (UBUNTU.sums)(&qcow2, "another.img"));
    let container = || (UBUNTU.container)(&server.url(""));
    install_trusting(container(), &disk).badly(71, "metadata_invalid: ");
    server.put(UBUNTU.list, (UBUNTU.sums)(b"another", name(UBUNTU.image)));
    install_trusting(container(), &disk).badly(69, "checksum_mismatch: ");
    // A checksum that is set overrides the list.
    let own = Ubuntu::new().version("24.04").mirror(server.url("")).checksum(sum(&qcow2));
    install_trusting(own, &disk).well();
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
    let (server, disk) = (Server::tls(), Disk::new(8 * MIB as u64));
    let url = server.put("/fcos.raw.xz", &*file);
    server.put("/streams/testing.json", stream(&url, &file));
    let release = "/prod/streams/stable/builds/42.20250803.3.0/release.json";
    server.put(release, stream(&url, &file));
    let fedora = || FedoraCoreos::new().mirror(server.url(""));
    install_trusting(fedora().version("42.20250803.3.0"), &disk).well();
    assert_holds(&disk, &image);

    let with = fedora().stream("testing").ignition(IGNITION).kernel_arg("a=1").kernel_arg("b");
    install_trusting(with, &disk).well();
    assert_eq!(file_at(&disk, MIB as u64, "/ignition/config.ign"), IGNITION);
    let entry = file_at(&disk, MIB as u64, entry);
    assert_eq!(entry, "title Fedora\noptions quiet root=x a=1 b\n");
}

#[test]
fn kernel_arguments_for_a_fedora_coreos_without_an_entry_for_them_are_an_error() {
    let (_, file) = fedora_image("somewhere/else.conf");
    let (server, disk) = (Server::tls(), Disk::new(8 * MIB as u64));
    let url = server.put("/fcos.raw.xz", &*file);
    server.put("/streams/stable.json", stream(&url, &file));
    let fedora = FedoraCoreos::new().mirror(server.url("")).kernel_arg("quiet");
    install_trusting(fedora, &disk).badly(72, "image_invalid: the image has no boot loader entry");
}

#[test]
fn what_fedora_coreos_does_not_have_is_told_apart() {
    let (server, disk) = (Server::tls(), Disk::new(8 * MIB as u64));
    let fedora = || FedoraCoreos::new().mirror(server.url(""));
    install_trusting(fedora().stream("nightly"), &disk)
        .badly(66, "unknown_version: no Fedora CoreOS");
    server.put("/streams/stable.json", stream(&server.url("/x"), b"x"));
    install_trusting(fedora().platform("vax"), &disk)
        .badly(66, "unknown_version: Fedora CoreOS of stream");
    server.put("/streams/stable.json", "<html>");
    install_trusting(fedora(), &disk).badly(71, "metadata_invalid: ");
}

#[test]
fn flatcar_is_written_and_takes_config_and_arguments() {
    let disk_image = partitioned("OEM", &[("grub.cfg", "set oem_id=\"hetzner\"\n")]);
    let file = through("bzip2", &["-c"], &disk_image);
    let (server, disk) = (Server::tls(), Disk::new(8 * MIB as u64));
    let path = "/amd64-usr/4230.2.1/flatcar_production_hetzner_image.bin.bz2";
    server.put(path, &*file);
    let short = "0".repeat(40);
    let digests =
        format!("# SHA1 HASH\n{short}  {0}\n# SHA512 HASH\n{1}  {0}\n", name(path), sha512(&file));
    server.put(&format!("{path}.DIGESTS"), digests);
    let flatcar = || Flatcar::new().version("4230.2.1").mirror(server.url(""));
    install_trusting(flatcar(), &disk).well();
    assert_holds(&disk, &disk_image);

    install_trusting(flatcar().ignition(IGNITION).kernel_arg("quiet"), &disk).well();
    assert_eq!(file_at(&disk, MIB as u64, "/config.ign"), IGNITION);
    let menu = "set oem_id=\"hetzner\"\n\
                set linux_append=\"$linux_append ignition.config.url=oem:///config.ign quiet\"\n";
    assert_eq!(file_at(&disk, MIB as u64, "/grub.cfg"), menu);
    install_trusting(flatcar().version("1.2.3"), &disk)
        .badly(66, "unknown_version: no Flatcar 1.2.3");
    let other = flatcar().version("4230.2.1").checksum(Checksum::sha256(sha256(b"other")));
    install_trusting(other, &disk).badly(69, "checksum_mismatch: ");
}

#[test]
fn a_config_for_an_image_without_its_partition_is_an_error() {
    let (file, server) = (through("bzip2", &["-c"], &image()), Server::tls());
    let path = "/amd64-usr/current/flatcar_production_hetzner_image.bin.bz2";
    server.put(path, &*file);
    let flatcar = Flatcar::new().mirror(server.url("")).checksum(sum(&file)).ignition(IGNITION);
    install_trusting(flatcar, &Disk::new(8 * MIB as u64)).badly(72, "image_invalid: ");
}

#[test]
fn talos_is_made_by_the_image_factory_from_a_schematic() {
    let (image, server) = (image(), Server::tls());
    let file = through("xz", &["-c"], &image);
    let disk = Disk::new(8 * MIB as u64);
    let talos = || Talos::new("v1.11.0").factory(server.url("")).checksum(sum(&file));
    server.put(&format!("/image/{DEFAULT_SCHEMATIC}/v1.11.0/hcloud-amd64.raw.xz"), &*file);
    install_trusting(talos(), &disk).well();
    assert_holds(&disk, &image);

    let own = "c0ffee".repeat(11)[..64].to_owned();
    server.put("/schematics", format!("{{\"id\": \"{own}\"}}"));
    server.put(&format!("/image/{own}/v1.11.0/hcloud-amd64.raw.xz"), &*file);
    let schematic = "customization:\n  extraKernelArgs: [quiet]\n";
    install_trusting(talos().schematic_yaml(schematic), &disk).well();
    assert!(server.asked().iter().any(|request| request == "POST /schematics"));

    install_trusting(Talos::new("v9.0.0").factory(server.url("")).checksum(sum(&file)), &disk)
        .badly(66, "unknown_version: no Talos v9.0.0");
    server.put("/schematics", "{}");
    install_trusting(talos().schematic_yaml(schematic), &disk).badly(71, "metadata_invalid: ");
    server.put("/schematics", Answer::from("no such extension").status(400));
    install_trusting(talos().schematic_yaml(schematic), &disk).badly(67, "download_failed: ");
    // The factory publishes no checksums, so it must be https.
    install_trusting(Talos::new("v1.11.0").factory(server.url("")), &disk).well();
    let factory = Server::new();
    by_hand("talos", &[("TALOS_VERSION", "v1.11.0"), ("TALOS_FACTORY", &factory.url(""))], &disk)
        .badly(64, "bad_parameter: without https ");
    assert_eq!(factory.asked(), [""; 0]);
}

#[test]
fn a_certificate_by_an_unknown_authority_is_refused() {
    let (server, disk) = (Server::tls(), Disk::new(MIB as u64));
    install(Talos::new("v1.11.0").factory(server.url("")), &disk).badly(67, "download_failed: ");
    assert_eq!(server.asked(), [""; 0]);
}

#[test]
fn https_is_not_left_for_a_redirect() {
    let image = image();
    let xz = through("xz", &["-c"], &image);
    let path = |schematic: &str| format!("/image/{schematic}/v1.11.0/hcloud-amd64.raw.xz");
    let default = path(DEFAULT_SCHEMATIC);
    let stream_path = "/streams/stable.json";
    type Make = fn(&str) -> InstallContainer;
    let cases: [(&str, Make, &str); 4] = [
        ("an image without a checksum", |url| Talos::new("v1.11.0").factory(url).into(), &default),
        ("a list", UBUNTU.container, UBUNTU.list),
        ("an image with a checksum in a list", UBUNTU.container, UBUNTU.image),
        ("metadata", |url| FedoraCoreos::new().mirror(url).into(), stream_path),
    ];
    for (what, container, redirected) in cases {
        let (tls, http, disk) = (Server::tls(), Server::new(), Disk::new(8 * MIB as u64));
        for server in [&tls, &http] {
            server.put(&default, &*xz);
            server.put(UBUNTU.list, (UBUNTU.sums)(&image, name(UBUNTU.image)));
            server.put(UBUNTU.image, &*image);
            server.put(stream_path, stream(&tls.url(&default), &xz));
        }
        install_trusting(container(&tls.url("")), &disk).well();
        assert_holds(&disk, &image);

        let disk = Disk::new(8 * MIB as u64);
        tls.redirect_to(redirected, http.url(redirected));
        let ended = install_trusting(container(&tls.url("")), &disk);
        ended.badly(67, "download_failed: ");
        assert!(ended.output.contains("redirects to a URL without https"), "{what}: {ended:?}");
        assert_eq!(http.asked(), [""; 0], "{what}");
        assert!(disk.bytes().iter().all(|byte| *byte == 0), "{what}");
        // A redirect to https is followed.
        let elsewhere = Server::tls();
        elsewhere.put("/elsewhere", http.body(redirected));
        tls.redirect_to(redirected, elsewhere.url("/elsewhere"));
        install_trusting(container(&tls.url("")), &disk).well();
        assert_holds(&disk, &image);
    }
}

#[test]
fn a_mirror_over_http_that_sends_image_and_list_is_refused() {
    let disk = Disk::holding(MIB as u64, b"what was there before");
    for (container, variable) in [
        ("alpine", "ALPINE_MIRROR"),
        ("arch", "ARCH_MIRROR"),
        ("fedora_coreos", "FCOS_MIRROR"),
        ("flatcar", "FLATCAR_MIRROR"),
        ("k3os", "K3OS_MIRROR"),
        ("open_suse_leap", "LEAP_MIRROR"),
        ("ubuntu", "UBUNTU_MIRROR"),
    ] {
        let server = Server::new();
        let disk = if container == "k3os" { &Disk::new(1 << 30) } else { &disk };
        by_hand(container, &[(variable, &server.url(""))], disk)
            .badly(64, "bad_parameter: without https ");
        assert_eq!(server.asked(), [""; 0], "{container}");
    }
    assert!(disk.bytes().starts_with(b"what was there before"));
}

#[test]
fn a_mirror_over_http_will_do_for_an_image_whose_checksum_is_set() {
    let (image, server, disk) = (image(), Server::new(), Disk::new(8 * MIB as u64));
    server.put(UBUNTU.image, &*image);
    let ubuntu = || Ubuntu::new().version("24.04").mirror(server.url(""));
    install(ubuntu().checksum(sum(&image)), &disk).well();
    assert_holds(&disk, &image);
    install(ubuntu().checksum(sum(b"another")), &disk).badly(69, "checksum_mismatch: ");
    // The mirror has another image, and metadata with the checksum of that.
    let url = server.put("/fcos.raw", b"another".repeat(512));
    server.put("/streams/stable.json", stream(&url, &b"another".repeat(512)));
    let fedora = || FedoraCoreos::new().mirror(server.url(""));
    install(fedora().checksum(sum(&image)), &disk).badly(69, "checksum_mismatch: ");
    server.put("/fcos.raw", &*image);
    install(fedora().checksum(sum(&image)), &disk).well();
}

#[test]
fn lists_and_metadata_have_a_limit() {
    let (server, disk) = (Server::tls(), Disk::new(MIB as u64));
    let long = vec![b'#'; 20 * MIB];
    for answer in [Answer::from(&*long), Answer::from(&*long).without_length()] {
        server.put(UBUNTU.list, answer.clone());
        let expected = format!("too_large: {} has more than {MIB} bytes", server.url(UBUNTU.list));
        install_trusting((UBUNTU.container)(&server.url("")), &disk).badly(77, &expected);
        server.put("/streams/stable.json", answer);
        install_trusting(FedoraCoreos::new().mirror(server.url("")), &disk)
            .badly(77, "too_large: ");
    }
}
