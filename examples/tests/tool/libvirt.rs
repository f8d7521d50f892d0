//! The tool on a real libvirt: run by `make e2e`, which provides it and the builder base image.

use cloudd_core::install::Sha256Digest;
use cloudd_core::provider::{
    Architecture, BuildId, BuildRequirements, PowerState, Provider as _, Reporter, Size, VmId,
};
use cloudd_libvirt::{BaseImage, Libvirt};
use cloudd_tests::lab::{Lab, environment};
use cloudd_tests::process::Process;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{CONTEXT, Ended, bare, ended, lines};

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
    let word = |value: &Value| value.as_str().expect("a text").to_owned();
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

/// Runs `cloudd base-images` on the pool of the environment.
fn base_images(arguments: &[&str]) -> Ended {
    let (uri, pool) = (environment("CLOUDD_TEST_URI"), environment("CLOUDD_TEST_POOL"));
    let mut command = bare(&["--on", "libvirt", "--uri", &uri, "--pool", &pool, "base-images"]);
    ended(command.args(arguments).output().expect("cloudd"))
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_base_images_are_listed_and_old_ones_that_are_unused_are_deleted() {
    // So old that it selects no image of another program.
    const PRUNE: [&str; 3] = ["--json", "--prune", "10000"];
    let (uri, pool) = (environment("CLOUDD_TEST_URI"), environment("CLOUDD_TEST_POOL"));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("base.img");
    // Its content is its name in the pool.
    let content = format!("{}{}", BuildId::random(), "x".repeat((1 << 20) - 10));
    std::fs::write(&path, &content).expect("a file");
    let libvirt = Libvirt::builder(&uri).pool(&pool).base_image(BaseImage::path(&path));
    let libvirt = libvirt.connect().await.expect("libvirt answers");
    let requirements = BuildRequirements::new(Architecture::X86_64, Size::mib(1));
    let resolved = libvirt.resolve(&requirements).await.expect("a base image");
    let silent = Reporter::silent();
    libvirt.ensure_base_image(&requirements, &resolved, &silent).await.expect("an upload");

    let name = format!("cloudd-base-{}", Sha256Digest::digest(content.as_bytes()));
    let listed = || {
        let ended = base_images(&["--json"]);
        assert_eq!(ended.code, Some(0), "{}", ended.err);
        lines(&ended.out).into_iter().find(|image| image["name"] == name.as_str())
    };
    let image = listed().expect("the base image");
    assert_eq!((&image["ready"], &image["used_by"]), (&true.into(), &Value::Null));
    assert_eq!((&image["source"], &image["size"]), (&json!(path), &json!(content.len())));
    let shown = base_images(&[]).out;
    assert!(shown.contains(&name) && shown.contains("not used"), "{shown}");

    assert!(!base_images(&PRUNE).out.contains(&name), "a new base image was deleted");
    let record = format!("{name}.cloudd-base.json");
    let file = directory.path().join("record");
    let virsh = |arguments: &[&str]| {
        let mut command = std::process::Command::new("virsh");
        let status = command.args(["-q", "-c", &uri]).args(arguments).status().expect("virsh");
        assert!(status.success(), "virsh {arguments:?}");
    };
    let file_name = file.to_str().expect("a path");
    virsh(&["vol-download", &record, file_name, "--pool", &pool]);
    let text = std::fs::read(&file).expect("a record");
    let mut json: Value = serde_json::from_slice(&text).expect("a record");
    json["created"] = 0.into();
    // No shorter than it was: volumes are not cut off.
    std::fs::write(&file, format!("{:4096}", json.to_string())).expect("a record");
    virsh(&["vol-upload", &record, file_name, "--pool", &pool]);
    let pruned = base_images(&PRUNE);
    assert_eq!(pruned.code, Some(0), "{}", pruned.err);
    assert!(pruned.out.contains(&name), "{}", pruned.out);
    assert_eq!(listed(), None);
}

#[test]
fn base_images_are_those_of_libvirt() {
    let ended = ended(bare(&["base-images"]).output().expect("cloudd"));
    assert_eq!(ended.code, Some(2));
    assert!(ended.err.contains("--on libvirt"), "{}", ended.err);
    let none = ["--on", "libvirt", "--uri", "test:///default", "--pool", "default-pool"];
    let mut command = bare(&none);
    let ended = crate::ended(command.arg("base-images").output().expect("cloudd"));
    assert_eq!((ended.code, ended.out.as_str()), (Some(0), ""), "{}", ended.err);
    assert!(ended.err.contains("no base images of cloudd"), "{}", ended.err);
}
