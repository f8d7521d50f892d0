//! Runs the guest scripts on regular files: `cloudd-core/assets` is copied into a directory, and a
//! file overrides paths and functions (`CLOUDD_TEST`).
#![expect(clippy::unwrap_used, reason = "a helper of tests fails by panicking")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// The shells that are `/bin/sh` on builders: dash on Debian, bash on Fedora and openSUSE.
pub(crate) fn shells() -> Vec<&'static str> {
    let there = |shell: &&str| Command::new(shell).arg("-c").arg(":").output().is_ok();
    let shells: Vec<_> = ["dash", "bash"].into_iter().filter(there).collect();
    assert!(!shells.is_empty(), "dash or bash is needed");
    shells
}

/// A guest made of regular files: `/sys`, `/proc`, `/dev`, and the guest scripts.
pub(crate) struct Guest {
    directory: TempDir,
    shell: &'static str,
}

impl Guest {
    pub(crate) fn new(shell: &'static str) -> Self {
        // Not in /tmp, which may be a tmpfs; older kernels have no direct I/O there.
        let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let guest = Self { directory, shell };
        for name in ["sys/block", "proc/self", "dev", "lib", "run", "bin"] {
            fs::create_dir_all(guest.path(name)).unwrap();
        }
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets");
        for entry in fs::read_dir(assets).unwrap().map(Result::unwrap) {
            fs::copy(entry.path(), guest.path("lib").join(entry.file_name())).unwrap();
        }
        guest.write("proc/uptime", "12.34 20.00\n");
        guest.write("proc/self/mountinfo", "");
        guest.write("proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
        guest
            .write("lib/env", "CLOUDD_BUILD='abcdefghij'\nCLOUDD_PORT=''\nCLOUDD_ENTRY='exitrd'\n");
        guest
    }

    /// The shell that runs the scripts.
    pub(crate) fn shell(&self) -> &'static str {
        self.shell
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8(self.read(name)).unwrap()
    }

    /// Installs a program that takes precedence over the system's.
    pub(crate) fn program(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Creates a disk in `/sys/block` with one attribute as its identity.
    pub(crate) fn disk(&self, name: &str, attribute: &str, value: &str, sectors: u64) {
        let block = format!("sys/block/{name}");
        self.write(&format!("{block}/{attribute}"), value);
        self.write(&format!("{block}/size"), format!("{sectors}\n"));
        self.write(&format!("{block}/stat"), "1 2 30 4 5 6 70 8 9 10 11\n");
    }

    /// Links `/sys/dev/block/NUMBER` and `/sys/class/block/NAME` to this device.
    pub(crate) fn device(&self, number: &str, path: &str) {
        fs::create_dir_all(self.path(path)).unwrap();
        for link in [format!("sys/dev/block/{number}"), format!("sys/class/block/{}", name(path))] {
            let link = self.path(&link);
            fs::create_dir_all(link.parent().unwrap()).unwrap();
            symlink(self.path(path), link).unwrap();
        }
    }

    /// The start of every script: the paths of this guest, and its programs.
    pub(crate) fn paths(&self) -> String {
        let root = self.directory.path().display();
        format!(
            "sys={root}/sys proc={root}/proc dev={root}/dev PATH={root}/bin:$PATH:/usr/sbin:/sbin\n"
        )
    }

    /// Runs lines of shell with one of the sourced files.
    pub(crate) fn run(&self, asset: &str, script: &str) -> Output {
        let lib = self.path("lib").display().to_string();
        let script = format!("set -u\n{}. {lib}/{asset}\n{script}", self.paths());
        self.command().arg("-c").arg(script).output().unwrap()
    }

    /// Like [`Guest::run`], for scripts that must succeed; returns their output.
    pub(crate) fn print(&self, asset: &str, script: &str) -> String {
        let output = self.run(asset, script);
        assert!(output.status.success(), "{}: {output:?}", self.shell);
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    /// Runs a stage; the overrides are applied just before it starts.
    pub(crate) fn stage(&self, script: &str, arguments: &[&str], replacements: &str) -> Output {
        let run = self.path("run").display().to_string();
        self.write("test.sh", format!("{}run={run}\n{replacements}\n", self.paths()));
        self.command()
            .arg(self.path(script))
            .args(arguments)
            .env("CLOUDD_TEST", self.path("test.sh"))
            .output()
            .unwrap()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(self.shell);
        command.env("LC_ALL", "C");
        command
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap()
}

/// Parses events, and checks the properties that all events have.
pub(crate) fn events(text: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(text).unwrap();
    let events: Vec<Value> = text
        .lines()
        .inspect(|line| assert!(line.len() <= 4000, "{line}"))
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for (index, event) in events.iter().enumerate() {
        assert_eq!(event["cloudd"], 1);
        assert_eq!(event["build"], "abcdefghij");
        assert_eq!(event["seq"], index as u64 + 1, "{text}");
    }
    assert_eq!(events[0]["event"], "hello");
    events
}

/// Returns reason and message of the last event, which must be `failed`.
pub(crate) fn failure(events: &[Value]) -> (&str, &str) {
    let last = events.last().unwrap();
    assert_eq!(last["event"], "failed", "{last}");
    (last["reason"].as_str().unwrap(), last["message"].as_str().unwrap())
}
