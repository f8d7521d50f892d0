//! Runs parts of the agent.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::guest_support::{Guest, events, shells};

/// Runs lines of shell inside the agent, between `hello` and its end, without its heartbeat, and
/// returns the events.
pub(crate) fn agent(guest: &Guest, script: &str) -> Vec<Value> {
    agent_with(guest, "heartbeat() { :; }", script)
}

/// The same with these overrides.
pub(crate) fn agent_with(guest: &Guest, overrides: &str, script: &str) -> Vec<Value> {
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
pub(crate) fn each(test: impl Fn(&Guest)) {
    shells().into_iter().for_each(|shell| test(&Guest::new(shell)));
}

/// Returns the log lines among the events.
pub(crate) fn lines(events: &[Value]) -> Vec<&str> {
    let logs = events.iter().filter(|event| event["event"] == "log");
    logs.map(|event| event["line"].as_str().unwrap()).collect()
}

/// Installs a fake podman whose image has these labels, and whose `runlabel` runs this script.
pub(crate) fn podman(guest: &Guest, labels: &str, runlabel: &str) {
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

pub(crate) const RUN: &str = "volume=vdb device=/dev/vdb run_container";

/// Runs `main` in place of the agent's, with a file system of 1 MiB in memory as its `/run`, in a mount
/// namespace of its own. The events are copied to `events`.
pub(crate) fn in_small_run(guest: &Guest, main: &str) -> Output {
    let root = guest.path("run").parent().unwrap().display().to_string();
    guest.write("test.sh", format!("{}run={root}/run\n{main}\n", guest.paths()));
    let script = format!(
        "mount -t tmpfs -o size=1M run {root}/run && \
         CLOUDD_TEST={root}/test.sh {} {root}/lib/stage1.sh; cp {root}/run/events {root}/events",
        guest.shell()
    );
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
    command.env("LC_ALL", "C").output().unwrap()
}
