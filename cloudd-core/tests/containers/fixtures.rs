//! Disk images and their content.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use cloudd_core::install::Sha256Digest;
use cloudd_core::install::containers::Checksum;

use crate::disk::Disk;
use crate::podman::run;

pub(crate) const MIB: usize = 1 << 20;

/// An image of data, zeros and data. Its size is a multiple of the sector size only.
pub(crate) fn image() -> Vec<u8> {
    let mut image = vec![0; 5 * MIB + 512];
    for (at, byte) in image[..MIB].iter_mut().enumerate() {
        *byte = (at / 7 % 251) as u8;
    }
    image[4 * MIB + 100..].fill(0xa5);
    image[0] = 0xeb;
    image
}

pub(crate) fn sum(bytes: &[u8]) -> Checksum {
    Checksum::sha256(Sha256Digest::digest(bytes).to_string())
}

/// The output of a program for this standard input.
pub(crate) fn through(program: &str, arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    output.stdout
}

pub(crate) fn qcow2(image: &[u8]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (raw, qcow2) = (directory.path().join("raw"), directory.path().join("qcow2"));
    fs::write(&raw, image).unwrap();
    let arguments = ["convert", "-f", "raw", "-O", "qcow2", "-c"];
    run(Command::new("qemu-img").args(arguments).args([&raw, &qcow2]));
    fs::read(qcow2).unwrap()
}

/// Checks that the disk has the bytes of the image, followed by zeros.
#[track_caller]
pub(crate) fn assert_holds(disk: &Disk, image: &[u8]) {
    let bytes = disk.bytes();
    assert!(bytes[..image.len()] == *image, "the image was not written as it is");
    assert!(bytes[image.len()..].iter().all(|byte| *byte == 0), "something stands after the image");
}

/// A disk with one partition with this name and an ext4 file system with these files.
pub(crate) fn partitioned(name: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let (disk, tree) = (directory.path().join("disk"), directory.path().join("tree"));
    for (path, content) in files {
        fs::create_dir_all(tree.join(path).parent().unwrap()).unwrap();
        fs::write(tree.join(path), content).unwrap();
    }
    fs::write(&disk, vec![0; 8 * MIB]).unwrap();
    let table = format!("label: gpt\nstart=1MiB, size=6MiB, name={name}\n");
    let mut sfdisk = Command::new("/sbin/sfdisk");
    sfdisk.arg("--quiet").arg(&disk).stdin(Stdio::piped());
    let mut sfdisk = sfdisk.spawn().unwrap();
    sfdisk.stdin.take().unwrap().write_all(table.as_bytes()).unwrap();
    assert!(sfdisk.wait().unwrap().success());
    let arguments = ["-q", "-F", "-t", "ext4", "-E", "offset=1048576", "-d"];
    run(Command::new("/sbin/mke2fs").args(arguments).args([&tree, &disk]).arg("6M"));
    fs::read(disk).unwrap()
}

/// A file of the ext4 file system that starts at this byte of the disk.
pub(crate) fn file_at(disk: &Disk, offset: u64, path: &str) -> String {
    debugfs(disk, offset, &format!("cat {path}"))
}

/// The names in a directory of the file system, each between slashes.
pub(crate) fn names_at(disk: &Disk, offset: u64, path: &str) -> String {
    debugfs(disk, offset, &format!("ls -p {path}"))
}

/// The target of a symbolic link of the file system, of at most 59 bytes.
pub(crate) fn link_at(disk: &Disk, offset: u64, path: &str) -> String {
    let shown = debugfs(disk, offset, &format!("stat {path}"));
    let target = shown.split("Fast link dest: \"").nth(1).and_then(|rest| rest.split('"').next());
    target.unwrap_or_else(|| panic!("{path} is not a short link: {shown}")).to_owned()
}

fn debugfs(disk: &Disk, offset: u64, request: &str) -> String {
    let device = format!("{}?offset={offset}", disk.path().display());
    run(Command::new("/sbin/debugfs").args(["-R", request, &device]))
}

/// Checks the ext4 file system that starts at this byte of the disk.
pub(crate) fn check_file_system(disk: &Disk, offset: u64) {
    let copy = tempfile::NamedTempFile::new().unwrap();
    run(Command::new("dd")
        .args(["bs=1M", "iflag=skip_bytes", "conv=sparse", "status=none"])
        .arg(format!("skip={offset}"))
        .arg(format!("if={}", disk.path().display()))
        .arg(format!("of={}", copy.path().display())));
    run(Command::new("/sbin/e2fsck").args(["-f", "-n"]).arg(copy.path()));
}
