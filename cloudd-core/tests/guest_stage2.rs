//! Stage 2 on regular files: what it must do, and what it must never do.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

mod guest_support;

use std::fs;

use guest_support::{Guest, events, failure, shells};
use serde_json::Value;

const MIB: usize = 1 << 20;

/// A RAM tree like the one of `arm.sh`, and two disks: a volume of 40 MiB with two extents, and a
/// root disk of 48 MiB that is full of the builder's data.
struct Stage2 {
    guest: Guest,
    volume: Vec<u8>,
}

/// The result of a run of stage 2.
struct Ended {
    events: Vec<Value>,
    sysrq: String,
    root: Vec<u8>,
}

impl Stage2 {
    const VOLUME: usize = 40 * MIB;
    const ROOT: usize = 48 * MIB;

    fn new(shell: &'static str) -> Self {
        let guest = Guest::new(shell);
        for file in ["env", "events.sh", "disks.sh", "copy.sh"] {
            guest.write(&format!("tree/cloudd/{file}"), guest.read(&format!("lib/{file}")));
        }
        guest.write("tree/shutdown", guest.read("lib/stage2.sh"));
        guest.write("proc/sysrq-trigger", "");
        let sectors = |bytes: usize| bytes as u64 / 512;
        guest.disk("vda", "serial", "cloudd-root", sectors(Self::ROOT));
        guest.disk("vdb", "serial", "cloudd-volume", sectors(Self::VOLUME));
        let mut volume = vec![0; Self::VOLUME];
        volume[3 * MIB..5 * MIB].fill(b'a');
        volume[4 * MIB..4 * MIB + 4096].fill(0); // zeroes in an extent are data too
        volume[Self::VOLUME - 512..].fill(b'b');
        guest.write("dev/vda", vec![b'x'; Self::ROOT]);
        guest.write("dev/vdb", &volume);
        let (volume_sectors, root_sectors) = (sectors(Self::VOLUME), sectors(Self::ROOT));
        guest.write("tree/cloudd/source", format!("serial:cloudd-volume\n{volume_sectors}\n70\n"));
        guest.write("tree/cloudd/target", format!("serial:cloudd-root\n{root_sectors}\n"));
        let last = Self::VOLUME - 4096;
        guest.write("tree/cloudd/extents", format!("{} {}\n{last} 4096\n", 3 * MIB, 2 * MIB));
        Self { guest, volume }
    }

    /// Runs stage 2 like the initramfs (`hook`) or like systemd.
    fn enter(&self, door: &str, replacements: &str) -> Ended {
        let ends = "stay() { exit 9; }\nleave_old_root() { :; }\n";
        let output = self.guest.stage("tree/shutdown", &[door], &format!("{ends}{replacements}"));
        assert!(!output.status.success(), "stage 2 ended without power-off");
        Ended {
            events: events(&output.stdout),
            sysrq: self.guest.text("proc/sysrq-trigger"),
            root: self.guest.read("dev/vda"),
        }
    }
}

impl Ended {
    fn expect_done(&self, volume: &[u8]) {
        let last = self.events.last().unwrap();
        assert_eq!(last["event"], "done", "{last}");
        assert_eq!(self.sysrq, "o\n");
        assert!(self.root[..volume.len()] == *volume, "the volume's bytes");
        let rest = &self.root[volume.len()..];
        assert!(rest == vec![0; rest.len()], "zeroes after them");
    }

    /// Checks that stage 2 reported this refusal, wrote nothing, and did not power off.
    fn expect_refused(&self, message: &str) {
        assert_eq!(failure(&self.events), ("stage2_refused", message));
        assert_ne!(self.sysrq, "o\n");
        assert!(self.root == vec![b'x'; Stage2::ROOT], "nothing was written");
    }

    /// Checks that stage 2 reported this failure and did not power off; returns the message.
    fn expect_failed(&self, reason: &str) -> &str {
        let (actual, message) = failure(&self.events);
        assert_eq!(actual, reason, "{message}");
        assert_eq!(self.sysrq, "", "neither power-off nor reboot");
        message
    }

    fn notes(&self) -> Vec<&str> {
        let notes = self.events.iter().filter(|event| event["event"] == "note");
        notes.map(|event| event["message"].as_str().unwrap()).collect()
    }
}

/// Runs a test once for each shell.
fn each(test: impl Fn(Stage2)) {
    shells().into_iter().for_each(|shell| test(Stage2::new(shell)));
}

#[test]
fn the_root_disk_becomes_the_volume_and_zeroes() {
    each(|stage2| {
        for door in ["hook", "reboot"] {
            stage2.guest.write("dev/vda", vec![b'x'; Stage2::ROOT]);
            let ended = stage2.enter(door, "");
            ended.expect_done(&stage2.volume);
            let steps: Vec<_> = ended
                .events
                .iter()
                .filter(|event| event["state"] == "end")
                .map(|event| (event["step"].as_str().unwrap(), event["exit"].as_u64().unwrap()))
                .collect();
            assert_eq!(steps, [("identify", 0), ("zero", 0), ("copy", 0), ("verify", 0)]);
            let copied = ended
                .events
                .iter()
                .rfind(|event| event["step"] == "copy" && event["done"].is_u64());
            let total = 2 * MIB as u64 + 4096;
            assert_eq!(copied.map(|event| event["done"].as_u64()), Some(Some(total)));
            assert!(ended.events.iter().all(|event| event["from"] == "stage2"));
        }
    });
}

#[test]
fn a_whole_volume_that_was_never_zeroed_is_copied_in_windows() {
    each(|mut stage2| {
        for (index, thousand) in stage2.volume.chunks_mut(1000).enumerate() {
            thousand.fill((index % 251) as u8);
        }
        stage2.guest.write("dev/vdb", &stage2.volume);
        stage2.guest.write("tree/cloudd/extents", format!("0 {}\n", Stage2::VOLUME));
        let ended = stage2.enter("hook", "");
        ended.expect_done(&stage2.volume);
        // Two windows of at most 32 MiB for 40 MiB.
        let windows = stage2.guest.text("tree/cloudd/windows");
        let windows: Vec<_> =
            windows.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(windows, ["0 33554432", "33554432 8388608"]);
    });
}

#[test]
fn a_volume_that_is_no_multiple_of_4_kib_is_copied_to_its_last_sector() {
    each(|mut stage2| {
        let length = Stage2::VOLUME - 4096 + 512;
        stage2.volume.truncate(length);
        stage2.volume[length - 512..].fill(b'z');
        stage2.guest.write("dev/vdb", &stage2.volume);
        stage2.guest.write("sys/block/vdb/size", format!("{}\n", length / 512));
        stage2
            .guest
            .write("tree/cloudd/source", format!("serial:cloudd-volume\n{}\n70\n", length / 512));
        let extents = format!("{} {}\n{} 512\n", 3 * MIB, 2 * MIB, length - 512);
        stage2.guest.write("tree/cloudd/extents", extents);
        stage2.enter("hook", "").expect_done(&stage2.volume);
    });
}

#[test]
fn scattered_extents_share_a_window_and_distant_ones_do_not() {
    each(|mut stage2| {
        stage2.volume.fill(0);
        let mut extents = String::new();
        for (offset, byte) in [(0, 1), (MIB, 2), (3 * MIB, 3), (3 * MIB + 8192, 4)] {
            stage2.volume[offset..offset + 4096].fill(byte);
            extents += &format!("{offset} 4096\n");
        }
        stage2.guest.write("dev/vdb", &stage2.volume);
        stage2.guest.write("tree/cloudd/extents", extents);
        stage2.enter("hook", "").expect_done(&stage2.volume);
        let windows = stage2.guest.text("tree/cloudd/windows");
        let windows: Vec<_> =
            windows.lines().map(|line| line.rsplit_once(' ').unwrap().0).collect();
        assert_eq!(windows, [format!("0 {}", MIB + 4096), format!("{} 12288", 3 * MIB)]);
    });
}

#[test]
fn what_one_window_held_does_not_show_in_the_gaps_of_the_next() {
    each(|mut stage2| {
        stage2.volume.fill(0);
        let mut extents = String::new();
        // Windows without gaps, with two gaps, a long one without gaps, and one with a gap at its end.
        for (offset, length) in [
            (0, 65536),
            (3 * MIB, 4096),
            (3 * MIB + 8192, 4096),
            (3 * MIB + 20480, 4096),
            (6 * MIB, 131_072),
            (9 * MIB, 4096),
            (9 * MIB + 122_880, 4096),
        ] {
            stage2.volume[offset..offset + length].fill(b'x');
            extents += &format!("{offset} {length}\n");
        }
        stage2.guest.write("dev/vdb", &stage2.volume);
        stage2.guest.write("tree/cloudd/extents", extents);
        stage2.enter("hook", "").expect_done(&stage2.volume);
    });
}

#[test]
fn one_flipped_bit_on_the_root_disk_is_found() {
    each(|stage2| {
        // The first two are in extents, the third is in a gap inside a window, the last two are at the
        // ends of the ranges between windows.
        let extents = format!("{} 8192\n{} 8192\n", 3 * MIB, 3 * MIB + 65536);
        stage2.guest.write("tree/cloudd/extents", extents);
        let places = [3 * MIB + 5, 3 * MIB + 65536, 3 * MIB + 9000, 0, Stage2::ROOT - 1];
        for place in places {
            let flip = format!(
                r#"verify_whole() {{ printf y | dd of="$target" bs=1 seek={place} conv=notrunc status=none; }}
                begin() {{
                    step=$1
                    emit "\"event\":\"step\",\"step\":\"$step\",\"state\":\"start\""
                    [ "$step" != verify ] || verify_whole
                }}"#
            );
            let ended = stage2.enter("hook", &flip);
            let message = ended.expect_failed("verify_failed");
            assert!(message.starts_with("the target does not hold the "), "{message}");
        }
    });
}

#[test]
fn zeroing_that_did_not_happen_is_found() {
    each(|stage2| {
        stage2.guest.program("fallocate", "exit 0");
        stage2.enter("hook", "").expect_failed("verify_failed");
    });
}

#[test]
fn a_disk_that_cannot_punch_holes_is_written_with_zeroes() {
    each(|stage2| {
        for program in ["fallocate", "blkdiscard"] {
            stage2.guest.program(program, "exit 1");
        }
        let ended = stage2.enter("hook", "");
        ended.expect_done(&stage2.volume);
        assert_eq!(
            ended.notes()[..2],
            [
                "the target cannot punch holes, zeroing with blkdiscard",
                "the target refuses BLKZEROOUT, writing zeroes",
            ]
        );
    });
}

#[test]
fn a_failing_disk_is_a_failure_with_the_commands_own_words() {
    each(|stage2| {
        let fail = |pattern: &str, words: &str| {
            stage2.guest.program(
                "dd",
                &format!(
                    "case \"$*\" in {pattern}) echo 'dd: {words}' >&2; exit 1 ;; esac; exec /bin/dd \"$@\""
                ),
            );
        };
        fail("*if=*vdb*", "error reading: Input/output error");
        let ended = stage2.enter("hook", "");
        let message = ended.expect_failed("copy_failed");
        assert_eq!(message, "dd: error reading: Input/output error");
        fail("*of=*vda*seek*", "error writing: No space left on device");
        let ended = stage2.enter("hook", "");
        assert_eq!(
            ended.expect_failed("copy_failed"),
            "dd: error writing: No space left on device"
        );
        fail("*of=*vda*fsync*", "fsync failed: Input/output error");
        let ended = stage2.enter("hook", "");
        assert_eq!(ended.expect_failed("copy_failed"), "dd: fsync failed: Input/output error");
        let reading = format!("if={}*", stage2.guest.path("dev/vda").display());
        fail(&reading, "error reading: Input/output error");
        stage2.enter("hook", "").expect_failed("verify_failed");
    });
}

#[test]
fn without_direct_io_the_image_is_the_same_and_the_page_cache_is_dropped_before_it_is_verified() {
    each(|stage2| {
        let dd =
            "case $* in *direct*) echo Invalid argument >&2; exit 1 ;; esac\nexec /bin/dd \"$@\"";
        stage2.guest.program("dd", dd);
        stage2.enter("", "").expect_failed("copy_failed");
        stage2.guest.write("dev/vda", vec![b'x'; Stage2::ROOT]);
        stage2.guest.write("tree/cloudd/buffered", "");
        stage2.guest.write("proc/sys/vm/drop_caches", "");
        stage2.enter("", "").expect_done(&stage2.volume);
        assert_eq!(stage2.guest.text("proc/sys/vm/drop_caches"), "1\n");
    });
}

#[test]
fn a_disk_that_is_not_the_one_described_is_refused() {
    let sectors = (Stage2::ROOT / 512).to_string();
    let table = [
        ("source", "serial:other\n81920\n70\n".to_owned(), "source: no disk is serial:other"),
        (
            "target",
            format!("serial:cloudd-root\n{}8\n", &sectors[..sectors.len() - 1]),
            "target: vda has 98304 sectors, not 98308",
        ),
        (
            "source",
            format!("serial:cloudd-root\n{sectors}\n70\n"),
            "source and target are the same disk",
        ),
        ("source", String::new(), "source: no description"),
    ];
    each(|stage2| {
        for (file, description, message) in &table {
            let file = format!("tree/cloudd/{file}");
            let right = stage2.guest.text(&file);
            stage2.guest.write(&file, description);
            stage2.enter("reboot", "").expect_refused(message);
            stage2.guest.write(&file, right);
        }
    });
}

#[test]
fn two_disks_with_the_same_identity_are_refused() {
    each(|stage2| {
        stage2.guest.disk("vdc", "serial", "cloudd-volume", 81920);
        stage2.enter("hook", "").expect_refused("source: several disks are serial:cloudd-volume");
    });
}

#[test]
fn a_volume_larger_than_the_root_disk_is_refused() {
    each(|stage2| {
        stage2.guest.write("sys/block/vda/size", "8192\n");
        stage2.guest.write("tree/cloudd/target", "serial:cloudd-root\n8192\n");
        let ended = stage2.enter("hook", "");
        ended.expect_refused("the volume is larger than the root disk");
    });
}

#[test]
fn a_disk_in_use_is_refused() {
    each(|stage2| {
        for (number, disk) in [("254:1", "vda"), ("254:17", "vdb"), ("254:33", "vdc")] {
            let partition = format!("sys/block/{disk}/{disk}1");
            stage2.guest.device(number, &partition);
            stage2.guest.write(&format!("{partition}/partition"), "1\n");
            stage2.guest.write(&format!("dev/{disk}1"), "");
        }
        let mount = |number: &str, source: &str| {
            let line = format!("22 1 {number} / /somewhere rw - ext4 {source} rw\n");
            stage2.guest.write("proc/self/mountinfo", line);
        };
        for (number, source, message) in [
            ("254:1", "/dev/vda1", "the root disk is still in use: /somewhere"),
            ("254:17", "/dev/vdb1", "the volume is still in use: /somewhere"),
            ("7:7", "/dev/odd", "cannot tell on which disk /dev/odd (/somewhere) is"),
        ] {
            mount(number, source);
            stage2.enter("hook", "").expect_refused(message);
        }
        mount("254:33", "/dev/vdc1");
        let swap = |disk: &str| {
            let line = format!("Filename Type Size Used Priority\n/dev/{disk}1 partition 9 0 -2\n");
            stage2.guest.write("proc/swaps", line);
        };
        swap("vda");
        stage2.enter("hook", "").expect_refused("the root disk is still in use: swap");
        swap("vdc");
        stage2.enter("hook", "").expect_done(&stage2.volume);
    });
}

#[test]
fn a_volume_written_to_after_stage_1_is_refused_where_the_same_kernel_can_tell() {
    each(|stage2| {
        stage2.guest.write("sys/block/vdb/stat", "1 2 30 4 5 6 78 8 9 10 11\n");
        let message = "the volume was written to after stage 1 had listed its extents";
        stage2.enter("reboot", "").expect_refused(message);
        // After a reboot, the kernel's counts start at zero.
        stage2.enter("hook", "").expect_done(&stage2.volume);
    });
}

#[test]
fn without_extents_nothing_is_touched() {
    each(|stage2| {
        stage2.guest.write("tree/cloudd/extents", "");
        stage2.enter("hook", "").expect_refused("no list of extents");
    });
}

#[test]
fn a_refusal_leads_back_into_the_builders_system() {
    each(|stage2| {
        stage2.guest.disk("vdc", "serial", "cloudd-root", 98_304);
        let message = "target: several disks are serial:cloudd-root";
        // Entered from systemd, stage 2 reboots; entered from the initramfs, it returns and the boot continues.
        let ended = stage2.enter("reboot", "");
        ended.expect_refused(message);
        assert_eq!(ended.sysrq, "b\n");
        stage2.guest.write("proc/sysrq-trigger", "");
        let ended = stage2.enter("hook", "");
        ended.expect_refused(message);
        assert_eq!(ended.sysrq, "");
        assert_eq!(stage2.guest.text("tree/cloudd/refused"), format!("{message}\n"));
        fs::remove_file(stage2.guest.path("tree/cloudd/refused")).unwrap();
    });
}
