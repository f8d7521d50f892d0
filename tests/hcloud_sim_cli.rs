//! Debian's `hcloud` command creates, changes and deletes servers, volumes, keys and images on the
//! simulator.

use std::process::{Command, Output};

use cloudd_tests::hcloud_sim::{HcloudSim, Inventory};
use serde_json::Value;
use tempfile::TempDir;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKSSJFjjkgFiOE4vORopcaGcoVY4H0D3y29Hb9shn0E+ one";

/// A simulator, and the command with a home directory of its own.
struct Project {
    sim: HcloudSim,
    home: TempDir,
}

impl Project {
    fn new() -> Self {
        Self { sim: HcloudSim::start(200.0), home: tempfile::tempdir().expect("a directory") }
    }

    /// Runs `hcloud` with these arguments, separated by spaces.
    fn run(&self, arguments: &str) -> Output {
        let output = Command::new("hcloud")
            .args(["--poll-interval", "10ms"])
            .args(arguments.split(' '))
            .env_remove("HCLOUD_CONTEXT")
            .env("HOME", self.home.path())
            .env("HCLOUD_ENDPOINT", self.sim.endpoint())
            .env("HCLOUD_TOKEN", HcloudSim::TOKEN)
            .output();
        output.expect("this test needs the command `hcloud` (Debian: hcloud-cli): run `make setup`")
    }

    /// Runs `hcloud` and asserts success.
    fn hcloud(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "hcloud {arguments}: {out}{err}");
        out
    }

    /// Runs `hcloud` and asserts failure.
    fn fails(&self, arguments: &str) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "hcloud {arguments}: {}", text(&output.stdout));
        text(&output.stderr)
    }

    fn json(&self, arguments: &str) -> Value {
        let out = self.hcloud(&format!("{arguments} -o json"));
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("hcloud {arguments}: {e}: {out}"))
    }

    /// A column of a list.
    fn column(&self, list: &str, column: &str) -> Vec<String> {
        let out = self.hcloud(&format!("{list} -o noheader -o columns={column}"));
        out.lines().map(|line| line.trim().to_owned()).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The `hcloud` column of ids.
fn ids(project: &Project, kind: &str) -> Vec<String> {
    project.column(&format!("{kind} list"), "id")
}

fn create_key(project: &Project, name: &str) {
    let file = project.home.path().join("key.pub");
    std::fs::write(&file, KEY).expect("a file");
    project
        .hcloud(&format!("ssh-key create --name {name} --public-key-from-file {}", file.display()));
}

#[test]
fn a_server_lives_and_dies() {
    let project = Project::new();
    create_key(&project, "k");
    let out = project.hcloud(
        "server create --name web --type cx23 --image fedora-43 --location fsn1 --ssh-key k --label env=test",
    );
    assert!(out.contains("Server 90000001 created"), "{out}");
    assert!(!out.contains("Root password"), "{out}");
    let server = project.json("server describe web");
    assert_eq!(server["status"], "running");
    assert_eq!(server["server_type"]["name"], "cx23");
    assert_eq!(server["labels"]["env"], "test");

    project.hcloud("server poweroff web");
    assert_eq!(project.json("server describe web")["status"], "off");
    project.hcloud("server poweron web");
    project.hcloud("server reboot web");
    project.hcloud("server reset web");
    assert_eq!(project.column("server list -l env=test", "status"), ["running"]);
    assert_eq!(project.column("server list -l env!=test", "status"), Vec::<String>::new());

    project.hcloud("server add-label web tier=front");
    project.hcloud("server remove-label web env");
    project.hcloud("server update web --name www");
    assert_eq!(project.json("server describe www")["labels"], serde_json::json!({"tier": "front"}));

    project.hcloud("server enable-protection www delete rebuild");
    let refused = project.fails("server delete www");
    assert!(refused.contains("protected"), "{refused}");
    project.hcloud("server disable-protection www delete rebuild");

    project.hcloud("server enable-rescue www --ssh-key k");
    assert_eq!(project.json("server describe www")["rescue_enabled"], true);
    project.hcloud("server disable-rescue www");
    project.hcloud("server poweroff www");
    project.hcloud("server change-type --keep-disk www cx33");
    project.hcloud("server rebuild --image debian-13 www");
    assert_eq!(project.json("server describe www")["image"]["name"], "debian-13");

    project.hcloud("server delete www");
    project.fails("server describe www");
    assert_eq!(ids(&project, "server"), Vec::<String>::new());
}

#[test]
fn a_volume_lives_and_dies() {
    let project = Project::new();
    project.hcloud("server create --name a --type cx23 --image ubuntu-24.04 --location fsn1");
    project.hcloud("volume create --name data --size 10 --location fsn1 --label keep=no");
    project.hcloud("volume attach data --server a");
    let volume = project.json("volume describe data");
    assert_eq!(volume["server"], 90_000_001);
    assert_eq!(volume["linux_device"], "/dev/disk/by-id/scsi-0HC_Volume_80000001");
    let attached = project.fails("volume delete data");
    assert!(attached.contains("service_error"), "{attached}");
    project.hcloud("volume resize data --size 20");
    assert_eq!(project.json("volume describe data")["size"], 20);
    project.hcloud("volume detach data");
    project.hcloud("volume create --name second --size 10 --server a");
    assert_eq!(project.column("volume list -l keep=no", "name"), ["data"]);
    project.hcloud("volume enable-protection data delete");
    project.hcloud("volume disable-protection data delete");
    project.hcloud("volume delete data");
    project.hcloud("volume detach second");
    project.hcloud("volume delete second");
    assert_eq!(ids(&project, "volume"), Vec::<String>::new());
}

#[test]
fn a_snapshot_lives_becomes_a_server_and_dies() {
    let project = Project::new();
    project.hcloud("server create --name source --type cx23 --image fedora-43 --location fsn1");
    project.hcloud("server poweroff source");
    project
        .hcloud("server create-image --type snapshot --description base --label role=base source");
    let image =
        ids(&project, "image").into_iter().find(|id| id.starts_with("512")).expect("a snapshot");
    assert_eq!(project.column("image list -t snapshot -l role=base", "description"), ["base"]);
    let shown = project.json(&format!("image describe {image}"));
    assert_eq!(shown["status"], "available");
    assert_eq!(shown["created_from"]["name"], "source");
    project
        .hcloud(&format!("server create --name copy --type cx23 --image {image} --location nbg1"));
    assert_eq!(project.json("server describe copy")["image"]["description"], "base");
    project.hcloud(&format!("image update {image} --description newer"));
    project.hcloud(&format!("image add-label {image} version=2"));
    project.hcloud(&format!("image enable-protection {image} delete"));
    assert!(project.fails(&format!("image delete {image}")).contains("protected"));
    project.hcloud(&format!("image disable-protection {image} delete"));
    project.hcloud(&format!("image delete {image}"));
    assert_eq!(project.column("image list -t snapshot", "id"), Vec::<String>::new());
}

#[test]
fn a_key_lives_and_dies() {
    let project = Project::new();
    create_key(&project, "k");
    let key = project.json("ssh-key describe k");
    assert_eq!(key["fingerprint"], "f4:13:3e:1a:3c:a0:9d:61:ed:88:44:64:73:16:92:b1");
    let file = project.home.path().join("key.pub");
    let again = project
        .fails(&format!("ssh-key create --name l --public-key-from-file {}", file.display()));
    assert!(again.contains("uniqueness_error"), "{again}");
    project.hcloud("ssh-key update k --name renamed");
    project.hcloud("ssh-key add-label renamed a=b");
    assert_eq!(project.column("ssh-key list -l a=b", "name"), ["renamed"]);
    project.hcloud("ssh-key delete renamed");
    assert_eq!(project.sim.inventory(), Inventory::default());
}

#[test]
fn what_is_on_sale_can_be_listed() {
    let project = Project::new();
    for (list, column, expected) in [
        ("server-type list", "name", "cax11"),
        ("location list", "name", "hel1"),
        ("image list -t system", "name", "fedora-43"),
        ("image list -t app", "name", "docker-ce"),
    ] {
        let names = project.column(list, column);
        assert!(names.iter().any(|name| name == expected), "{list}: {names:?}");
    }
    assert_eq!(project.json("server-type describe cx23")["architecture"], "x86");
    for empty in [
        "network",
        "firewall",
        "placement-group",
        "primary-ip",
        "floating-ip",
        "iso",
        "certificate",
    ] {
        assert_eq!(ids(&project, empty), Vec::<String>::new(), "{empty}");
    }
}

#[test]
fn refusals_reach_the_user_with_their_codes() {
    let project = Project::new();
    let create = "server create --name a --image fedora-43";
    for (arguments, code) in [
        (format!("{create} --type cx23 --location hel1"), "resource_unavailable"),
        (format!("{create} --type cpx21 --location ash"), "placement_error"),
        (format!("{create} --type cx23 --location ash"), "invalid_input"),
        ("server create --name a_b --image fedora-43 --type cx23".to_owned(), "invalid_input"),
        ("volume create --name v --size 9 --location fsn1".to_owned(), "invalid_input"),
        ("volume create --name v --size 10 --location sin".to_owned(), "no_space_left_in_location"),
        ("server list -l a=b:c".to_owned(), "expected comma at pos 3"),
        // Removed from the API in October 2026.
        ("datacenter list".to_owned(), "deprecated_api_endpoint"),
    ] {
        let error = project.fails(&arguments);
        assert!(error.contains(code), "hcloud {arguments}: {error}");
    }
    assert_eq!(project.sim.inventory(), Inventory::default());
}
