//! Identification of disks without kernel names (`assets/disks.sh`).

mod guest_support;

use guest_support::{Guest, shells};

/// Runs a test once for each shell.
fn each(test: impl Fn(&Guest)) {
    shells().into_iter().for_each(|shell| test(&Guest::new(shell)));
}

#[test]
fn every_bus_has_an_identity_of_its_own_kind() {
    each(|guest| {
        guest.disk("vda", "serial", "cloudd-root", 8); // virtio's ends without a newline
        guest.disk("sda", "device/wwid", "t10.QEMU    QEMU HARDDISK   1001   \n", 8);
        guest.disk("nvme0n1", "wwid", "eui.0025388b710116a1\n", 8);
        guest.disk("sdb", "device/vpd_pg80", "\0\u{80}\0\u{8}HC 80005", 8);
        guest.disk("loop0", "serial", "", 8);
        let ids = guest.print(
            "disks.sh",
            r#"for d in vda sda nvme0n1 sdb loop0; do identity $d && echo "$id" || echo none; done"#,
        );
        assert_eq!(
            ids,
            "serial:cloudd-root\n\
             device/wwid:t10.QEMU    QEMU HARDDISK   1001\n\
             wwid:eui.0025388b710116a1\n\
             vpd_pg80:HC80005\n\
             none"
        );
    });
}

#[test]
fn an_identity_must_belong_to_exactly_one_disk() {
    each(|guest| {
        guest.disk("vda", "serial", "one", 8);
        guest.disk("vdb", "serial", "twins", 8);
        guest.disk("vdc", "serial", "twins", 8);
        let found = guest.print(
            "disks.sh",
            "for s in one none twins; do find_disk serial:$s; echo $? $disk; done",
        );
        assert_eq!(found, "0 vda\n1\n2 vdb");
    });
}

#[test]
fn a_file_system_is_followed_to_its_whole_disk() {
    each(|guest| {
        guest.device("254:0", "sys/devices/vda");
        guest.device("254:1", "sys/devices/vda/vda1");
        guest.write("sys/devices/vda/vda1/partition", "1\n");
        guest.device("253:0", "sys/devices/dm-0");
        guest.device("253:1", "sys/devices/dm-1");
        let link = |from: &str, to: &str| {
            std::fs::create_dir_all(guest.path(from).parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(guest.path(to), guest.path(from)).unwrap();
        };
        link("sys/devices/dm-0/slaves/vda1", "sys/devices/vda/vda1");
        link("sys/devices/dm-1/slaves/vda1", "sys/devices/vda/vda1");
        link("sys/devices/dm-1/slaves/vdb", "sys/devices/vdb");
        // btrfs has a virtual device number; its source is a link, as for device mapper.
        guest.write("dev/dm-0", "");
        link("dev/mapper/root", "dev/dm-0");
        let source = guest.path("dev/mapper/root");
        let script = format!(
            r#"
            for number in 254:0 254:1 253:0; do disk_under $number x && echo "$disk"; done
            disk_under 0:35 {} && echo "$disk"
            disk_under 253:1 x || echo several
            disk_under 9:9 x || echo unknown"#,
            source.display()
        );
        assert_eq!(guest.print("disks.sh", &script), "vda\nvda\nvda\nvda\nseveral\nunknown");
    });
}

#[test]
fn only_mounts_of_block_devices_count() {
    each(|guest| {
        guest.write(
            "proc/self/mountinfo",
            "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n\
             23 22 0:5 / /proc rw - proc proc rw\n\
             24 22 0:35 /home /home rw shared:2 master:3 - btrfs /dev/vda3 rw,subvol=/home\n\
             25 22 254:17 / /mnt/with\\040space rw - vfat /dev/vdb1 rw\n",
        );
        assert_eq!(
            guest.print("disks.sh", "mounts"),
            "254:1 /dev/vda1 /\n0:35 /dev/vda3 /home\n254:17 /dev/vdb1 /mnt/with\\040space"
        );
    });
}
