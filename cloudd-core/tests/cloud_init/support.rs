//! Access to the real cloud-init, golden files, and shared values.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A public key without a known private key.
pub(crate) const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGpwRhW/BcfsUE0A0zfrw/FLJ4QVSWYLLBgc7au5RgnC throw-away key";

/// The PEM form of a private key, with text instead of a key.
pub(crate) const PRIVATE_KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5IGJ1dCBpdHMgc2hhcGU=\n-----END OPENSSH PRIVATE KEY-----\n";

/// `openssl passwd -6` of the password "cloudd".
pub(crate) const PASSWORD_HASH: &str = "$6$cloudd$Z3O3bjNwfiM3elPmle4Jw5cJiPfuGDByRjLEw01EZSEHgglQJHKY9vPTnWK128WEJ8K5w6hPTUPWjwj5AL9he1";

const MISSING: &str = "is missing; `make setup` installs it";

/// The result of `cloud-init schema --config-file`.
pub(crate) struct Verdict {
    pub(crate) valid: bool,
    pub(crate) output: String,
}

pub(crate) fn cloud_init_schema(text: &str) -> Verdict {
    schema_of("cloud-init", text)
}

fn schema_of(program: &str, text: &str) -> Verdict {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    fs::write(file.path(), text).unwrap();
    let run = Command::new(program).args(["schema", "--config-file"]).arg(file.path()).output();
    let run = run.unwrap_or_else(|error| panic!("{program} {MISSING}: {error}"));
    let output = output_of(&run);
    let valid = run.status.success() && output.contains("Valid cloud-config");
    Verdict { valid, output }
}

/// Runs a script in the Python interpreter of Debian's cloud-init. The script reads `data` (bytes) and
/// sets `answer`.
pub(crate) fn with_cloud_init(script: &str, data: &[u8]) -> Value {
    let script = format!(
        "import json, sys\ndata = sys.stdin.buffer.read()\n{script}\nprint('ANSWER', json.dumps(answer))\n"
    );
    let mut child = Command::new("/usr/bin/python3")
        .args(["-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("/usr/bin/python3 {MISSING}: {error}"));
    child.stdin.take().unwrap().write_all(data).unwrap();
    let run = child.wait_with_output().unwrap();
    let output = output_of(&run);
    assert!(!output.contains("No module named 'cloudinit'"), "cloud-init {MISSING}");
    assert!(run.status.success(), "{output}");
    let stdout = String::from_utf8(run.stdout).unwrap();
    let answer = stdout.lines().find_map(|line| line.strip_prefix("ANSWER ")).unwrap();
    serde_json::from_str(answer).unwrap()
}

fn output_of(run: &Output) -> String {
    String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr)
}

/// Compares with `tests/golden/cloud_init/NAME`. `UPDATE_GOLDEN=1` writes the file instead.
pub(crate) fn assert_golden(name: &str, actual: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/cloud_init").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE_GOLDEN=1 writes it", path.display()));
    for (at, (expected, actual)) in expected.lines().zip(actual.lines()).enumerate() {
        assert_eq!(actual, expected, "{name}, line {}", at + 1);
    }
    assert_eq!(actual, expected, "{name}");
}

#[test]
#[should_panic(expected = "is missing; `make setup` installs it")]
fn a_machine_without_cloud_init_fails_these_tests() {
    schema_of("no-such-cloud-init", "#cloud-config\n{}\n");
}
