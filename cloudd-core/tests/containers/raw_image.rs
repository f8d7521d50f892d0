//! `raw_image`, and the scripts in `containers/common` that all containers for disk images share.

use std::process::Command;

use cloudd_core::install::InstallContainer;
use cloudd_core::install::Sha256Digest;
use cloudd_core::install::containers::{Checksum, RawImage};

use crate::disk::Disk;
use crate::fixtures::{MIB, assert_holds, image, qcow2, sum, through};
use crate::podman::{Ended, base_without, by_hand, install, run};
use crate::server::{Answer, Server};

/// Serves the file and installs it on a disk of 8 MiB.
fn installed(file: &[u8]) -> (Ended, Disk) {
    let url = Server::new().put("/image", file);
    let disk = Disk::new(8 * MIB as u64);
    (install(RawImage::new(url, sum(file)), &disk), disk)
}

#[test]
fn images_of_every_form_are_written_byte_for_byte() {
    let image = image();
    for (form, file) in [
        ("raw", image.clone()),
        ("gzip", through("gzip", &["-c"], &image)),
        ("bzip2", through("bzip2", &["-c"], &image)),
        ("xz", through("xz", &["-c"], &image)),
        ("zstd", through("zstd", &["-c", "-q"], &image)),
        ("qcow2", qcow2(&image)),
        ("qcow2 in xz", through("xz", &["-c"], &qcow2(&image))),
    ] {
        let (ended, disk) = installed(&file);
        assert_eq!(ended.code, 0, "{form}: {}", ended.output);
        assert_holds(&disk, &image);
    }
}

#[test]
fn what_stood_on_the_device_before_is_gone() {
    let image = image();
    let server = Server::new();
    for file in [image.clone(), qcow2(&image)] {
        let disk = Disk::holding(8 * MIB as u64, &vec![0xff; 8 * MIB]);
        let url = server.put("/image", &*file);
        install(RawImage::new(url, sum(&file)), &disk).well();
        assert_holds(&disk, &image);
    }
}

#[test]
fn a_sha512_sum_and_a_redirect_will_do() {
    let (image, server, disk) = (image(), Server::new(), Disk::new(8 * MIB as u64));
    server.put("/image", &*image);
    let words = String::from_utf8(through("sha512sum", &[], &image)).unwrap();
    let checksum = Checksum::sha512(words.split(' ').next().unwrap().to_uppercase());
    install(RawImage::new(server.redirect("/latest", "/image"), checksum), &disk).well();
    assert_holds(&disk, &image);
}

#[test]
fn brackets_in_a_url_stand_for_themselves() {
    let (image, server, disk) = (image(), Server::new(), Disk::new(8 * MIB as u64));
    let url = server.put("/image[1-3]", &*image);
    install(RawImage::new(url, sum(&image)), &disk).well();
    assert_eq!(server.asked(), ["GET /image[1-3]"]);
    let url = server.put("/image{1,2}\"\\n", &*image);
    let checksum = sum(&image).to_string();
    by_hand("raw_image", &[("IMAGE_URL", &url), ("IMAGE_CHECKSUM", &checksum)], &disk).well();
}

#[test]
fn what_is_secret_in_a_url_is_not_printed() {
    let (image, server, disk) = (image(), Server::new(), Disk::new(8 * MIB as u64));
    server.put("/image?signature=hunter2", &*image);
    let with = |url: &str, checksum: &Checksum| {
        let url = url.replace("://", "://user:hunter2@");
        let checksum = checksum.to_string();
        by_hand("raw_image", &[("IMAGE_URL", &url), ("IMAGE_CHECKSUM", &checksum)], &disk)
    };
    let here = server.url("/image?signature=hunter2");
    let shown = here.replace("://", "://***@").replace("signature=hunter2", "***");
    for ended in [
        with(&here, &sum(&image)),
        with(&here, &sum(b"another")),
        with(&server.url("/nowhere?signature=hunter2"), &sum(&image)),
        with("gopher://mirror.example/?signature=hunter2", &sum(&image)),
    ] {
        assert!(!ended.output.contains("hunter2"), "{}", ended.output);
        assert!(ended.output.contains("://***@") || ended.output.contains("'***@"), "{ended:?}");
    }
    let ended = with(&here, &sum(&image));
    assert!(ended.well().output.contains(&format!("writing {shown} to ")), "{}", ended.output);
    assert_holds(&disk, &image);
}

#[test]
fn a_broken_download_goes_on_where_it_broke() {
    let (image, server, disk) = (image(), Server::new(), Disk::new(8 * MIB as u64));
    let url = server.put("/image", Answer::from(&*image).cut_after(2 * MIB));
    install(RawImage::new(url, sum(&image)), &disk).well();
    assert_holds(&disk, &image);
    let ranges = ["GET /image", "GET /image 2097152", "GET /image 4194304"];
    assert_eq!(server.asked(), ranges);
}

#[test]
fn a_download_that_ends_too_early_is_truncated() {
    let (image, server, disk) = (image(), Server::new(), Disk::new(8 * MIB as u64));
    let answer = Answer::from(&*image).cut_after(2 * MIB).without_ranges();
    let url = server.put("/image", answer);
    install(RawImage::new(url, sum(&image)), &disk)
        .badly(68, "truncated: ")
        .badly(68, &format!("truncated: {} ended after 2097152 bytes", server.url("/image")));
}

#[test]
fn another_checksum_is_a_mismatch_also_where_the_file_cannot_be_unpacked() {
    let image = image();
    let xz = through("xz", &["-c"], &image);
    let server = Server::new();
    for file in [&image[..], &xz, &xz[..xz.len() / 2], &qcow2(&image), b"<!DOCTYPE html>", b""] {
        let disk = Disk::new(8 * MIB as u64);
        let url = server.put("/image", file);
        let other = Sha256Digest::digest(b"another").to_string();
        let expected =
            format!("checksum_mismatch: {url} has sha256 {}", Sha256Digest::digest(file));
        install(RawImage::new(url, Checksum::sha256(other)), &disk).badly(69, &expected);
    }
}

#[test]
fn what_the_server_does_not_have_or_refuses_is_told_apart() {
    let (server, disk) = (Server::new(), Disk::new(MIB as u64));
    let image = |path: &str| {
        // Instead of the default of five tries with pauses.
        let image = RawImage::new(server.url(path), sum(b"x"));
        InstallContainer::from(image).env("DOWNLOAD_TRIES", "2")
    };
    install(image("/nowhere"), &disk).badly(65, "not_found: ");
    server.put("/forbidden", Answer::from("no").status(403));
    install(image("/forbidden"), &disk).badly(67, "download_failed: ");
    server.put("/busy", Answer::from("later").status(503));
    install(image("/busy"), &disk).badly(67, "download_failed: ");
    let busy = server.asked().iter().filter(|request| request.contains("busy")).count();
    assert_eq!(busy, 2, "what may be better in a moment is asked for again");
    let unreachable = RawImage::new("http://127.0.0.1:1/image", sum(b"x"));
    let unreachable = InstallContainer::from(unreachable).env("DOWNLOAD_TRIES", "1");
    install(unreachable, &disk).badly(67, "download_failed: ");
}

#[test]
fn a_device_that_is_too_small_is_named() {
    let image = image();
    let server = Server::new();
    for file in [image.clone(), through("gzip", &["-c"], &image), qcow2(&image)] {
        let disk = Disk::new(4 * MIB as u64);
        let url = server.put("/image", &*file);
        install(RawImage::new(url, sum(&file)), &disk).badly(73, "device_too_small: ");
    }
}

#[test]
fn what_is_no_disk_image_is_refused_though_its_checksum_is_right() {
    let xz = through("xz", &["-c"], &image());
    for (file, why) in [
        (&xz[..xz.len() / 2], "it cannot be unpacked"),
        (b"<!DOCTYPE html>", "a page of HTML"),
        (b"PK\x03\x04zip", "a zip archive"),
        (b"", "an empty file"),
        (b"QFI\xfb\0\0\0\x03 and nothing more", "qcow2"),
    ] {
        let (ended, _) = installed(file);
        ended.badly(72, "image_invalid: ");
        assert!(ended.output.contains(why), "{why}: {}", ended.output);
    }
}

#[test]
fn a_qcow2_image_that_refers_to_another_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("qcow2");
    let arguments = ["create", "-q", "-f", "qcow2", "-u", "-F", "raw", "-b", "/etc/passwd"];
    run(Command::new("qemu-img").args(arguments).arg(&file).arg("4M"));
    let (ended, disk) = installed(&std::fs::read(file).unwrap());
    ended.badly(72, "image_invalid: ");
    assert!(disk.bytes().iter().all(|byte| *byte == 0));
}

#[test]
fn a_base_image_without_a_package_gets_it() {
    // From the mirror of the base image, as with an image from a registry.
    base_without("zstd", "localhost/without-zstd");
    let (image, server, disk) = (image(), Server::new(), Disk::new(8 * MIB as u64));
    let file = through("zstd", &["-c", "-q"], &image);
    let container = InstallContainer::from(RawImage::new(server.put("/image", &*file), sum(&file)));
    install(container.build_arg("BASE", "localhost/without-zstd"), &disk).well();
    assert_holds(&disk, &image);
}

#[test]
fn with_plain_podman_it_installs_and_checks_its_parameters_by_itself() {
    let (image, server, disk) = (image(), Server::new(), Disk::new(8 * MIB as u64));
    let url = server.put("/image", &*image);
    let checksum = sum(&image).to_string();
    let run = |url: &str, checksum: &str| {
        by_hand("raw_image", &[("IMAGE_URL", url), ("IMAGE_CHECKSUM", checksum)], &disk)
    };
    run(&url, &checksum).well();
    assert_holds(&disk, &image);
    run("file:///etc/passwd", &checksum).badly(64, "bad_parameter: IMAGE_URL is 'file:");
    run(&url, "sha256:12").badly(64, "bad_parameter: IMAGE_CHECKSUM is 'sha256:12'");
}
