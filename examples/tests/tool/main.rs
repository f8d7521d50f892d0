//! The command `cloudd` as a process, on the Hetzner simulator or libvirt.

mod building;
mod help;
mod keeping;
#[cfg(feature = "libvirt")]
mod libvirt;

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;

use cloudd_tests::containers::hello;
use cloudd_tests::hcloud_sim::HcloudSim;
use serde_json::Value;

const SPEED: f64 = 100.0;

/// A build context that passes every check before the builder VM is created.
static CONTEXT: LazyLock<String> = LazyLock::new(|| {
    let copy = hello(&Path::new(env!("CARGO_TARGET_TMPDIR")).join("tool"));
    copy.into_os_string().into_string().expect("text")
});

/// The command with a simulator of its own.
struct Tool {
    sim: HcloudSim,
}

/// The exit code and the output of the command.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Tool {
    fn new() -> Self {
        Self::with(HcloudSim::start(SPEED))
    }

    fn with(sim: HcloudSim) -> Self {
        Self { sim }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.with_environment(bare(arguments))
    }

    /// Adds the environment variables by which the command finds the simulator.
    fn with_environment(&self, mut command: Command) -> Command {
        command
            .env("HCLOUD_ENDPOINT", self.sim.endpoint())
            .env("HCLOUD_TOKEN", HcloudSim::TOKEN)
            .env("HCLOUD_SIM_SPEED", SPEED.to_string());
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().expect("cloudd"))
    }

    fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("cloudd")
    }
}

/// The command with an empty environment.
fn bare(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudd"));
    command.args(arguments).env_clear().stdin(Stdio::null());
    command
}

fn ended(output: Output) -> Ended {
    Ended {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).expect("UTF-8"),
        err: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

/// Parses each line as JSON.
fn lines(out: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    out.lines().map(parse).collect()
}
