//! The command `cloudd`, run as its users run it, against the simulated Hetzner Cloud or libvirt.

mod building;
mod help;
mod keeping;
#[cfg(feature = "libvirt")]
mod libvirt;

use std::process::{Child, Command, Output, Stdio};

use cloudd_tests::hcloud_sim::HcloudSim;
use serde_json::Value;

const SPEED: f64 = 100.0;

/// A context that passes every check made before a builder exists.
const CONTEXT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/containers/hello");

/// A simulator, and the command that knows nothing else.
struct Tool {
    sim: HcloudSim,
}

/// How the command ended.
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
        self.surround(bare(arguments))
    }

    /// Has a command find the simulator.
    fn surround(&self, mut command: Command) -> Command {
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

/// The command in an empty environment.
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

/// Each line as JSON.
fn lines(out: &str) -> Vec<Value> {
    let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    out.lines().map(parse).collect()
}
