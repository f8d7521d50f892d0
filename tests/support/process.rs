//! Builds in processes of their own, which can be killed and stopped.

use std::ffi::OsStr;
use std::process::Stdio;
use std::sync::Arc;

use cloudd_core::build::{BuildError, ImageBuilder};
use cloudd_core::provider::Provider;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::containers::Context;
use crate::hcloud_sim::HcloudSim;

/// Builds, prints each event as a line of JSON, and at the end the image's id: what is read from a
/// [`Process`].
///
/// # Errors
/// Those of the build.
pub async fn tell(builder: &ImageBuilder, provider: impl Provider) -> Result<(), BuildError> {
    let mut build = builder.start(Arc::new(provider));
    let mut events = build.events();
    while let Some(event) = events.next().await {
        println!("{}", serde_json::to_string(&event).unwrap_or_default());
    }
    println!("{}", build.await?.image.id);
    Ok(())
}

/// A running process that [tells](tell) of its build. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    events: Vec<Value>,
}

/// How a process ended.
#[derive(Debug)]
pub struct Ended {
    /// The image's id, or what was printed in its place.
    pub result: Result<String, String>,
    /// Its events, as they were printed.
    pub events: Vec<Value>,
}

/// The command line of a process that builds this context on this simulator; more can be added.
#[must_use]
pub fn command(program: impl AsRef<OsStr>, sim: &HcloudSim, speed: f64, it: &Context) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--endpoint", &sim.endpoint(), "--token", HcloudSim::TOKEN])
        .args(["--speed", &speed.to_string()])
        .arg(it.path());
    command
}

impl Process {
    /// Starts it.
    ///
    /// # Panics
    /// When that is not possible.
    #[must_use]
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("a program that was just built");
        let out = child.stdout.take().expect("piped");
        Self { child, out: BufReader::new(out).lines(), events: Vec::new() }
    }

    /// Its process id, as long as it was not waited for.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id().expect("it was not waited for")
    }

    /// The events that were read so far.
    #[must_use]
    pub fn events(&self) -> &[Value] {
        &self.events
    }

    /// Sends a signal, by name.
    ///
    /// # Panics
    /// When it cannot be sent.
    pub fn signal(&self, name: &str) {
        signal(name, self.id());
    }

    /// Kills it, as SIGKILL does, and waits until it is gone.
    ///
    /// # Panics
    /// When it cannot be killed.
    pub async fn kill(mut self) {
        self.child.kill().await.expect("a child can be killed");
    }

    /// Waits until it has ended; what it printed is still to be read.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub async fn ended(&mut self) {
        self.child.wait().await.expect("a child can be waited for");
    }

    /// Reads its events up to the first that is wanted.
    ///
    /// # Panics
    /// When it ends before.
    pub async fn until(&mut self, wanted: impl Fn(&Value) -> bool) {
        loop {
            let line = self.out.next_line().await.expect("lines of text");
            let line = line.unwrap_or_else(|| panic!("it ended after {:?}", self.events));
            let event: Value = serde_json::from_str(&line).expect("an event");
            let is_it = wanted(&event);
            self.events.push(event);
            if is_it {
                return;
            }
        }
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub async fn end(self) -> Ended {
        let Self { child, mut out, mut events } = self;
        let lines = async {
            let mut last = String::new();
            while let Ok(Some(line)) = out.next_line().await {
                match serde_json::from_str(&line) {
                    Ok(event @ Value::Object(_)) => events.push(event),
                    _ => last = line,
                }
            }
            last
        };
        let (last, output) = tokio::join!(lines, child.wait_with_output());
        let output = output.expect("a child can be waited for");
        let result = match output.status.success() {
            true => Ok(last),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        };
        Ended { result, events }
    }
}

impl Ended {
    /// The image's id.
    ///
    /// # Panics
    /// With its error, when it failed.
    #[must_use]
    pub fn image(&self) -> &str {
        self.result.as_deref().unwrap_or_else(|error| panic!("{error}\n{:?}", self.events))
    }

    /// Whether there was an event of this name.
    #[must_use]
    pub fn told(&self, event: &str) -> bool {
        self.events.iter().any(|it| it["event"] == event)
    }
}

/// Sends a process a signal, by name.
///
/// # Panics
/// When it cannot be sent.
pub fn signal(name: &str, process: u32) {
    let id = process.to_string();
    let mut kill = std::process::Command::new("kill");
    // Processes of the system's libvirt are root's.
    let mut as_root = std::process::Command::new("sudo");
    as_root.args(["-n", "kill"]);
    let sends = |command: &mut std::process::Command| {
        command.args(["-s", name, &id]).status().is_ok_and(|status| status.success())
    };
    assert!(sends(&mut kill) || sends(&mut as_root), "{name} cannot be sent to process {id}");
}
