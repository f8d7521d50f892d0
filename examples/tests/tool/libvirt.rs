//! The tool on a real libvirt: run by `make e2e`, which provides it and the builder base image.

use cloudd_core::provider::{BuildId, PowerState, Provider as _, VmId};
use cloudd_tests::lab::{Lab, environment};
use cloudd_tests::process::Process;
use tokio::process::Command;

use crate::CONTEXT;

#[tokio::test(flavor = "multi_thread")]
async fn e2e_ctrl_c_while_the_guest_runs_leaves_nothing_on_libvirt() {
    let lab = Lab::new().await;
    let (uri, pool) = (environment("CLOUDD_TEST_URI"), environment("CLOUDD_TEST_POOL"));
    let base = environment("CLOUDD_TEST_BASE");
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloudd"));
    command.args(["--on", "libvirt", "--uri", &uri, "--pool", &pool, "--json"]);
    command.args(["build", "interrupted", &CONTEXT, "--base", &base, "--volume-size", "1GiB"]);
    let mut tool = Process::start(&mut command);
    tool.until(|event| event["event"] == "created" && event["resource"]["kind"] == "vm").await;
    let created = &tool.events()[tool.events().len() - 1];
    let word = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    let build = BuildId::try_from(word(&created["build"])).expect("a build id");
    let vm = VmId::new(word(&created["resource"]["id"]));
    while lab.libvirt.vm(&vm).await.expect("libvirt answers").expect("a VM").state
        != PowerState::Running
    {
        tokio::task::yield_now().await;
    }

    tool.signal("INT");
    let ended = tool.end().await;
    let message = ended.result.expect_err("the build was interrupted");
    assert!(message.contains("cancelling"), "{message}");
    let result = ended.events.last().expect("a result");
    assert_eq!(
        (&result["result"], &result["advice"]),
        (&"error".into(), &"everything was deleted".into())
    );
    assert_eq!(lab.resources_of(&build), [""; 0]);
}
