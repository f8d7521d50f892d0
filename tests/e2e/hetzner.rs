//! The same on the simulated Hetzner Cloud, whose servers are VMs here: the guest meets the DMI, the
//! SCSI disks and the metadata service of Hetzner, and is heard over SSH.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cloudd_core::build::{BuildError, BuildErrorKind, BuildEventKind, BuiltImage, ImageBuilder};
use cloudd_core::guest::{Step, StepState};
use cloudd_core::provider::{ErrorKind, Image, PowerState, Provider, ResourceId, Size, VmId};
use cloudd_core::ssh::SshKeys;
use cloudd_hcloud::client::Token;
use cloudd_hcloud::{Hcloud, HcloudBuilder, ServerSpec};
use cloudd_tests::boot_sector::boot_sector;
use cloudd_tests::containers::Context;
use cloudd_tests::hcloud_sim::{HcloudSim, Inventory, Qemu, QemuFiles, cloud_config};
use cloudd_tests::installer::Installer;
use cloudd_tests::lab::{assert_same_disk, environment};
use cloudd_tests::story::{self, Story};
use tempfile::TempDir;

/// The API's own delays are not what is tested.
const SPEED: f64 = 10.0;
/// The smallest there is.
const VOLUME: Size = Size::gib(10);

/// A project whose servers are VMs.
struct Project {
    sim: HcloudSim,
    hcloud: Hcloud,
    files: QemuFiles,
    _directory: TempDir,
}

impl Project {
    /// Servers listen for SSH at this port of their addresses.
    fn new(ssh_port: u16) -> Self {
        Self::with(ssh_port, |qemu| qemu, |hcloud| hcloud)
    }

    fn with(
        ssh_port: u16,
        qemu: impl FnOnce(Qemu) -> Qemu,
        hcloud: impl FnOnce(HcloudBuilder) -> HcloudBuilder,
    ) -> Self {
        // Not in /tmp, which may be small.
        let place = env!("CARGO_TARGET_TMPDIR");
        let directory = tempfile::Builder::new().prefix("hetzner-").tempdir_in(place).unwrap();
        let guests = Qemu::new(environment("CLOUDD_TEST_BASE"), directory.path()).unwrap();
        let guests = Box::new(qemu(guests.ssh_port(ssh_port)));
        let sim = HcloudSim::builder().speed(SPEED).guests(guests).start().unwrap();
        let builder = Hcloud::builder(Token::new(HcloudSim::TOKEN).unwrap())
            .endpoint(sim.endpoint())
            .clock_speed(SPEED)
            .ssh_port(ssh_port);
        let hcloud = hcloud(builder).build().unwrap();
        Self { sim, hcloud, files: QemuFiles::new(directory.path()), _directory: directory }
    }

    async fn build(&self, builder: &ImageBuilder) -> (Result<BuiltImage, BuildError>, Story) {
        let console = |vm: &VmId| vec![self.files.console(number(vm))];
        story::of_build(&self.hcloud, builder, console, |_, _| {}).await
    }

    /// Starts a server from an image, waits until its system powers it off, and returns its console output.
    async fn boot(&self, image: &Image) -> String {
        let spec = ServerSpec::new("from-the-image", image.id.clone());
        let server = self.hcloud.start_server(spec).await.unwrap().id;
        let vm = VmId::new(server.to_string());
        let begun = Instant::now();
        let off = loop {
            let is_off = self.hcloud.vm(&vm).await.unwrap().unwrap().state == PowerState::Off;
            if is_off || begun.elapsed() > Duration::from_secs(60) {
                break is_off;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        let console = fs::read(self.files.console(server.0)).unwrap();
        self.hcloud.delete(&vm.into()).await.unwrap();
        let console = String::from_utf8_lossy(&console).into_owned();
        assert!(off, "still on; the console says {console:?}");
        console
    }

    fn disk(&self, image: &Image) -> PathBuf {
        self.files.image(image.id.as_str().parse().unwrap())
    }

    /// Whether there is nothing but an image, and nothing at all when that is deleted.
    async fn holds_only(&self, image: Image) {
        let Inventory { servers, volumes, images, ssh_keys } = self.sim.inventory();
        assert_eq!((servers, volumes, ssh_keys), (vec![], vec![], vec![]));
        assert_eq!(images.len(), 1);
        self.hcloud.delete(&image.id.into()).await.unwrap();
        assert_eq!(self.sim.inventory(), Inventory::default());
    }
}

/// 22, as on Hetzner, where this machine lets us have it: it may have an SSH server of its own on
/// every address, and the tests may not be run by root.
fn ssh_port() -> u16 {
    let first_server = Ipv4Addr::new(127, 64, 0, 1);
    match TcpListener::bind((first_server, 22)) {
        Ok(_) => 22,
        Err(_) => free_port(),
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The server that a build created.
fn builder_of(story: &Story) -> u64 {
    let created = story.0.iter().find_map(|event| match &event.kind {
        BuildEventKind::Created { resource: ResourceId::Vm(vm) } => Some(number(vm)),
        _ => None,
    });
    created.expect("a server was created")
}

fn number(vm: &VmId) -> u64 {
    vm.as_str().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_on_hetzner_the_snapshot_is_exact_and_a_server_from_it_boots() {
    let project = Project::new(ssh_port());
    let installer = Installer::new(16);
    let context = installer.context();
    let container = context.container().build_arg("ARGUMENT", "one").env("VARIABLE", "two $HOME");
    let container = container.env("PAUSE", "5");
    let builder = ImageBuilder::new("exact", container).volume_size(VOLUME);
    let (result, story) = project.build(&builder).await;
    let image = result.unwrap().image;

    let console = fs::read(project.files.console(builder_of(&story))).unwrap();
    let console = String::from_utf8_lossy(&console);
    assert!(console.contains("Datasource DataSourceHetzner"), "{console}");
    assert!(story.logged("sectors: one, two $HOME"), "argument and variable did not arrive");
    let written = story.when(
        |update| matches!(update, BuildEventKind::Log { line, .. } if line.contains("writing to /dev/sd")),
    );
    let ended = story.when(|update| {
        matches!(update, BuildEventKind::Step { step: Step::Run, state: StepState::End, .. })
    });
    // The container paused in between.
    let early = ended.unwrap() - written.unwrap();
    println!("the container's first line was here {early:?} before the container had ended");
    assert!(early > Duration::from_secs(2), "{early:?}");
    let armed = story.when(|update| matches!(update, BuildEventKind::EnteringStage2 { .. }));
    assert!(armed.is_some(), "the guest was not heard to its end");

    installer.assert_exact(&project.disk(&image), VOLUME, VOLUME);

    let console = project.boot(&image).await;
    assert!(console.contains(installer.nonce()), "the console says {console:?}");
    project.holds_only(image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_on_hetzner_a_small_context_is_built_without_any_way_to_the_server() {
    let project = Project::with(free_port(), |qemu| qemu, HcloudBuilder::without_ssh);
    // Small, as it brings no program: the builder's own shell runs it.
    let sector = boot_sector("by user data\r\n");
    let context = Context::new(
        "FROM scratch\n\
         COPY install sector /\n\
         LABEL RUN=\"podman run --rm --privileged -v /dev:/dev -v /usr:/usr -v /usr/bin:/bin \
         -v /usr/lib:/lib -v /usr/lib64:/lib64 IMAGE\"\n\
         ENTRYPOINT [\"/bin/sh\", \"/install\"]\n",
    );
    let context = context.file("install", "dd if=/sector of=\"$1\" conv=notrunc,fsync\n");
    let context = context.file("sector", sector);
    let builder = ImageBuilder::new("small", context.container()).volume_size(VOLUME);
    let builder = builder.trust_power_off();
    let (result, _) = project.build(&builder).await;
    let image = result.unwrap().image;

    let expected = tempfile::NamedTempFile::new().unwrap();
    fs::write(expected.path(), sector).unwrap();
    assert_same_disk(&project.disk(&image), expected.path());
    let console = project.boot(&image).await;
    assert_eq!(console, "by user data\r\n");
    project.holds_only(image).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_on_hetzner_a_server_with_another_host_key_ends_the_build() {
    let stranger = SshKeys::generate().unwrap();
    let private = stranger.expose_host_private().to_owned();
    let alter = |qemu: Qemu| qemu.altering_user_data(move |sent| with_host_key(&sent, &private));
    let project = Project::with(free_port(), alter, |hcloud| hcloud);
    let context = Context::plausible();
    let begun = Instant::now();
    let (result, _) = project.build(&ImageBuilder::new("stranger", context.container())).await;
    println!("known after {:?}", begun.elapsed());
    let error = result.unwrap_err();
    let BuildErrorKind::Provider(cause) = error.kind() else { panic!("{error}") };
    assert_eq!(cause.kind(), ErrorKind::Untrusted);
    assert!(error.to_string().contains(&stranger.host_fingerprint()), "{error}");
    assert_eq!(error.remaining(), []);
    assert_eq!(project.sim.inventory(), Inventory::default());
}

/// User data of a builder with another private host key.
fn with_host_key(user_data: &str, private: &str) -> String {
    let mut config = cloud_config(user_data).expect("a builder's user data");
    config["ssh_keys"]["ed25519_private"] = private.into();
    format!("#cloud-config\n{config}")
}
