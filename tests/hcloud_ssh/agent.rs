//! What runs in a server: events as the real agent writes them, told by a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use cloudd_core::guest::{Step, StepState};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::machines::Machine;
use crate::support::Growing;

/// The agent of one build. A test's script drives it in a thread of its own.
pub(crate) struct Agent {
    build: String,
    machine: Arc<Machine>,
    /// Stands for `/run/cloudd`.
    run: PathBuf,
    events: Option<Growing>,
    seq: u64,
}

/// How a script ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Stage 2 went through: off, with what was installed on the disk.
    Done,
    /// The power is cut: off, with the builder's own system on the disk.
    PowerCut,
    /// It stays on.
    StaysOn,
}

impl Agent {
    pub(crate) fn new(build: String, machine: Arc<Machine>) -> Self {
        let run = machine.sshd().path("run");
        Self { build, machine, run, events: None, seq: 0 }
    }

    pub(crate) fn say(&mut self, mut event: Value) {
        self.seq += 1;
        let common = json!({
            "cloudd": 1, "build": self.build, "from": "stage1", "seq": self.seq, "up": 1.5
        });
        let common = common.as_object().unwrap().clone();
        event.as_object_mut().unwrap().extend(common);
        let path = self.run.join("events");
        self.events.get_or_insert_with(|| Growing::at(&path)).write(format!("{event}\n"));
    }

    pub(crate) fn hello(&mut self) {
        self.say(json!({"event": "hello"}));
    }

    pub(crate) fn log(&mut self, line: &str) {
        self.say(json!({"event": "log", "step": Step::Run, "line": line}));
    }

    pub(crate) fn step(&mut self, step: Step, work: impl FnOnce(&mut Self)) {
        self.say(json!({"event": "step", "step": step, "state": StepState::Start}));
        work(self);
        self.say(json!({"event": "step", "step": step, "state": StepState::End, "exit": 0}));
    }

    /// All of stage 1 but for the install container.
    pub(crate) fn stage1(&mut self, run: impl FnOnce(&mut Self)) -> End {
        self.hello();
        for step in [Step::Prepare, Step::Fetch, Step::Build] {
            self.step(step, |_| {});
        }
        self.step(Step::Run, run);
        for step in [Step::Check, Step::Arm] {
            self.step(step, |_| {});
        }
        self.arm()
    }

    /// The last word, and the moment that the real agent gives it.
    pub(crate) fn arm(&mut self) -> End {
        self.say(json!({"event": "armed", "entry": "exitrd"}));
        pause(2000);
        End::Done
    }

    /// The install container ends with this code.
    pub(crate) fn fail(&mut self, exit: i32) -> End {
        let message = format!("the install container ended with {exit}");
        self.say(json!({
            "event": "failed", "reason": "container_failed", "exit": exit, "message": message
        }));
        End::StaysOn
    }

    /// Waits for the context, and gives its SHA-256.
    pub(crate) fn uploaded(&self) -> String {
        let (path, begun) = (self.run.join("context.tar.gz"), Instant::now());
        while !path.exists() {
            assert!(begun.elapsed() < Duration::from_secs(60), "nothing was uploaded");
            pause(20);
        }
        Sha256::digest(fs::read(path).unwrap()).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Ends the connections, not the server.
    pub(crate) fn drop_connections(&self) {
        self.machine.sshd().kill_sessions();
    }
}

/// What a command has to be changed to, as all servers share this machine's `/run`.
pub(crate) fn elsewhere(run: &Path) -> String {
    format!(
        "exec sh -c \"$(printf '%s' \"$SSH_ORIGINAL_COMMAND\" | sed 's#/run/cloudd#{}#g')\"",
        run.display()
    )
}

pub(crate) fn pause(milliseconds: u64) {
    thread::sleep(Duration::from_millis(milliseconds));
}
