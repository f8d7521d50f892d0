//! Runs every example with its command line from README.md, on the Hetzner simulator or the local
//! libvirt.
//!
//! `cargo test -p cloudd-examples` builds the examples; with `--test stories`, cargo does not.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use cloudd_tests::containers::hello;
use cloudd_tests::hcloud_sim::{HcloudSim, Inventory};
use cloudd_tests::leftovers::volume;

const SPEED: f64 = 100.0;

fn examples() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A directory with the container that most examples build, as it is prepared for a simulator.
static WORKSPACE: LazyLock<PathBuf> = LazyLock::new(|| {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stories");
    let _ = hello(&directory);
    directory
});

/// The arguments of each example in README.md.
fn documented() -> BTreeMap<String, Vec<String>> {
    let readme = fs::read_to_string(examples().join("README.md")).expect("README.md");
    let command = |line: &str| {
        let rest = line.strip_prefix("cargo run -p cloudd-examples ")?;
        let (_, rest) = rest.split_once("--example ")?;
        let mut words = rest.split_whitespace().map(str::to_owned);
        let name = words.next()?;
        Some((name, words.skip_while(|word| word == "--").collect()))
    };
    readme.lines().filter_map(command).collect()
}

/// An example that cargo built for this test.
fn program(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    let target = own.ancestors().nth(2).expect("target/debug/deps/this");
    target.join("examples").join(name)
}

fn run(name: &str, sim: &HcloudSim) -> Output {
    let arguments = documented().remove(name).unwrap_or_else(|| panic!("no line for {name}"));
    run_with(name, sim, &arguments)
}

fn run_with(name: &str, sim: &HcloudSim, arguments: &[String]) -> Output {
    let mut command = Command::new(program(name));
    command.args(arguments).current_dir(if name.ends_with("libvirt") {
        examples().parent().expect("a workspace")
    } else {
        &WORKSPACE
    });
    command.env("HCLOUD_ENDPOINT", sim.endpoint()).env("HCLOUD_TOKEN", HcloudSim::TOKEN);
    command.env("HCLOUD_SIM_SPEED", SPEED.to_string());
    command.output().unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs an example on a new simulator; returns its output and the resources that exist afterwards.
fn on_hetzner(name: &str) -> (String, Inventory) {
    let sim = HcloudSim::start(SPEED);
    let output = succeeded(name, run(name, &sim));
    (output, sim.inventory())
}

fn succeeded(name: &str, output: Output) -> String {
    let (out, err) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {}\n{out}{err}", output.status);
    out.into_owned()
}

/// Asserts that only this many images and servers exist.
fn assert_only(inventory: &Inventory, images: usize, servers: usize) {
    let counts = (inventory.images.len(), inventory.servers.len());
    assert_eq!(counts, (images, servers), "{inventory:?}");
    assert_eq!((inventory.volumes.len(), inventory.ssh_keys.len()), (0, 0), "{inventory:?}");
}

#[test]
fn readme_has_a_command_line_for_each_example() {
    let files = fs::read_dir(examples()).expect("the directory").flatten();
    let mains: BTreeSet<_> = files
        .map(|file| file.path())
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .filter(|path| fs::read_to_string(path).expect("a file").contains("fn main()"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(documented().into_keys().collect::<BTreeSet<_>>(), mains);
}

#[test]
fn the_quickstart_prints_the_id_of_the_image() {
    let (out, inventory) = on_hetzner("quickstart_hcloud");
    assert_only(&inventory, 1, 0);
    assert_eq!(out.trim(), inventory.images[0].id.to_string());
}

#[test]
fn a_custom_container_is_inspected_and_built() {
    let (out, inventory) = on_hetzner("custom_container");
    assert_only(&inventory, 1, 0);
    assert!(out.contains("files and directories: 2\n"), "{out}");
    assert!(out.contains(&format!("image: {}", inventory.images[0].id)), "{out}");
    assert_eq!(inventory.images[0].labels.get("team").map(String::as_str), Some("infra"));
}

#[test]
fn servers_start_from_the_image() {
    let (out, inventory) = on_hetzner("servers_from_image");
    assert_only(&inventory, 1, 2);
    let names: BTreeSet<_> = inventory.servers.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(["web-1", "web-2"]));
    assert!(out.contains("web-2: server"), "{out}");
}

#[test]
fn two_architectures_are_built_at_the_same_time() {
    let (out, inventory) = on_hetzner("several_at_once");
    assert_only(&inventory, 2, 0);
    for place in ["Hetzner Cloud, x86: ", "Hetzner Cloud, Arm: "] {
        assert!(out.contains(place), "{out}");
    }
}

#[test]
fn a_preview_prints_prices_and_creates_nothing() {
    let (out, inventory) = on_hetzner("preview_and_cost");
    assert_eq!(inventory, Inventory::default());
    let expected = [
        "image hello for x86_64 on Hetzner Cloud, built from 330120054 fedora-43",
        "  + lease\n  + volume, disk of 10 GiB\n  + VM, disk of ",
        "  - all of these except the image, when it is available\ntime: ",
        "cost: at most 0.",
    ];
    for expected in expected {
        assert!(out.contains(expected), "{expected}: {out}");
    }
    assert!(out.contains("server cx23: from "), "{out}");
}

#[test]
fn a_sweep_deletes_only_what_has_expired() {
    let sim = HcloudSim::start(SPEED);
    let expired = volume(&sim, "expired", Some(-60));
    let kept = [("in-use", Some(60)), ("foreign", None)];
    let kept = kept.map(|(name, expires_in)| volume(&sim, name, expires_in));
    let kept = BTreeSet::from(kept);
    let out = succeeded("sweep", run("sweep", &sim));
    assert_eq!(out, format!("1 found\nvolume {expired} of image x\n1 deleted\n"));
    let left: BTreeSet<_> = sim.inventory().volumes.into_iter().map(|it| it.id).collect();
    assert_eq!(left, kept);
}

#[test]
fn progress_is_printed_phase_by_phase() {
    let (out, inventory) = on_hetzner("progress_and_cancel");
    assert_only(&inventory, 1, 0);
    for phase in ["provision", "boot", "image", "teardown"] {
        assert!(out.contains(&format!(" s  {phase}\n")), "{phase}: {out}");
    }
}

#[test]
fn a_build_that_exceeds_its_time_limit_leaves_nothing() {
    let sim = HcloudSim::start(SPEED);
    let arguments = ["--within", "0.5"].map(str::to_owned);
    let output = run_with("progress_and_cancel", &sim, &arguments);
    let out = succeeded("progress_and_cancel", output);
    assert!(out.contains("cancelling\n") && out.contains("remaining: []"), "{out}");
    assert_eq!(sim.inventory(), Inventory::default());
}

#[test]
fn user_data_are_rendered_without_a_cloud() {
    let output = run("cloud_init_only", &HcloudSim::start(SPEED));
    let err = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = succeeded("cloud_init_only", output);
    assert!(out.starts_with("#cloud-config\n") && out.contains("nginx"), "{out}");
    assert!(err.contains("error: "), "{err}");
}

#[test]
fn a_third_party_provider_passes_the_contract_suite_and_builds() {
    let out =
        succeeded("third_party_provider", run("third_party_provider", &HcloudSim::start(SPEED)));
    assert!(out.contains("25 checks passed, 7 left out\n"), "{out}");
    assert!(out.contains("in the cloud afterwards: 1 resource\n"), "{out}");
}

/// Run by `make e2e`, which provides libvirt and the builder base image.
#[test]
fn e2e_the_quickstart_on_libvirt_builds_an_image_that_says_hello() {
    let root = examples().parent().expect("a workspace");
    let context = root.join(".cache/hello");
    fs::create_dir_all(&context).expect("a directory");
    for file in ["Containerfile", "install"] {
        fs::copy(examples().join("containers/hello").join(file), context.join(file)).expect(file);
    }
    fs::copy("/bin/busybox", context.join("busybox")).expect("Debian's busybox-static");
    // Changes the fingerprint, so that no image of an earlier run is reused.
    let unique = context.join("unique");
    fs::write(&unique, cloudd_core::provider::BuildId::random().as_str()).expect("a file");
    let output = run("quickstart_libvirt", &HcloudSim::start(SPEED));
    fs::remove_file(unique).expect("it was written");
    let events = String::from_utf8_lossy(&output.stderr).into_owned();
    let out = succeeded("quickstart_libvirt", output);
    assert!(events.contains("▶ stage 2"), "{events}");
    assert!(out.contains("Hello from an image that cloudd built."), "{out}");

    let [uri, pool] = ["CLOUDD_TEST_URI", "CLOUDD_TEST_POOL"]
        .map(|name| std::env::var(name).expect("run by `make e2e`"));
    let image = out.lines().next().expect("the image's id");
    let mut delete = Command::new(env!("CARGO_BIN_EXE_cloudd"));
    delete.args(["delete", image, "--on", "libvirt", "--uri", &uri, "--pool", &pool]);
    succeeded("cloudd delete", delete.output().expect("cloudd"));
}
