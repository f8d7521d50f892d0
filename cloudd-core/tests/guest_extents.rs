//! Conversion of the kernel's trace into the list of extents (`assets/extents.awk`, `assets/trace.sh`).
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

mod guest_support;

use std::process::Command;

use guest_support::{Guest, shells};

/// A completed request in the format of kernels before 6.11.
fn request(kind: &str, sector: u64, sectors: u64) -> String {
    format!(
        "          <idle>-0       [001] d.s1.    12.345679: block_rq_complete: 254,16 {kind} () {sector} + {sectors} [0]\n"
    )
}

/// Returns the first line (traced, lost, written, copied, count) and the extents.
fn extents(trace: &str, size: u64) -> (Vec<u64>, Vec<(u64, u64)>) {
    let guest = Guest::new(shells()[0]);
    guest.write("trace", trace);
    let output = Command::new("awk")
        .env("LC_ALL", "C")
        .args(["-v", &format!("size={size}"), "-v"])
        .arg(format!("scratch={}", guest.path("scratch").display()))
        .arg("-f")
        .args([guest.path("lib/extents.awk"), guest.path("trace")])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines =
        text.lines().map(|line| line.split(' ').map(|n| n.parse().unwrap()).collect::<Vec<u64>>());
    (lines.next().unwrap(), lines.map(|line| (line[0], line[1])).collect())
}

#[test]
fn requests_become_sorted_blocks_of_4_kib() {
    let trace = request("WS", 4000, 16) + &request("W", 2048, 8) + &request("WSM", 2056, 1016);
    let (summary, list) = extents(&trace, 1 << 20);
    assert_eq!(list, [(2048 * 512, 1024 * 512), (4000 * 512, 16 * 512)]);
    assert_eq!(summary, [1040, 0, 1040 * 512, 1040 * 512, 2]);
}

#[test]
fn requests_off_the_blocks_are_widened_to_them() {
    let (summary, list) = extents(&(request("W", 9, 1) + &request("W", 15, 2)), 1 << 20);
    assert_eq!(list, [(4096, 8192)]);
    assert_eq!(summary[..3], [3, 0, 8192]);
}

#[test]
fn newer_kernels_print_a_priority_as_well() {
    let old = request("WS", 2048, 8);
    let new = old.replace("+ 8 [0]", "+ 8 none,0,0 [0]");
    assert_ne!(old, new);
    assert_eq!(extents(&old, 1 << 20), extents(&new, 1 << 20));
}

#[test]
fn the_same_block_written_twice_is_copied_once_but_counted_twice() {
    let (summary, list) = extents(&request("W", 80, 8).repeat(2), 1 << 20);
    assert_eq!(list, [(40960, 4096)]);
    assert_eq!(summary, [16, 0, 4096, 4096, 1]);
}

#[test]
fn reads_discards_and_bare_flushes_do_not_count() {
    let trace = request("R", 8, 8)
        + &request("DS", 0, 4096)
        + &request("FF", u64::MAX, 0)
        + &request("FWFSM", 16, 8); // a write with a flush before and after it
    assert_eq!(extents(&trace, 1 << 20), (vec![8, 0, 4096, 4096, 1], vec![(8192, 4096)]));
}

#[test]
fn zeroes_written_by_the_disk_count_as_written_but_need_no_copy() {
    for kind in ["N", "NS", "WZS"] {
        let trace = request(kind, 0, 4096) + &request("W", 8, 8);
        assert_eq!(extents(&trace, 1 << 20).0, [4104, 0, 4096, 4096, 1], "{kind}");
    }
}

#[test]
fn lost_events_are_noticed() {
    let trace = request("W", 8, 8) + "CPU:1 [LOST 23 EVENTS]\n" + &request("W", 16, 8);
    assert_eq!(extents(&trace, 1 << 20).0[1], 1);
}

#[test]
fn an_empty_trace_has_no_extents() {
    assert_eq!(extents("", 1 << 20), (vec![0; 5], vec![]));
}

#[test]
fn the_last_extent_ends_with_the_volume() {
    // The size is not a multiple of 4 KiB; a backup partition table is in the last sector.
    let (summary, list) = extents(&request("W", 1000, 1), 1001);
    assert_eq!(list, [(512_000, 512)]);
    assert_eq!(summary, [1, 0, 512, 512, 1]);
}

#[test]
fn small_gaps_are_copied_along_within_5_percent() {
    // 1,000 blocks with gaps of 8, 30 and 40 blocks: at most 50 blocks may be added.
    let at = |block: u64| request("W", block * 8, 8);
    let trace = request("W", 0, 8000) + &at(1008) + &at(1039) + &at(1080);
    let (summary, list) = extents(&trace, 1 << 20);
    assert_eq!(list, [(0, 1040 * 4096), (1080 * 4096, 4096)]);
    assert_eq!(summary, [8024, 0, 1003 * 4096, 1041 * 4096, 2]);
}

#[test]
fn the_list_stays_short_whatever_was_written() {
    // 10,000 separate blocks, of which a limit of 5 % would merge none.
    let trace: String = (0..10_000).map(|i| request("W", i * i / 7 * 8 + i * 64, 8)).collect();
    let (summary, list) = extents(&trace, 1 << 34);
    assert!(list.len() <= 2000, "{}", list.len());
    assert!(list.windows(2).all(|pair| pair[0].0 + pair[0].1 < pair[1].0));
    assert_eq!(summary[3], list.iter().map(|extent| extent.1).sum::<u64>());
    assert_eq!(summary[2], 10_000 * 4096);
}

#[test]
fn offsets_beyond_4_gib_are_exact() {
    let sector = (123 << 30) / 512;
    assert_eq!(extents(&request("W", sector, 8), 1 << 40).1, [(123 << 30, 4096)]);
}

/// Ends a trace with the content `trace` when the volume's statistics count 70 written sectors.
fn trace_stop(trace: &str, before: &str) -> String {
    let guest = Guest::new(shells()[0]);
    guest.disk("vdb", "serial", "cloudd-volume", 2048);
    guest.write("tracing/trace_marker", "");
    guest.write(
        "trace",
        format!("{trace}   sh-1 [000] ..... 1.0: tracing_mark_write: cloudd-end\n"),
    );
    let root = guest.path("").display().to_string();
    guest.print(
        "disks.sh",
        &format!(
            r#"
            lib={root}/lib trace={root}/trace extents={root}/extents
            . "$lib/trace.sh"
            untraced= instance={root}/tracing {before}
            sleep 100 & tracer=$!
            trace_stop vdb 2048
            echo "$written $copied $count $untraced"; cat "$extents""#
        ),
    )
}

#[test]
fn a_trace_that_adds_up_gives_the_extents() {
    assert_eq!(
        trace_stop(&request("W", 800, 60), "written_before=10"),
        "32768 32768 1 \n409600 32768"
    );
}

#[test]
fn a_trace_that_does_not_add_up_means_the_whole_volume() {
    assert_eq!(
        trace_stop(&request("W", 800, 60), "written_before=9"),
        "31232 1048576 1 60 sectors were traced but 61 written\n0 1048576"
    );
}

#[test]
fn a_trace_with_lost_events_means_the_whole_volume() {
    let trace = request("W", 800, 60) + "CPU:0 [LOST 1 EVENTS]\n";
    assert_eq!(
        trace_stop(&trace, "written_before=10"),
        "30720 1048576 1 the trace lost events\n0 1048576"
    );
}

#[test]
fn without_a_block_trace_the_whole_volume_is_copied() {
    for shell in shells() {
        let guest = Guest::new(shell);
        guest.disk("vdb", "serial", "cloudd-volume", 2048);
        guest.write("sys/block/vdb/dev", "254:16\n");
        guest.program("mount", "exit 1");
        let root = guest.path("").display().to_string();
        let script = format!(
            r#"
            lib={root}/lib trace={root}/trace extents={root}/extents untraced=
            . "$lib/trace.sh"
            trace_start vdb
            echo "1 2 30 4 5 6 99 8 9 10 11" >"$sys/block/vdb/stat"
            trace_stop vdb 2048
            echo "$written $copied $count $untraced"; cat "$extents""#
        );
        assert_eq!(
            guest.print("disks.sh", &script),
            "14848 1048576 1 the kernel's block trace is not available\n0 1048576"
        );
    }
}
