//! Guests that are VMs, with the smallest systems there are: boot sectors.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cloudd_tests::boot_sector::{boot_sector, staying_boot_sector};
use cloudd_tests::hcloud_sim::{Contents, HcloudSim, Qemu, QemuFiles};
use cloudd_tests::lab::{assert_same_disk, run};
use serde_json::json;
use tempfile::TempDir;

use super::client::{Project, server};

/// A project with VMs, and what they leave in files.
struct Machines {
    project: Project,
    files: QemuFiles,
    ssh_port: u16,
    directory: TempDir,
}

impl Machines {
    /// Servers with this boot sector.
    fn new(sector: &[u8; 512]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let base = base_image(sector, directory.path());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let ssh_port = listener.local_addr().expect("an address").port();
        let files = directory.path().join("files");
        let qemu = Qemu::new(base, &files).expect("a base image").ssh_port(ssh_port);
        let project = Project::with(HcloudSim::builder().guests(Box::new(qemu)));
        Self { project, files: QemuFiles::new(files), ssh_port, directory }
    }

    async fn status(&self, server: u64) -> String {
        let answer = self.project.get(&format!("/servers/{server}")).await;
        answer.ok()["server"]["status"].as_str().expect("a status").to_owned()
    }

    /// Waits until it has powered itself off.
    async fn off(&self, server: u64) {
        until("the server is off", async || self.status(server).await == "off").await;
    }

    async fn prints(&self, server: u64, expected: &str) {
        let console = self.files.console(server);
        until(&format!("the console says {expected:?}"), async || {
            self.status(server).await; // what is due happens at the next request
            fs::read_to_string(&console).is_ok_and(|printed| printed == expected)
        })
        .await;
    }

    async fn act(&self, server: u64, action: &str, seconds: u64) {
        let path = format!("/servers/{server}/actions/{action}");
        self.project.post(&path, json!({})).await.created();
        self.project.pass(seconds);
    }

    /// Whether the only files left are the consoles, and no process has anything to do with them.
    fn holds_only_consoles(&self) -> bool {
        let files = fs::read_dir(self.directory.path().join("files")).expect("a directory");
        let mut names = files.map(|file| file.expect("a file").file_name());
        names.all(|name| name.to_string_lossy().starts_with("console-"))
            && processes(self.directory.path()) == 0
    }
}

fn base_image(sector: &[u8; 512], directory: &Path) -> std::path::PathBuf {
    let (raw, base) = (directory.join("sector"), directory.join("base.qcow2"));
    fs::write(&raw, sector).expect("a file");
    run(Command::new("qemu-img").args(["convert", "-f", "raw", "-O", "qcow2"]).arg(raw).arg(&base));
    base
}

/// How many processes have a path below the directory in their arguments, this test aside.
fn processes(directory: &Path) -> usize {
    let wanted = directory.as_os_str().as_encoded_bytes();
    let mentions = |entry: &fs::DirEntry| {
        let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        command.windows(wanted.len()).any(|part| part == wanted)
    };
    fs::read_dir("/proc").expect("processes").flatten().filter(mentions).count()
}

/// Looks again and again.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let begun = Instant::now();
    while !is_so().await {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}: never");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_server_boots_its_image_goes_off_and_its_snapshot_boots_too() {
    let sector = boot_sector("hello\r\n");
    let machines = Machines::new(&sector);
    let project = &machines.project;
    let volume = project.volume("v").await;
    let mut body = server("first");
    body["volumes"] = json!([volume]);
    let made = project.post("/servers", body).await;
    let first = made.created()["server"]["id"].as_u64().expect("an id");
    project.pass(20);
    machines.off(first).await;
    machines.prints(first, "hello\r\n").await;
    machines.act(first, "poweron", 5).await;
    machines.prints(first, "hello\r\nhello\r\n").await;
    machines.off(first).await;

    let path = format!("/servers/{first}/actions/create_image");
    let made = project.post(&path, json!({})).await;
    let image = made.created()["image"]["id"].as_u64().expect("an id");
    until("the snapshot is there", async || {
        project.pass(75);
        project.get(&format!("/images/{image}")).await.ok()["image"]["status"] == "available"
    })
    .await;
    let raw = machines.directory.path().join("sector");
    assert_same_disk(&machines.files.image(image), &raw);
    assert_eq!(project.sim.contents(image), Contents::Unknown);

    let mut body = server("second");
    body["image"] = json!(image);
    let made = project.post("/servers", body).await;
    let second = made.created()["server"]["id"].as_u64().expect("an id");
    project.pass(10);
    // A server does not need the image it was made from.
    assert_eq!(project.delete(&format!("/images/{image}")).await.status, 204);
    project.pass(5);
    machines.off(second).await;
    machines.prints(second, "hello\r\n").await;

    for id in [first, second] {
        assert_eq!(project.delete(&format!("/servers/{id}")).await.status, 200);
    }
    project.pass(5);
    assert_eq!(project.delete(&format!("/volumes/{volume}")).await.status, 204);
    until("nothing but consoles is left", async || machines.holds_only_consoles()).await;
}

#[tokio::test]
async fn power_is_the_apis_to_give_and_to_take() {
    let machines = Machines::new(&staying_boot_sector("up\r\n"));
    let project = &machines.project;
    let id = project.server("a").await;
    machines.prints(id, "up\r\n").await;
    let server = project.get(&format!("/servers/{id}")).await;
    let address =
        server.ok()["server"]["public_net"]["ipv4"]["ip"].as_str().expect("text").to_owned();
    TcpStream::connect((address.as_str(), machines.ssh_port)).expect("its address is open");
    // A boot sector does not hear the button.
    machines.act(id, "shutdown", 5).await;
    assert_eq!(machines.status(id).await, "running");
    machines.act(id, "reset", 5).await;
    machines.prints(id, "up\r\nup\r\n").await;
    machines.act(id, "poweroff", 5).await;
    assert_eq!(machines.status(id).await, "off");
    assert_eq!(processes(machines.directory.path()), 0);

    // What is not simulated is refused, rather than done to a machine that does not notice.
    machines.act(id, "poweron", 5).await;
    let volume = project.volume("v").await;
    let path = format!("/volumes/{volume}/actions/attach");
    let attach = project.post(&path, json!({"server": id})).await.created()["action"].clone();
    project.pass(5);
    let (status, _) = super::client::action(project, &attach).await;
    assert_eq!(status, "error");
}

#[tokio::test]
async fn a_machine_that_cannot_start_fails_the_action_and_says_why() {
    let machines = Machines::new(&boot_sector("never\r\n"));
    let project = &machines.project;
    let first_address = Ipv4Addr::new(127, 64, 0, 1);
    let _taken = TcpListener::bind((first_address, machines.ssh_port)).expect("a free port");
    let made = project.post("/servers", server("a")).await.created().clone();
    project.pass(15);
    let start = project.get(&format!("/actions/{}", made["next_actions"][0]["id"])).await;
    let action = &start.ok()["action"];
    assert_eq!(action["status"], "error");
    let message = action["error"]["message"].as_str().expect("text");
    assert!(message.contains("Could not set up host forwarding"), "{message}");
    assert_eq!(machines.status(made["server"]["id"].as_u64().expect("an id")).await, "off");
    assert_eq!(processes(machines.directory.path()), 0);
}

#[tokio::test]
async fn no_machine_outlives_the_simulator() {
    let machines = Machines::new(&staying_boot_sector("up\r\n"));
    let id = machines.project.server("a").await;
    machines.prints(id, "up\r\n").await;
    assert_eq!(processes(machines.directory.path()), 1);
    drop(machines.project);
    assert_eq!(processes(machines.directory.path()), 0);
}

#[tokio::test]
async fn no_machine_outlives_the_program_however_it_ends() {
    for signal in ["-TERM", "-KILL"] {
        let directory = tempfile::tempdir().expect("a directory");
        let files = directory.path().join("files");
        let base = base_image(&staying_boot_sector("up\r\n"), directory.path());
        let [base, dir] = [&base, &files].map(|path| path.to_str().expect("a path"));
        let mut arguments = vec!["--token", "t", "--speed", "1000", "--ssh-port", "0"];
        arguments.extend(["--guests", "qemu", "--base", base, "--dir", dir]);
        let program = super::alone::Program::start(&arguments);
        let http = reqwest::Client::builder().no_proxy().build().expect("a client");
        let servers = format!("{}/servers", program.endpoint);
        let made = http.post(&servers).bearer_auth("t").json(&server("a")).send().await;
        assert_eq!(made.expect("an answer").status(), 201);
        // What is due happens at the next request.
        until("the machine runs", async || {
            http.get(&servers).bearer_auth("t").send().await.expect("an answer");
            processes(&files) == 2
        })
        .await;
        let id = program.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().expect("kill runs").success());
        until("nothing runs", async || processes(&files) == 0).await;
    }
}
