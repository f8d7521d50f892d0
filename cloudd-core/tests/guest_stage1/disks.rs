//! The volume and the root disk.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::Path;

use crate::agent::{agent, each, podman};
use crate::guest_support::{Guest, failure};

#[test]
fn a_volume_that_never_comes_is_named() {
    each(|guest| {
        guest.program("udevadm", ":");
        let script = "CLOUDD_VOLUME=/dev/disk/by-id/none CLOUDD_VOLUME_WAIT=0 find_volume";
        let events = agent(guest, script);
        let message = "/dev/disk/by-id/none did not appear";
        assert_eq!(failure(&events), ("volume_missing", message));
    });
}

#[test]
fn a_volume_without_a_link_is_found_by_the_name_that_the_link_would_have() {
    each(|guest| {
        guest.program("udevadm", ":");
        guest.disk("vda", "serial", "cloudd-root", 2048);
        guest.disk("vdb", "serial", "cloudd-volume", 2048);
        guest.disk("sdc", "device/vendor", "HC      \n", 2048);
        guest.write("sys/block/sdc/device/model", "Volume          \n");
        guest.write("sys/block/sdc/device/vpd_pg80", b"\0\x80\0\x0812345678");
        let find = |link: &str| {
            let script = format!(
                "CLOUDD_VOLUME=/dev/disk/by-id/{link} CLOUDD_VOLUME_WAIT=0 root=vda \
                 root_bytes=1048576 find_volume; note \"$volume $device\""
            );
            agent(guest, &script)
        };
        for (link, found) in
            [("virtio-cloudd-volume", "vdb /dev/vdb"), ("scsi-0HC_Volume_12345678", "sdc /dev/sdc")]
        {
            let events = find(link);
            assert_eq!(events.last().unwrap()["message"], found, "{events:?}");
        }
        for link in ["virtio-cloudd", "scsi-0HC_Volume_1234567", "scsi-0HC_Volume_", "*"] {
            assert_eq!(failure(&find(link)).0, "volume_missing", "{link}");
        }
    });
}

#[test]
fn a_root_disk_without_an_identity_is_named() {
    each(|guest| {
        guest.write("proc/self/mountinfo", "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n");
        guest.device("254:1", "sys/block/vda/vda1");
        guest.write("sys/block/vda/vda1/partition", "1\n");
        let expected = "/ is not on a single disk with a unique identity";
        let events = agent(guest, "find_root");
        assert_eq!(failure(&events), ("root_unidentified", expected));
        guest.disk("vda", "serial", "cloudd-root", 2048);
        let events = agent(guest, r#"find_root; note "$root $root_bytes""#);
        assert_eq!(events.last().unwrap()["message"], "vda 1048576");
        assert_eq!(guest.text("run/target"), "serial:cloudd-root\n2048\n");
        guest.disk("vdb", "serial", "cloudd-root", 2048);
        let events = agent(guest, "find_root");
        assert_eq!(failure(&events), ("root_unidentified", expected));
    });
}

/// A block device of this machine: its path, and its number.
fn block_device() -> (String, u64, u64) {
    let names = fs::read_dir("/sys/class/block").unwrap().map(|it| it.unwrap().file_name());
    let nodes = names.map(|name| format!("/dev/{}", name.into_string().unwrap()));
    let node = nodes.filter(|node| Path::new(node).exists()).min().expect("a block device");
    let number = fs::metadata(&node).unwrap().rdev();
    (node, libc::major(number).into(), libc::minor(number).into())
}

#[test]
fn every_use_of_the_volume_is_named() {
    each(|guest| {
        podman(guest, "RUN", ":");
        let (device, major, minor) = block_device();
        guest.write("sys/block/vdb/vdb1/dev", format!("{major}:{minor}\n"));
        guest.write("proc/1/mountinfo", "22 1 254:1 / / rw - ext4 /dev/vda1 rw\n");
        guest.write("proc/77/comm", "sleep\n");
        let other = "22 1 1254:17 / /y rw - ext4 /dev/vdb11 rw\n";
        guest.write("proc/77/mountinfo", other);
        let find = r#"volume=vdb; note "$(volume_users)""#;
        let users = |guest: &Guest| {
            agent(guest, find).last().unwrap()["message"].as_str().unwrap().to_owned()
        };
        assert_eq!(users(guest), "");
        let partition = format!("{major}:{minor} / /x rw - ext4 /dev/root");
        for mounted in [partition.as_str(), "0:40 / /x rw - btrfs /dev/vdb"] {
            guest.write("proc/77/mountinfo", format!("22 1 {mounted} rw\n"));
            assert_eq!(users(guest), "mounted on /x", "{mounted}");
        }
        guest.write("proc/77/mountinfo", other);

        let swaps = "Filename\tType\n/dev/vdb11 partition 1\n/vdb1 partition 1\n/x/vdb file 1\n";
        guest.write("proc/swaps", swaps);
        assert_eq!(users(guest), "swap on /dev/vdb1");
        guest.write("proc/swaps", "Filename\tType\n");

        guest.write("sys/block/loop0/loop/backing_file", "/dev/vdb\n");
        guest.write("sys/block/loop1/loop/backing_file", "/dev/vdc\n");
        assert_eq!(users(guest), "loop device loop0");
        fs::remove_dir_all(guest.path("sys/block/loop0")).unwrap();

        guest.write("sys/block/vdb/vdb1/holders/dm-0", "");
        guest.write("sys/block/vdb/holders/md127", "");
        let found = users(guest);
        assert!(found.contains("device dm-0") && found.contains("device md127"), "{found}");
        fs::remove_dir_all(guest.path("sys/block/vdb/vdb1/holders")).unwrap();
        fs::remove_dir_all(guest.path("sys/block/vdb/holders")).unwrap();

        fs::create_dir_all(guest.path("proc/77/fd")).unwrap();
        symlink("/dev/null", guest.path("proc/77/fd/0")).unwrap();
        assert_eq!(users(guest), "");
        symlink(&device, guest.path("proc/77/fd/3")).unwrap();
        assert_eq!(users(guest), "opened by process 77 (sleep)");
        fs::remove_file(guest.path("proc/77/fd/3")).unwrap();
        // A file on a file system of the volume that is mounted nowhere any more.
        let file = guest.path("lib/env");
        let number = fs::metadata(&file).unwrap().dev();
        let (major, minor) = (libc::major(number), libc::minor(number));
        guest.write("sys/block/vdb/vdb1/dev", format!("{major}:{minor}\n"));
        fs::remove_dir_all(guest.path("proc/77/fd")).unwrap();
        fs::create_dir_all(guest.path("proc/77/fd")).unwrap();
        symlink(file, guest.path("proc/77/fd/4")).unwrap();
        assert_eq!(users(guest), "opened by process 77 (sleep)");
    });
}

#[test]
fn a_volume_that_stays_in_use_is_reported_in_one_line() {
    each(|guest| {
        podman(guest, "RUN", ":");
        guest.program("sleep", "exit 0");
        guest.program("sync", "exit 0");
        let check = "volume=vdb device=/dev/vdb volume_sectors=2048; check";
        guest.write("proc/7/mountinfo", "22 1 254:16 / /x rw - ext4 /dev/vdb rw\n");
        guest.write("proc/8/mountinfo", "22 1 254:16 / /x rw - ext4 /dev/vdb rw\n");
        guest.write("proc/swaps", "Filename\tType\n/dev/vdb partition 1\n");
        let events = agent(guest, check);
        let message =
            "after the container has ended, the volume is in use: mounted on /x;swap on /dev/vdb";
        assert_eq!(failure(&events), ("volume_busy", message));

        fs::remove_dir_all(guest.path("proc/7")).unwrap();
        fs::remove_dir_all(guest.path("proc/8")).unwrap();
        guest.write("proc/swaps", "Filename\tType\n");
        guest.program("blkdiscard", "echo cannot open: Device or resource busy >&2; exit 1");
        let events = agent(guest, check);
        let message = "after the container has ended, the volume is in use: by the kernel, such as \
                       by a file system that is mounted nowhere";
        assert_eq!(failure(&events), ("volume_busy", message));
    });
}

#[test]
fn direct_io_is_tried_before_anything_is_destroyed() {
    each(|guest| {
        guest.write("volume", vec![1; 1 << 20]);
        let volume = guest.path("volume").display().to_string();
        let script = format!("device={volume}; does_direct_io; note \"$? $(cat $run/error)\"");
        let events = agent(guest, &script);
        assert_eq!(events.last().unwrap()["message"], "0 ");
        guest.program("dd", "case $* in *direct*) echo no direct I/O >&2; exit 1 ;; esac");
        let events = agent(guest, &script);
        assert_eq!(events.last().unwrap()["message"], "1 no direct I/O");
    });
}
