//! The parts of the agent (`assets/stage1.sh`) on regular files, with a fake podman.
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]

mod guest_support;

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use guest_support::{Guest, events, failure, shells};
use serde_json::Value;

/// Runs lines of shell inside the agent, between `hello` and its end, without its heartbeat, and
/// returns the events.
fn agent(guest: &Guest, script: &str) -> Vec<Value> {
    agent_with(guest, "heartbeat() { :; }", script)
}

/// The same with these overrides.
fn agent_with(guest: &Guest, overrides: &str, script: &str) -> Vec<Value> {
    let _ = fs::remove_dir_all(guest.path("run"));
    fs::create_dir_all(guest.path("run")).unwrap();
    let main = format!(
        "{overrides}\nmain() {{\nstart_writer\ntrap at_exit EXIT\nimage=image\n{script}\nflush\nreported=yes\n}}"
    );
    let output = guest.stage("lib/stage1.sh", &[], &main);
    let text = guest.read("run/events");
    assert!(!text.is_empty(), "{output:?}");
    events(&text)
}

/// Runs a test once for each shell.
fn each(test: impl Fn(&Guest)) {
    shells().into_iter().for_each(|shell| test(&Guest::new(shell)));
}

/// Returns the log lines among the events.
fn lines(events: &[Value]) -> Vec<&str> {
    let logs = events.iter().filter(|event| event["event"] == "log");
    logs.map(|event| event["line"].as_str().unwrap()).collect()
}

/// Returns the log lines for a command that prints these bytes.
fn logged(guest: &Guest, bytes: &[u8]) -> Vec<String> {
    guest.write("bytes", bytes);
    let script = format!("begin run; logged cat {}", guest.path("bytes").display());
    lines(&agent(guest, &script)).into_iter().map(str::to_owned).collect()
}

#[test]
fn output_of_any_kind_becomes_lines_that_hold_what_can_be_read() {
    let table: [(&[u8], &[&str]); 9] = [
        (b"one\ntwo\n", &["one", "two"]),
        (b"no line break at the end", &["no line break at the end"]),
        (b"10%\r20%\r\n30%\r", &["10%", "20%", "30%"]),
        (b"\n\n  \n", &["  "]),
        (b"say \"hi\" \\n \tthere", &["say \"hi\" \\n \tthere"]),
        (b"\x1b[31mred\x07\0\x7f", &["?[31mred???"]),
        ("grün ✓ 😀".as_bytes(), &["grün ✓ 😀"]),
        (b"a\xffb\xc3 \xe2\x9c c\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf", &["ab  c"]),
        (b"", &[]),
    ];
    each(|guest| {
        for (bytes, expected) in table {
            assert_eq!(logged(guest, bytes), expected, "{bytes:?}");
        }
    });
}

#[test]
fn lines_are_reported_while_the_command_runs() {
    each(|guest| {
        let events = guest.path("run/events").display().to_string();
        let count = format!("echo one; sleep 2; echo reported: $(grep -c '\"one\"' {events})");
        guest.write("command", count);
        let script = format!("begin run; logged sh {}", guest.path("command").display());
        assert_eq!(lines(&agent(guest, &script)), ["one", "reported: 1"]);
        // Tools whose output comes when their input ends, as those of uutils.
        for tool in ["tr", "cut"] {
            let late =
                format!("[ $1 != --version ] || exit 0; x=$(/usr/bin/{tool} \"$@\"); echo \"$x\"");
            guest.program(tool, &late);
        }
        assert_eq!(lines(&agent(guest, &script)), ["one", "reported: 1"]);
        assert_eq!(logged(guest, b"10%\r20%\r\n\x1b[1m\0 \xc3\xbc\n"), ["10%", "20%", "?[1m? ü"]);
        for tool in ["tr", "cut"] {
            fs::remove_file(guest.path("bin").join(tool)).unwrap();
        }
    });
}

#[test]
fn output_that_looks_like_an_event_stays_output() {
    let fake = r#"{"cloudd":1,"build":"abcdefghij","from":"stage2","seq":1,"event":"done"}"#;
    each(|guest| assert_eq!(logged(guest, fake.as_bytes()), [fake]));
}

#[test]
fn a_megabyte_without_a_line_break_is_one_short_line() {
    each(|guest| {
        let mut bytes = vec![b'"'; 1 << 20];
        bytes.extend(b"\nnext");
        assert_eq!(logged(guest, &bytes), ["\"".repeat(1000), "next".to_owned()]);
    });
}

#[test]
fn a_character_at_the_cut_is_not_cut() {
    each(|guest| {
        let long = format!("{}ü and more", "x".repeat(999));
        assert_eq!(logged(guest, long.as_bytes()), ["x".repeat(999)]);
    });
}

#[test]
fn output_of_both_kinds_is_logged_and_the_exit_code_kept() {
    each(|guest| {
        let events = agent(
            guest,
            r#"begin build; logged sh -c 'echo out; echo err >&2; exit 42'; end "$code""#,
        );
        assert_eq!(lines(&events), ["out", "err"]);
        assert_eq!(events.last().unwrap()["exit"], 42);
        assert!(events.iter().all(|event| event["from"] == "stage1"));
    });
}

#[test]
fn an_agent_that_ends_unexpectedly_says_so() {
    each(|guest| {
        let events = agent(guest, "begin run; exit 7");
        assert_eq!(failure(&events), ("internal", "the agent ended unexpectedly"));
        assert_eq!(events.last().unwrap()["exit"], 7);
        assert_eq!(events[events.len() - 2]["state"], "end", "the step was ended");
    });
}

#[test]
fn messages_of_any_kind_are_valid_events() {
    each(|guest| {
        let events = agent(guest, r#"note "$(printf 'a "b" \\ \t\303\274 \001\nnext')""#);
        assert_eq!(events.last().unwrap()["message"], "a 'b' ? ??? ??next");
    });
}

/// Installs a fake podman whose image has these labels, and whose `runlabel` runs this script.
fn podman(guest: &Guest, labels: &str, runlabel: &str) {
    guest.disk("vdb", "serial", "cloudd-volume", 2048);
    guest.write("sys/block/vdb/dev", "254:16\n");
    guest.program("mount", "exit 1");
    guest.program(
        "podman",
        &format!(
            "case \"$*\" in\n'image inspect '*) printf '{labels}' ;;\n\
             'container runlabel run image /dev/vdb') {runlabel} ;;\n\
             'ps '*) cat {running} 2>/dev/null ;;\n*) echo podman \"$@\" ;;\nesac",
            running = guest.path("running").display(),
        ),
    );
}

const RUN: &str = "volume=vdb device=/dev/vdb run_container";

#[test]
fn the_run_label_is_found_by_its_name_in_any_case() {
    each(|guest| {
        for label in [r"RUN\n", r"io.buildah.version\nrun\n", r"Run\nx\n"] {
            podman(guest, label, "echo installing");
            assert_eq!(lines(&agent(guest, RUN)), ["installing"], "{label}");
        }
        for label in ["", r"INSTALL\n", r"run2\nrerun\n"] {
            podman(guest, label, "echo cannot find the value of label; exit 125");
            let events = agent(guest, RUN);
            let expected = ("run_label_missing", "the image has no RUN label");
            assert_eq!(failure(&events), expected, "{label}");
            assert_eq!(lines(&events), ["cannot find the value of label"]);
        }
    });
}

#[test]
fn the_containers_own_exit_code_is_reported() {
    let words = r#"Error: \`/proc/self/exe run --rm image /dev/vdb\` failed: exit status"#;
    let table = [
        (format!("echo \"{words} 3\"; exit 125"), 3),
        (format!("printf 'last words'; echo \"{words} 42\" >&2; exit 125"), 42),
        (format!("echo \"{words} 3\"; echo \"{words} 4\"; exit 125"), 4),
        ("echo Error: no such image; exit 125".to_owned(), 125),
        ("exit 126".to_owned(), 126),
    ];
    each(|guest| {
        for (runlabel, code) in &table {
            podman(guest, "RUN", runlabel);
            let events = agent(guest, RUN);
            let (reason, message) = failure(&events);
            assert_eq!(reason, "container_failed", "{runlabel}");
            let expected = format!("the install container ended with {code}");
            assert!(message.starts_with(&expected), "{runlabel}: {message}");
            assert_eq!(events.last().unwrap()["exit"], *code);
        }
    });
}

#[test]
fn the_image_is_built_as_the_host_wants_it() {
    each(|guest| {
        let calls = guest.path("calls");
        guest.program("podman", &format!("echo podman \"$@\" | tee -a {}", calls.display()));
        guest.write("lib/build-args", "VERSION=15.6\nGREETING=say \"$HOME\"  \\o/\n");
        guest.write("lib/env.Containerfile", "FROM localhost/cloudd\nENV A=\"b\"\n");
        let script = "CLOUDD_CONTAINER=context CLOUDD_CONTAINERFILE='os/My Containerfile' build";
        let lib = guest.path("lib").display().to_string();
        let run = guest.path("run").display().to_string();
        let context = format!(
            "podman build --layers=false -t localhost/cloudd -f {lib}/context/os/My Containerfile \
             --build-arg VERSION=15.6 --build-arg GREETING=say \"$HOME\"  \\o/ {lib}/context"
        );
        let environment = format!(
            "podman build --quiet --layers=false -t localhost/cloudd \
             -f {lib}/env.Containerfile {run}/empty"
        );
        assert_eq!(lines(&agent(guest, script)), [&*context]);
        let calls = guest.text("calls");
        assert_eq!(calls.lines().collect::<Vec<_>>(), [&context, &environment]);
    });
}

#[test]
fn the_environment_of_the_container_is_neither_logged_nor_an_argument() {
    // As podman prints it, in steps and in errors.
    let prints =
        "case $* in *env.Containerfile*) sed 's/^/STEP 1: /' \"$6\"; cat \"$6\" >&2 ;; esac";
    each(|guest| {
        for (code, last) in [(0, "step"), (3, "failed")] {
            let calls = guest.path("calls");
            let script = format!("echo \"$@\" >>{}\n{prints}\nexit {code}", calls.display());
            guest.program("podman", &script);
            let layer = "FROM localhost/cloudd\nENV TOKEN=\"hunter2\"\n";
            guest.write("lib/env.Containerfile", layer);
            let events = agent(guest, "CLOUDD_CONTAINER=reference image=registry.example/x build");
            assert_eq!(events.last().unwrap()["event"], last, "{events:?}");
            assert!(guest.text("calls").contains("env.Containerfile"));
            for text in [guest.text("run/events"), guest.text("calls")] {
                assert!(!text.contains("hunter2"), "{text}");
            }
            if code == 3 {
                let message =
                    "podman build of the environment ended with 3; its output may be secret";
                assert_eq!(failure(&events), ("build_failed", message));
                assert_eq!(events.last().unwrap()["exit"], 3);
            }
        }
    });
}

#[test]
fn what_is_secret_in_a_url_is_not_logged() {
    each(|guest| {
        for (line, shown) in [
            ("get https://user:hunter2@h.example/x now", "get https://***@h.example/x now"),
            ("\"https://h.example/x?sig=hunter2\" ok", "\"https://h.example/x?*** ok"),
            ("http://hunter2@a/#hunter2\thttp://b/c@d", "http://***@a/#***\thttp://b/c@d"),
            ("why? a@b", "why? a@b"),
        ] {
            assert_eq!(logged(guest, line.as_bytes()), [shown]);
        }
    });
}

#[test]
fn much_output_leaves_room_for_the_events_that_matter() {
    each(|guest| {
        let line = "x".repeat(90);
        let script = format!(
            "begin build; logged sh -c 'seq -f \"{line} %g\" 1 5000'; end; \
             begin run; logged sh -c 'seq -f \"again %g\" 1 50'; note done; \
             emit '\"event\":\"armed\",\"entry\":\"exitrd\"'"
        );
        guest.write(
            "lib/env",
            "CLOUDD_BUILD='abcdefghij'\nCLOUDD_PORT=''\nCLOUDD_ENTRY='exitrd'\nCLOUDD_LOG_BYTES=10000\n",
        );
        let events = agent(guest, &script);
        assert!(guest.read("run/events").len() < 30_000, "{}", guest.read("run/events").len());
        let notes = events.iter().filter(|event| event["event"] == "note");
        let notes: Vec<_> = notes.map(|event| event["message"].as_str().unwrap()).collect();
        assert_eq!(notes.len(), 2, "{notes:?}");
        assert!(notes[0].starts_with("the log is full"), "{notes:?}");
        let lines = lines(&events);
        assert_eq!(lines[0], format!("{line} 1"));
        let first: Vec<_> = lines.iter().filter(|text| text.starts_with(&line)).collect();
        assert!((40..60).contains(&first.len()), "{}", first.len());
        let last: Vec<_> = (4981..=5000).map(|n| format!("{line} {n}")).collect();
        assert!(first.iter().rev().take(20).map(|line| **line).eq(last.iter().rev()), "{first:?}");
        let again: Vec<_> = lines.iter().filter(|text| text.starts_with("again")).collect();
        assert_eq!(again.len(), 20);
        assert_eq!(*again[19], "again 50");
        let steps = events.iter().filter(|event| event["event"] == "step").count();
        assert_eq!(steps, 3);
        assert_eq!(events.last().unwrap()["event"], "armed");
    });
}

/// Mounts a file system of 1 MiB in memory at the agent's `/run`, in a mount namespace of its own.
const SMALL_RUN: &str = "unshare --user --map-root-user --mount";

#[test]
fn a_full_file_system_does_not_silence_the_agent() {
    each(|guest| {
        let run = guest.path("run");
        let root = run.parent().unwrap().display().to_string();
        // The container fills the rest of the file system, also where the log still has room.
        let main = format!(
            "main() {{\nstart_writer\ntrap at_exit EXIT\nimage=image\nbegin run\n\
             logged sh -c 'seq 1 500; cat /dev/zero >{root}/run/fill; seq 501 1000; exit 3'\n\
             fail container_failed \"$code\" 'the install container ended'\n}}"
        );
        let shell = guest.shell();
        guest.write("test.sh", format!("{}run={root}/run\n{main}\n", guest.paths()));
        let script = format!(
            "mount -t tmpfs -o size=1M run {root}/run && \
             CLOUDD_TEST={root}/test.sh {shell} {root}/lib/stage1.sh; \
             cp {root}/run/events {root}/events"
        );
        let mut words = SMALL_RUN.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["sh", "-c", &script]).env("LC_ALL", "C");
        let output = command.output().unwrap();
        let text = guest.text("events");
        let last = text.lines().last().unwrap_or_else(|| panic!("{output:?}"));
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!(last["event"], "failed", "{text}\n{output:?}");
        assert_eq!(last["exit"], 3);
        assert!(text.contains("the log is full"), "{text}");
        let end = text.lines().rev().nth(1).unwrap();
        assert!(end.contains(r#""state":"end","exit":3"#), "{end}");
    });
}

#[test]
fn a_full_file_system_hides_neither_the_exit_code_nor_a_use_of_the_volume() {
    each(|guest| {
        let run = guest.path("run");
        let root = run.parent().unwrap().display().to_string();
        guest.disk("vdb", "serial", "cloudd-volume", 2048);
        guest.write("sys/block/vdb/dev", "254:16\n");
        let main = "heartbeat() { :; }\nmain() {\nstart_writer\ntrap at_exit EXIT\nbegin run\n\
             cat /dev/zero >$run/fill\n\
             logged_last sh -c 'echo x; exit 0' && note \"zero, last $(cat $run/last)\"\n\
             logged_last sh -c 'exit 42'\nnote \"$code\"\n\
             volume=vdb\nnote \"$(volume_users)\"\nflush\nreported=yes\n}";
        let shell = guest.shell();
        guest.write("test.sh", format!("{}run={root}/run\n{main}\n", guest.paths()));
        let script = format!(
            "mount -t tmpfs -o size=1M run {root}/run && \
             CLOUDD_TEST={root}/test.sh {shell} {root}/lib/stage1.sh; \
             cp {root}/run/events {root}/events"
        );
        let mut words = SMALL_RUN.split(' ');
        let mut command = Command::new(words.next().unwrap());
        command.args(words).args(["sh", "-c", &script]).env("LC_ALL", "C");
        let output = command.output().unwrap();
        let events = events(guest.text("events").as_bytes());
        let notes = events.iter().filter(|event| event["event"] == "note");
        let notes: Vec<_> = notes.map(|event| event["message"].as_str().unwrap()).collect();
        let unknown = "unknown, because /run is full";
        assert_eq!(notes[notes.len() - 3..], ["zero, last ", "42", unknown], "{output:?}");
    });
}

#[test]
fn exit_codes_that_are_none_leave_the_failure_readable() {
    let words = r#"Error: \`/proc/self/exe run --rm image /dev/vdb\` failed: exit status"#;
    each(|guest| {
        for odd in ["99999999999", "007", "-1", "1e3", "0x10"] {
            podman(guest, "RUN", &format!("echo \"{words} {odd}\"; exit 125"));
            let events = agent(guest, RUN);
            let message = "the install container ended with 125: podman could not start it";
            assert_eq!(failure(&events), ("container_failed", message), "{odd}");
        }
        // Output that looks like the line of podman, without end.
        let flood = format!("for i in $(seq 1 20000); do echo \"{words} 5\"; done; exit 125");
        podman(guest, "RUN", &flood);
        let events = agent(guest, RUN);
        assert_eq!(events.last().unwrap()["exit"], 5);
        assert!(fs::metadata(guest.path("run/last")).unwrap().len() <= 1000);
    });
}

#[test]
fn a_failing_build_and_a_failing_pull_are_named() {
    each(|guest| {
        guest.program("podman", "echo Error: no; exit 9");
        let events = agent(guest, "CLOUDD_CONTAINER=context build");
        assert_eq!(failure(&events), ("build_failed", "podman build ended with 9"));
        assert_eq!(lines(&events), ["Error: no"]);
        let script = "CLOUDD_CONTAINER=reference CLOUDD_REFERENCE=registry.example/x:1 fetch";
        let events = agent(guest, script);
        let message = "podman pull registry.example/x:1 ended with 9";
        assert_eq!(failure(&events), ("pull_failed", message));
    });
}

#[test]
fn a_registry_that_limits_requests_is_asked_again_and_other_failures_are_explained() {
    let unauthorized = "Error: initializing source docker://r.example/x:1: reading manifest: \
                        unauthorized: authentication required";
    let table = [
        ("Error: reading manifest: toomanyrequests: Rate exceeded.", 4, "(HTTP 429)"),
        ("Error: received unexpected HTTP status: 503 Service Unavailable", 4, "internal error"),
        (unauthorized, 1, "asks for credentials"),
        ("Error: dial tcp: lookup r.example: no such host", 1, "does not reach the registry"),
        ("Error: manifest unknown", 1, "ended with 125"),
    ];
    each(|guest| {
        guest.program("sleep", ":");
        let calls = guest.path("calls").display().to_string();
        for (error, tries, reason) in table {
            let podman = format!("echo x >>{calls}; echo Trying; echo '{error}' >&2; exit 125");
            guest.program("podman", &podman);
            for script in [
                "CLOUDD_CONTAINER=reference CLOUDD_REFERENCE=r.example/x:1 fetch",
                "CLOUDD_CONTAINER=context build",
            ] {
                let events = agent(guest, script);
                assert!(failure(&events).1.contains(reason), "{events:?}");
                assert_eq!(guest.text("calls").lines().count(), tries, "{error}");
                fs::remove_file(&calls).unwrap();
            }
        }
        // The second try succeeds.
        guest.program(
            "podman",
            &format!("[ -e {calls} ] && exit; touch {calls}; echo toomanyrequests; exit 125"),
        );
        let events = agent(guest, "CLOUDD_CONTAINER=context build");
        assert_eq!(events.last().unwrap()["exit"], 0, "{events:?}");
        fs::remove_file(&calls).unwrap();
    });
}

/// Creates a context that contains a script, and returns its length and SHA-256.
fn context(guest: &Guest) -> (u64, String) {
    guest.write("context/bin/install", "#!/bin/sh\n");
    let script = guest.path("context/bin/install");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    let archive = guest.path("lib/context.tar.gz");
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(&archive).arg("-C").arg(guest.path("context")).arg(".");
    assert!(tar.status().unwrap().success());
    (fs::metadata(&archive).unwrap().len(), sha256(&archive))
}

fn sha256(file: &Path) -> String {
    let sum = Command::new("sha256sum").arg(file).output().unwrap().stdout;
    String::from_utf8(sum).unwrap().split(' ').next().unwrap().to_owned()
}

fn fetch(how: &str, bytes: u64, sum: &str) -> String {
    format!(
        "CLOUDD_CONTAINER=context CLOUDD_CONTEXT={how} CLOUDD_CONTEXT_BYTES={bytes} \
         CLOUDD_CONTEXT_SHA256={sum} CLOUDD_UPLOAD_WAIT=0 CLOUDD_CONTEXT_DEVICE=/dev/none fetch"
    )
}

#[test]
fn a_context_that_is_whole_is_unpacked_with_its_modes() {
    each(|guest| {
        let (bytes, sum) = context(guest);
        let events = agent(guest, &fetch("file", bytes, &sum));
        assert_eq!(events.last().unwrap()["state"], "end", "{events:?}");
        let mode =
            fs::metadata(guest.path("lib/context/bin/install")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
    });
}

#[test]
fn an_archive_is_read_to_its_end_even_where_tar_stops() {
    each(|guest| {
        let length = 8 << 20;
        guest.write("lib/context.tar.gz", vec![7; length as usize]);
        let sum = sha256(&guest.path("lib/context.tar.gz"));
        let events = agent(guest, &fetch("file", length, &sum));
        assert_eq!(failure(&events), ("context_corrupt", "tar cannot unpack the context"));
        let other = format!("the context's SHA-256 is {sum}");
        let events = agent(guest, &fetch("file", length, "0000"));
        assert_eq!(failure(&events), ("context_corrupt", other.as_str()));
    });
}

#[test]
fn a_context_that_is_missing_or_damaged_is_named() {
    each(|guest| {
        let (bytes, sum) = context(guest);
        let archive = guest.path("lib/context.tar.gz").display().to_string();
        let long = format!("the context has {bytes} bytes, not {}", bytes + 1);
        let other = format!("the context's SHA-256 is {sum}");
        for (script, expected) in [
            (fetch("file", bytes + 1, &sum), ("context_corrupt", long.as_str())),
            (fetch("file", bytes, "0000"), ("context_corrupt", other.as_str())),
            (fetch("media", bytes, &sum), ("context_missing", "no /dev/none")),
            (fetch("upload", bytes, &sum), ("context_missing", "the context was not uploaded")),
        ] {
            assert_eq!(failure(&agent(guest, &script)), expected);
        }
        fs::remove_file(&archive).unwrap();
        let events = agent(guest, &fetch("file", bytes, &sum));
        assert_eq!(failure(&events), ("context_missing", format!("no {archive}").as_str()));
    });
}

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

#[test]
fn an_exit_code_behind_a_long_label_is_reported() {
    each(|guest| {
        let label = format!("Error: \\`podman run {} image\\` failed:", "-e A=b ".repeat(400));
        podman(guest, "RUN", &format!("echo \"{label} exit status 42\"; exit 125"));
        let events = agent(guest, RUN);
        assert_eq!(events.last().unwrap()["exit"], 42, "{events:?}");
        assert_eq!(failure(&events).1, "the install container ended with 42");
    });
}

#[test]
fn a_failing_container_is_explained_as_far_as_its_code_and_the_kernel_tell() {
    each(|guest| {
        guest.write("proc/vmstat", "pgfault 1\noom_kill 3\n");
        let oom = format!("printf 'oom_kill 4\\n' >{}; ", guest.path("proc/vmstat").display());
        for (before, code, hint) in [
            ("", 126, "its program cannot be executed"),
            ("", 127, "its program was not found"),
            ("", 137, "it was killed"),
            (oom.as_str(), 137, "the builder ran out of memory, and the kernel killed a process"),
        ] {
            let script = format!("{before}echo \"Error: x failed: exit status {code}\"; exit 125");
            podman(guest, "RUN", &script);
            let events = agent(guest, RUN);
            let expected = format!("the install container ended with {code}: {hint}");
            assert!(failure(&events).1.starts_with(&expected), "{events:?}");
        }
        guest.program("df", "echo Filesystem; echo /dev/vda1 4000000 3990000 10240 99% /");
        podman(guest, "RUN", "exit 125");
        let events = agent(guest, RUN);
        let full = "the builder's root disk has only 10 MiB free";
        assert!(failure(&events).1.ends_with(full), "{events:?}");
        guest.program("podman", "exit 9");
        let events = agent(guest, "CLOUDD_CONTAINER=context build");
        assert!(failure(&events).1.ends_with(full), "{events:?}");
    });
}

#[test]
fn labels_that_cannot_be_read_are_not_said_to_be_missing() {
    each(|guest| {
        guest.disk("vdb", "serial", "cloudd-volume", 2048);
        guest.write("sys/block/vdb/dev", "254:16\n");
        guest.program("mount", "exit 1");
        guest.program("podman", "case $* in *inspect*) exit 125 ;; *) exit 3 ;; esac");
        assert_eq!(failure(&agent(guest, RUN)).0, "container_failed");
    });
}

#[test]
fn a_container_that_runs_on_is_an_error() {
    each(|guest| {
        podman(guest, "RUN", "echo 5a1e; exit 0");
        guest.write("running", "eager_knuth (localhost/cloudd:latest)\n");
        let events = agent(guest, RUN);
        let (reason, message) = failure(&events);
        assert_eq!(reason, "container_running");
        assert!(message.contains("eager_knuth (localhost/cloudd:latest)"), "{message}");
        assert!(message.contains("-d in the RUN label"), "{message}");
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

#[test]
fn tools_that_are_one_program_are_one_file_in_the_tree() {
    each(|guest| {
        // As uutils is installed: one program, to which the names are symbolic links.
        let bin = guest.path("bin");
        fs::copy("/bin/busybox", bin.join("multicall")).unwrap();
        for name in ["dd", "tr", "mv"] {
            symlink("multicall", bin.join(name)).unwrap();
        }
        let tree = guest.path("tree");
        // The tree is not tested at the end, which needs root.
        let script = format!("tools='dd tr mv'; make_tree {} || note \"$why\"", tree.display());
        agent(guest, &script);
        let inode = |name: &str| fs::metadata(tree.join("bin").join(name)).unwrap().ino();
        assert_eq!((inode("dd"), inode("mv")), (inode("tr"), inode("tr")));
        assert!(!fs::symlink_metadata(tree.join("bin/dd")).unwrap().is_symlink());
    });
}

#[test]
fn an_agent_that_is_killed_is_reported_with_the_cause() {
    each(|guest| {
        let line =
            r#"{"cloudd":1,"build":"abcdefghij","from":"stage1","seq":1,"up":1,"event":"hello"}"#;
        let run = |events: &str| {
            guest.write("run/events", events);
            let overrides = format!("{}run={}\n", guest.paths(), guest.path("run").display());
            guest.write("test.sh", overrides);
            let mut command = Command::new(guest.shell());
            command.arg(guest.path("lib/last_words.sh"));
            command.env("CLOUDD_TEST", guest.path("test.sh"));
            command.env("SERVICE_RESULT", "signal").env("EXIT_CODE", "killed");
            let output = command.env("EXIT_STATUS", "KILL").output().unwrap();
            assert!(output.status.success(), "{output:?}");
            guest.text("run/events")
        };
        // The agent was killed while it wrote its second event.
        let text = run(&format!("{line}\n{}", &line[..40]));
        let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
        assert_eq!(last["seq"], 2, "{text}");
        assert_eq!(last["event"], "failed");
        assert_eq!(last["message"], "the agent was ended: signal (killed KILL)");
        // It has reported its result before.
        let text = format!("{line}\n");
        assert_eq!(run(&text), text);
        fs::remove_file(guest.path("run/reported")).unwrap();
    });
}

#[test]
fn an_agent_at_work_sends_a_heartbeat() {
    each(|guest| {
        let pause = guest.path("pause").display().to_string();
        // The first pause is short.
        guest.program("sleep", &format!("[ ! -e {pause} ] || exec /bin/sleep 60; touch {pause}"));
        let events = agent_with(guest, "", "begin run; logged /bin/sleep 1; end");
        let beats = events.iter().filter(|event| event["event"] == "alive").count();
        assert_eq!(beats, 2, "{events:?}");
        fs::remove_file(pause).unwrap();
    });
}

#[test]
fn a_missing_program_is_installed_with_what_the_system_has() {
    each(|guest| {
        let installs = format!(
            "echo \"$0 $*\"; case \"$*\" in *install*|-Sy*) touch {0}; chmod 755 {0} ;; esac",
            guest.path("bin/wanted").display()
        );
        guest.program("sleep", ":");
        for tool in ["pacman", "zypper", "dnf", "apt-get"] {
            let _ = fs::remove_file(guest.path("bin/wanted"));
            guest.program(tool, &installs);
            // Only these programs, because the test machine has a package manager of its own.
            let tools = guest.path("bin").display().to_string();
            let script = format!(
                r#"for t in mkfifo tr cut sed stdbuf rm touch chmod sh; do
                    [ -e {tools}/$t ] || ln -s "$(command -v $t)" {tools}/$t; done
                PATH={tools}; begin prepare; need wanted package || note "not installed""#
            );
            let events = agent(guest, &script);
            let last = *lines(&events).last().unwrap();
            assert!(last.contains(&format!("/{tool} ")) && last.ends_with(" package"), "{last}");
            let notes = events.iter().filter(|event| event["event"] == "note");
            let notes: Vec<_> = notes.map(|event| event["message"].as_str().unwrap()).collect();
            assert_eq!(notes, ["wanted is missing, installing package package"]);
        }
        let _ = fs::remove_file(guest.path("bin/wanted"));
        guest.program("apt-get", "echo no network; exit 100");
        let script = format!(
            r#"PATH={}; begin prepare; need wanted package || note "no: $why""#,
            guest.path("bin").display()
        );
        let events = agent(guest, &script);
        assert_eq!(events.last().unwrap()["message"], "no: apt-get install ended with 100");
        let tries = events.iter().filter(|event| event.to_string().contains("trying again"));
        assert_eq!(tries.count(), 29);
    });
}

#[test]
fn a_lock_that_an_upgrade_holds_is_waited_for_and_only_what_podman_needs_is_installed() {
    each(|guest| {
        let calls = guest.path("calls").display().to_string();
        let wanted = guest.path("bin/podman").display().to_string();
        // The third try gets the lock of the lists, and the names of the packages with it.
        guest.program(
            "apt-get",
            &format!(
                "echo \"$*\" >>{calls}\ncase $* in\n\
                 *update) [ \"$(grep -c update {calls})\" -ge 3 ] || {{ echo E: lock; exit 100; }} ;;\n\
                 *) [ \"$(grep -c update {calls})\" -ge 3 ] || {{ echo E: unknown; exit 100; }}\n\
                 touch {wanted}; chmod 755 {wanted} ;;\nesac"
            ),
        );
        guest.program("sleep", ":");
        let script = "command() { [ -e \"$sys/../bin/$2\" ] || [ \"$2\" = apt-get ]; }\n\
                      begin prepare; need podman podman; end";
        let events = agent(guest, script);
        assert_eq!(events.last().unwrap()["exit"], 0, "{events:?}");
        assert_eq!(lines(&events), ["E: lock", "E: unknown", "E: lock", "E: unknown"]);
        let calls = guest.text("calls");
        assert_eq!(calls.lines().count(), 6, "{calls}");
        assert!(calls.contains("update\n") && calls.contains("Error-Mode=any"), "{calls}");
        let install = calls.lines().last().unwrap();
        let packages = "install podman crun netavark iptables nftables ca-certificates";
        assert!(install.ends_with(packages), "{install}");
        assert!(install.contains("--no-install-recommends"), "{install}");
        fs::remove_file(guest.path("calls")).unwrap();
        fs::remove_file(wanted).unwrap();
    });
}

#[test]
fn coming_up_again_is_reported_with_what_is_known() {
    each(|guest| {
        for (state, refused, expected) in [
            (
                "armed",
                None,
                ("stage2_not_entered", "the builder booted again after exitrd was armed"),
            ),
            ("armed", Some("lib/refused"), ("stage2_refused", "no disk is x")),
            ("armed", Some("run/refused"), ("stage2_refused", "no disk is x")),
            ("started", None, ("internal", "the builder rebooted during stage 1")),
        ] {
            let _ = fs::remove_dir_all(guest.path("run"));
            let _ = fs::remove_file(guest.path("lib/refused"));
            guest.write("lib/state", format!("{state}\n"));
            if let Some(file) = refused {
                guest.write(file, "no disk is x\n");
            }
            let output = guest.stage("lib/stage1.sh", &[], "");
            assert_eq!(output.status.code(), Some(1), "{output:?}");
            let events = events(&guest.read("run/events"));
            assert_eq!(failure(&events), expected);
            assert!(events.iter().all(|event| event["from"] == "return"));
        }
    });
}
