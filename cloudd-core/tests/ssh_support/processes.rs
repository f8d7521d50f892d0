//! The processes of an sshd: one per connection, children of the one that listens.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// Returns all descendants of `parent` that are sshd, without the commands that they run.
pub(crate) fn sshd_below(parent: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<(u32, String)>> = HashMap::new();
    for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // `pid (name) state parent ...`; the name may contain anything.
        let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else { continue };
        let Some((head, tail)) = stat.rsplit_once(')') else { continue };
        let name = head.split_once('(').map_or("", |(_, name)| name).to_owned();
        let mut fields = tail.split_whitespace();
        if fields.next() == Some("Z") {
            continue;
        }
        if let Some(parent) = fields.next().and_then(|parent| parent.parse().ok()) {
            children.entry(parent).or_default().push((pid, name));
        }
    }
    let mut found = Vec::new();
    let mut look_below = vec![parent];
    while let Some(parent) = look_below.pop() {
        for (pid, name) in children.get(&parent).into_iter().flatten() {
            look_below.push(*pid);
            if name.starts_with("sshd") {
                found.push(*pid);
            }
        }
    }
    found
}

/// Waits until the processes have ended.
pub(crate) fn kill_sshd_below(parent: u32) {
    let sessions = sshd_below(parent);
    signal("KILL", &sessions);
    while sshd_below(parent).iter().any(|pid| sessions.contains(pid)) {
        std::thread::yield_now();
    }
}

/// Kills what a lost connection left: a command ends only when it writes.
pub(crate) fn kill_mentioning(path: &Path) {
    let wanted = path.as_os_str().as_encoded_bytes();
    let mut mentioning = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        let pid: Option<u32> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if command.windows(wanted.len()).any(|part| part == wanted) {
            mentioning.extend(pid);
        }
    }
    signal("KILL", &mentioning);
}

/// Stops a process, and returns when it has stopped.
pub(crate) fn stop(pid: u32) {
    signal("STOP", &[pid]);
    let stopped = || {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.trim_start().starts_with('T')
    };
    while !stopped() {
        std::thread::yield_now();
    }
}

fn signal(name: &str, pids: &[u32]) {
    if !pids.is_empty() {
        // Some may have ended in the meantime.
        Command::new("kill")
            .args(["-s", name])
            .args(pids.iter().map(u32::to_string))
            .stderr(Stdio::null())
            .status()
            .unwrap();
    }
}
