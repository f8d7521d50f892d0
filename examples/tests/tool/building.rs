use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use cloudd_tests::hcloud_sim::{GuestScript, HcloudSim, Inventory};

use crate::{CONTEXT, SPEED, Tool, bare, ended, lines};

#[test]
fn a_build_prints_the_id_on_stdout_and_its_events_on_stderr() {
    let tool = Tool::new();
    let built = tool.run(&["build", "hello", &CONTEXT, "--label", "team=infra"]);
    assert_eq!(built.code, Some(0), "{}", built.err);
    let inventory = tool.sim.inventory();
    assert_eq!(built.out.trim(), inventory.images[0].id.to_string());
    assert_eq!(inventory.images[0].labels.get("team").map(String::as_str), Some("infra"));
    assert!(inventory.servers.is_empty() && inventory.volumes.is_empty(), "{inventory:?}");
    for phase in ["▶ plan", "▶ provision", "▶ boot", "▶ image", "▶ teardown"] {
        assert!(built.err.contains(phase), "{}", built.err);
    }
    assert!(!built.err.contains('\x1b'), "bars are for terminals only: {}", built.err);
}

#[test]
fn on_a_terminal_there_are_bars() {
    let tool = Tool::new();
    let command = format!("{} build hello {}", env!("CARGO_BIN_EXE_cloudd"), *CONTEXT);
    // `script` from util-linux runs a command on a terminal.
    let mut script = Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]);
    let output = tool.with_environment(script).output().unwrap();
    let ended = ended(output);
    assert_eq!(ended.code, Some(0), "{}", ended.out);
    assert!(ended.out.contains("\x1b[2K") && ended.out.contains('█'), "{}", ended.out);
}

#[test]
fn two_architectures_are_built_at_once_and_both_ids_printed() {
    let tool = Tool::new();
    let built = tool.run(&["build", "hello", &CONTEXT, "--arch", "x86_64", "--arch", "aarch64"]);
    assert_eq!(built.code, Some(0), "{}", built.err);
    assert_eq!(built.out.lines().count(), 2);
    assert!(built.err.contains("hello aarch64     0."), "{}", built.err);
    assert_eq!(tool.sim.inventory().images.len(), 2);
}

#[test]
fn json_has_every_event_and_then_the_result() {
    let tool = Tool::new();
    let built = tool.run(&["build", "hello", &CONTEXT, "--json"]);
    assert_eq!(built.code, Some(0), "{}", built.err);
    let lines = lines(&built.out);
    let (result, events) = lines.split_last().unwrap();
    assert_eq!(result["result"], "image");
    assert_eq!(result["image"]["id"], tool.sim.inventory().images[0].id.to_string());
    assert_eq!(events[0]["event"], "phase");
    assert_eq!(events[0]["phase"], "plan");
    assert!(events.iter().all(|event| event["name"] == "hello" && event["event"].is_string()));
}

#[test]
fn a_preview_prints_what_would_be_used_and_sends_only_reads() {
    let tool = Tool::new();
    let preview = tool.run(&["preview", "hello", &CONTEXT, "--arch", "aarch64"]);
    assert_eq!(preview.code, Some(0), "{}", preview.err);
    for line in ["for aarch64 on Hetzner Cloud", "  + volume, disk of 10 GiB", "fedora-43"] {
        assert!(preview.out.contains(line), "{}", preview.out);
    }
    assert_eq!(tool.sim.stats().requests_to("POST"), 0);
    assert_eq!(tool.run(&["preview", "hello", "/nowhere"]).code, Some(2));
}

#[test]
fn an_existing_image_is_reused_without_force() {
    let tool = Tool::new();
    let first = tool.run(&["build", "hello", &CONTEXT]).out;
    let sent = tool.sim.stats().requests_to("POST");
    let again = tool.run(&["build", "hello", &CONTEXT]);
    assert_eq!(again.out, first);
    assert!(again.err.contains("exists already"), "{}", again.err);
    assert_eq!(tool.sim.stats().requests_to("POST"), sent);
    let preview = tool.run(&["preview", "hello", &CONTEXT, "--force=replace"]);
    let delete = format!("  - image {}", first.trim());
    assert!(preview.out.contains(&delete), "{}", preview.out);
    let forced = tool.run(&["build", "hello", &CONTEXT, "--force=replace"]).out;
    assert_ne!(forced, first);
    assert_eq!(tool.sim.inventory().images.len(), 1);
}

#[test]
fn a_built_in_container_is_chosen_by_name() {
    let tool = Tool::new();
    let built =
        tool.run(&["build", "debian-13", "--builtin", "debian", "--env", "KERNEL_ARGS=quiet"]);
    assert_eq!(built.code, Some(0), "{}", built.err);
    assert_eq!(tool.sim.inventory().images.len(), 1);
    let wrong = tool.run(&["build", "x", "--builtin", "raw_image", "--env", "IMAGE_URL=ftp://x"]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.err);
    assert!(wrong.err.contains("IMAGE_URL"), "{}", wrong.err);
    // Without a value, from the environment.
    let mut command = tool.command(&["build", "x", "--builtin", "raw_image", "--env", "IMAGE_URL"]);
    let wrong = command.env("IMAGE_URL", "ftp://user:hunter2@x").output().unwrap();
    let wrong = String::from_utf8(wrong.stderr).unwrap();
    assert!(wrong.contains("IMAGE_URL is \"ftp://***@x\""), "{wrong}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let config = file.path().to_str().unwrap();
    std::fs::write(config, r#"{"ignition": {"version": "3.4.0"}}"#).unwrap();
    let built = tool.run(&["build", "x", "--builtin", "flatcar", "--config", config]);
    assert_eq!(built.code, Some(0), "{}", built.err);
    std::fs::write(config, "variant: flatcar").unwrap();
    let wrong = tool.run(&["preview", "x", "--builtin", "flatcar", "--config", config]);
    assert_eq!(wrong.code, Some(2), "{}", wrong.err);
    assert!(wrong.err.contains("config.ign"), "{}", wrong.err);
    let unknown = tool.run(&["build", "x", "--builtin", "plan9"]);
    assert_eq!(unknown.code, Some(2), "{}", unknown.err);
    assert!(unknown.err.contains("debian"), "{}", unknown.err);
}

#[test]
fn bad_input_is_exit_code_2_before_anything_is_created() {
    let tool = Tool::new();
    let cases: [(&[&str], &str); 5] = [
        (&["build", "hello", "/nowhere"], "nothing was created; correct the input"),
        (&["build", "no good name", &CONTEXT], "expected 1 to 63 characters"),
        (
            &["build", "hello", &CONTEXT, "--location", "mars1"],
            "no location \"mars1\"; available: fsn1",
        ),
        (&["build", "hello", &CONTEXT, "--volume-size", "1GiB"], "volumes from 10 GiB"),
        (&["build", "hello", &CONTEXT, "--on", "libvirt"], "libvirt"),
    ];
    for (arguments, expected) in cases {
        let ended = tool.run(arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.err);
        assert!(ended.err.contains(expected), "{}", ended.err);
        assert_eq!(ended.out, "");
    }
    assert_eq!(tool.sim.stats().requests_to("POST"), 0);
}

#[test]
fn a_missing_token_is_reported_with_the_variable_to_set() {
    let ended = ended(bare(&["list"]).output().unwrap());
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("set HCLOUD_TOKEN to a token with read"), "{}", ended.err);
}

#[test]
fn a_refused_token_is_exit_code_2_and_not_printed() {
    let tool = Tool::new();
    let wrong = "w".repeat(64);
    let output = tool.command(&["build", "hello", &CONTEXT]).env("HCLOUD_TOKEN", &wrong).output();
    let ended = ended(output.unwrap());
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("set HCLOUD_TOKEN to a token with read and write"), "{}", ended.err);
    assert!(!ended.err.contains(&wrong), "{}", ended.err);
}

#[test]
fn a_failed_deletion_is_exit_code_3_with_the_image_and_the_command_that_deletes_the_rest() {
    let sim = HcloudSim::builder().speed(SPEED);
    let faults = cloudd_tests::hcloud_sim::Faults::parse("DELETE /volumes/*:error=forbidden");
    let tool = Tool::with(sim.faults(faults.unwrap()).start().unwrap());
    let built = tool.run(&["build", "hello", &CONTEXT]);
    assert_eq!(built.code, Some(3), "{}", built.err);
    let volume = tool.sim.inventory().volumes[0].id;
    assert_eq!(built.out.trim(), tool.sim.inventory().images[0].id.to_string());
    assert!(built.err.contains("cloudd: warning: NOT deleted"), "{}", built.err);
    let advice = format!("to delete the remaining resources: cloudd delete volume/{volume}");
    assert!(built.err.contains(&advice), "{}", built.err);
}

#[test]
fn an_interrupted_build_is_exit_code_130_and_leaves_nothing() {
    for signal in ["-INT", "-TERM"] {
        let tool = Tool::new();
        tool.sim.scripts().otherwise(GuestScript::named("hang").unwrap());
        let child = tool.start(&["build", "hello", &CONTEXT]);
        let begun = Instant::now();
        while tool.sim.inventory().servers.is_empty() {
            assert!(begun.elapsed() < Duration::from_secs(30), "no server was created");
            thread::sleep(Duration::from_millis(20));
        }
        let kill = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(130), "{signal}: {}", ended.err);
        assert_eq!(tool.sim.inventory(), Inventory::default());
    }
}
