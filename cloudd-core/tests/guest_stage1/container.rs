//! Building and running the install container.

use std::fs;

use crate::agent::{RUN, agent, each, lines, podman};
use crate::guest_support::failure;

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
