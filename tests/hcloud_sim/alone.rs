//! The simulator as a program of its own.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::server;

pub(crate) struct Program {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
    pub(crate) endpoint: String,
}

impl Program {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_hcloud-sim"))
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut out = BufReader::new(child.stdout.take().expect("its output"));
        let mut line = String::new();
        out.read_line(&mut line).expect("a line");
        let endpoint =
            line.trim().strip_prefix("listening on ").expect("where it listens").to_owned();
        Self { child, out, endpoint }
    }

    /// Asks it to end, and returns what it says then.
    fn end(mut self) -> String {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-TERM", &id]).status();
        assert!(killed.expect("kill runs").success());
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).expect("text");
        assert!(self.child.wait().expect("an end").success());
        rest
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Already ended unless a test failed.
        self.child.kill().and_then(|()| self.child.wait()).map(drop).unwrap_or_default();
    }
}

#[tokio::test]
async fn the_program_serves_records_strikes_and_counts() {
    let dir = tempfile::tempdir().expect("a directory");
    let record = dir.path().join("record.jsonl");
    let program = Program::start(&[
        "--listen",
        "127.0.0.1:0",
        "--token",
        "one-token",
        "--read-only-token",
        "reader",
        "--speed",
        "1000",
        "--record",
        record.to_str().expect("a path"),
        "--fault",
        "POST /servers#1:error=resource_unavailable",
    ]);
    let http = reqwest::Client::builder().no_proxy().build().expect("a client");
    let servers = format!("{}/servers", program.endpoint);
    let post = |token| http.post(&servers).bearer_auth(token).json(&server("a")).send();
    assert_eq!(
        post("one-token").await.expect("an answer").status(),
        StatusCode::PRECONDITION_FAILED
    );
    assert_eq!(post("reader").await.expect("an answer").status(), StatusCode::UNAUTHORIZED);
    let made: Value = post("one-token").await.expect("an answer").json().await.expect("JSON");
    let start = made["next_actions"][0]["id"].clone();
    // At a thousand times real time, fifteen seconds are over in 15 ms.
    loop {
        let asked =
            http.get(format!("{}/actions/{start}", program.endpoint)).bearer_auth("reader").send();
        let shown: Value = asked.await.expect("an answer").json().await.expect("JSON");
        if shown["action"]["status"] == "success" {
            break;
        }
        assert_eq!(shown["action"]["status"], "running");
    }
    let stats = program.endpoint.replace("/v1", "/_sim/stats");
    let stats: Value = http.get(stats).send().await.expect("an answer").json().await.expect("JSON");
    assert_eq!(stats["by_route"]["POST /servers"], 2);

    let last: Value = serde_json::from_str(&program.end()).expect("JSON");
    assert_eq!(last["by_route"], stats["by_route"]);
    assert_eq!(last["by_status"]["412"], json!(1));
    let record = std::fs::read_to_string(record).expect("a record");
    assert_eq!(record.lines().filter(|line| line.contains("\"POST\"")).count(), 3);
    assert!(!record.contains("one-token") && !record.contains("reader"), "{record}");
}

#[test]
fn what_it_cannot_do_it_says_before_it_starts() {
    for (arguments, says) in [
        (vec![], "--token"),
        (vec!["--token", "t", "--fault", "1:explode"], "unknown fault 'explode'"),
        (vec!["--token", "t", "--speed", "0"], "above 0"),
        (vec!["--token", "t", "--guest", "nobody"], "no script 'nobody'"),
        (vec!["--token", "t", "--guests", "qemu"], "--base"),
        (vec!["--token", "t", "--guests", "qemu", "--base", "/etc/passwd"], "no qcow2 image"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_hcloud-sim")).args(&arguments).output();
        let output = output.expect("the program starts");
        assert!(!output.status.success(), "{arguments:?}");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(says), "{arguments:?}: {error}");
    }
}
