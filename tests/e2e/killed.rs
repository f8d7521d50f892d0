//! A build whose process is killed, with a real guest at work, is ended by the next run with the same
//! guest: one image, exact, and nothing else.

use std::time::Duration;

use cloudd_core::guest::Step;
use cloudd_core::provider::{
    BuildId, Image, ImageId, ImageStatus, PowerState, Provider, Resource, ResourceKind, Selector,
    Size, VmId, keys,
};
use cloudd_tests::boot_log::BootLog;
use cloudd_tests::containers::Context;
use cloudd_tests::installer::Installer;
use cloudd_tests::lab::Lab;
use cloudd_tests::process::{Ended, Process, signal};
use serde_json::Value;
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

/// An image, to be built by one process after another.
struct Scene {
    lab: Lab,
    name: String,
    installer: Installer,
    context: Context,
}

/// A build whose process was killed.
struct Killed {
    build: BuildId,
    vm: VmId,
    /// What its guest had said and the process had told.
    told: Vec<Value>,
    /// All that its guest had said.
    said: String,
    /// How its VM was.
    state: PowerState,
    /// What there was of it.
    left: Vec<Resource>,
    logs: BootLog,
}

impl Scene {
    async fn new() -> Self {
        let installer = Installer::new(16);
        let context = installer.context();
        let name = format!("killed-{}", BuildId::random());
        Self { lab: Lab::new().await, name, installer, context }
    }

    fn start(&self, options: &[&str]) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_one-build-on-libvirt"));
        Process::start(command.args(options).arg(&self.name).arg(self.context.path()))
    }

    /// Follows a process until it tells this, then does `last`, then kills it.
    async fn kill_at(
        &self,
        mut first: Process,
        point: impl Fn(&Value) -> bool,
        last: impl AsyncFnOnce(&BuildId),
    ) -> Killed {
        let is_vm = |it: &Value| it["event"] == "created" && it["resource"]["kind"] == "vm";
        first.until(is_vm).await;
        let created = first.events().last().unwrap();
        let build = BuildId::try_from(text(&created["build"])).unwrap();
        let vm = VmId::new(text(&created["resource"]["id"]));
        let logs = BootLog::follow(self.lab.logs(&vm));
        first.until(point).await;
        last(&build).await;
        let told = words(first.events());
        first.kill().await;
        let said = self.lab.said(&vm);
        let state = self.lab.libvirt.vm(&vm).await.unwrap().unwrap().state;
        let left = self.lab.libvirt.find(&Selector::build(&build)).await.unwrap();
        println!("killed; the VM is {state:?}, its guest has said\n{said}left: {left:?}");
        Killed { build, vm, told, said, state, left, logs }
    }

    /// Whether the next run has ended the build of the killed one.
    async fn ended(&self, killed: Killed, next: Ended) -> Image {
        let libvirt = &self.lab.libvirt;
        let id = ImageId::new(next.image());
        let build = killed.build.as_str();
        let adopted = next.events.iter().find(|event| event["event"] == "resumed");
        assert_eq!(adopted.expect("it adopts")["build"], build);
        let created = |kind| ids(&next.events, "created", kind);
        assert_eq!((created("volume"), created("image")), (vec![], vec![id.to_string()]));
        assert!(!created("vm").contains(&killed.vm.to_string()), "a second builder VM");

        let image = libvirt.image(&id).await.unwrap().unwrap();
        assert_eq!(image.status, ImageStatus::Available);
        assert_eq!(image.labels.get(keys::BUILD), Some(build));
        let path = self.lab.image_path(&id);
        self.installer.assert_exact(&path, image.disk_size, Size::gib(1));
        let fingerprint = image.labels.get(keys::FINGERPRINT).unwrap();
        for (key, value) in [(keys::FINGERPRINT, fingerprint), (keys::NAME, &self.name)] {
            let found = libvirt.find(&Selector::all().with(key, value)).await.unwrap();
            let found: Vec<_> = found.into_iter().map(|it| it.id).collect();
            assert_eq!(found, [id.clone().into()], "by {key}");
        }
        let ours = self.lab.resources_of(&killed.build);
        assert!(ours.iter().all(|name| name.contains(id.as_str())), "left: {ours:?}");

        let third = self.start(&[]).end().await;
        assert!(third.told("reused"), "{third:?}");
        assert_eq!(third.image(), id.as_str());
        libvirt.delete(&id.into()).await.unwrap();
        assert_eq!(self.lab.resources_of(&killed.build), [""; 0]);
        killed.logs.finish(false);
        image
    }
}

/// A test that fails leaves no VM running.
impl Drop for Scene {
    fn drop(&mut self) {
        let selector = Selector::all().with(keys::NAME, &self.name);
        let delete = async {
            let mut left = self.lab.libvirt.find(&selector).await.unwrap_or_default();
            left.sort_by_key(|it| it.id.delete_order());
            for it in left {
                let deleted = self.lab.libvirt.delete(&it.id).await;
                println!("deleting {}: {deleted:?}", it.id);
            }
        };
        tokio::task::block_in_place(|| Handle::current().block_on(delete));
    }
}

impl Killed {
    /// Whether its guest had come to an event of this name.
    fn had_said(&self, event: &str) -> bool {
        self.said.contains(&format!(r#""event":"{event}""#))
    }

    fn left(&self, kind: ResourceKind) -> Vec<&Resource> {
        self.left.iter().filter(|it| it.id.kind() == kind).collect()
    }

    fn phase(&self) -> Option<&str> {
        let leases = self.left(ResourceKind::Lease);
        assert_eq!(leases.len(), 1, "{leases:?}");
        leases[0].labels.get(keys::PHASE)
    }

    /// Whether the next run heard the guest from its first word on.
    fn is_heard_again(&self, next: &Ended) {
        let heard = words(&next.events);
        assert!(heard.len() > self.told.len(), "it heard no more than the first");
        assert_eq!(heard[..self.told.len()], self.told);
        let lost = |event: &Value| {
            event["event"] == "note" && event["message"].to_string().contains("were lost")
        };
        assert!(!next.events.iter().any(lost), "{next:?}");
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text")).to_owned()
}

/// What the guest has said, without the times at which it was heard.
fn words(events: &[Value]) -> Vec<Value> {
    let is = |event: &&Value| {
        ["step", "log", "written", "entering_stage2"].iter().any(|it| event["event"] == *it)
    };
    let mut words: Vec<_> = events.iter().filter(is).cloned().collect();
    for word in words.iter_mut().filter_map(Value::as_object_mut) {
        word.remove("at");
    }
    words
}

/// The ids in all events of this name about resources of this kind.
fn ids(events: &[Value], event: &str, kind: &str) -> Vec<String> {
    let is = |it: &&Value| it["event"] == event && it["resource"]["kind"] == kind;
    events.iter().filter(is).map(|it| text(&it["resource"]["id"])).collect()
}

fn begins(step: Step) -> impl Fn(&Value) -> bool {
    move |it| it["event"] == "step" && it["step"] == step.as_str() && it["state"] == "start"
}

fn image_begins(event: &Value) -> bool {
    event["event"] == "phase" && event["phase"] == "image"
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_killed_in_stage_1_the_next_run_goes_on_with_the_guest_and_boots_the_image() {
    let scene = Scene::new().await;
    let console = ["--check-console", scene.installer.nonce()];
    let killed = scene.kill_at(scene.start(&console), begins(Step::Run), async |_| {}).await;
    assert_eq!((&killed.state, killed.phase()), (&PowerState::Running, Some("boot")));
    assert!(killed.had_said("hello") && !killed.had_said("armed"), "not in stage 1");

    let next = scene.start(&console).end().await;
    killed.is_heard_again(&next);
    let check = format!("{}-check", killed.vm);
    assert_eq!(ids(&next.events, "created", "vm"), [check.as_str()]);
    assert!(ids(&next.events, "deleted", "vm").contains(&check));
    let image = scene.ended(killed, next).await;
    assert_eq!(image.labels.get(keys::BOOT_CHECK), Some("passed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_killed_in_stage_2_the_next_run_waits_for_its_end() {
    let scene = Scene::new().await;
    let killed = scene.kill_at(scene.start(&[]), begins(Step::Copy), async |_| {}).await;
    assert_eq!((&killed.state, killed.phase()), (&PowerState::Running, Some("boot")));
    assert!(killed.had_said("armed") && !killed.had_said("done"), "not in stage 2");

    let next = scene.start(&[]).end().await;
    killed.is_heard_again(&next);
    scene.ended(killed, next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_full_killed_between_off_and_export_the_next_run_makes_the_image() {
    let scene = Scene::new().await;
    let first = scene.start(&["--hold", "create_image"]);
    let killed = scene.kill_at(first, |event| event["event"] == "held", async |_| {}).await;
    assert_eq!((&killed.state, killed.phase()), (&PowerState::Off, Some("image")));
    assert!(killed.had_said("done"));
    assert!(killed.left(ResourceKind::Image).is_empty(), "{:?}", killed.left);

    let next = scene.start(&[]).end().await;
    assert!(words(&next.events).is_empty(), "there is nothing more to hear");
    scene.ended(killed, next).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_killed_during_export_the_next_run_waits_for_the_daemon_and_exports_anew() {
    let scene = Scene::new().await;
    let lab = &scene.lab;
    let mut export = 0;
    let killed = scene.kill_at(scene.start(&[]), image_begins, async |build| {
        // The copy by the daemon does not end before the next process looks.
        export = timeout(Duration::from_secs(60), lab.export_of(build)).await.expect("an export");
        signal("STOP", export);
    });
    let killed = killed.await;
    assert_eq!((&killed.state, killed.phase()), (&PowerState::Off, Some("image")));
    let images = lab.libvirt.images(&Selector::build(&killed.build)).await.unwrap();
    let half: Vec<_> = images.iter().map(|image| image.status).collect();
    assert_eq!(half, [ImageStatus::Creating]);

    let mut next = scene.start(&[]);
    next.until(image_begins).await;
    // No second export begins, and the first one's file stays as it is, as long as that is written.
    sleep(Duration::from_secs(5)).await;
    let exports = lab.exports_of(&killed.build);
    signal("CONT", export);
    assert_eq!(exports, [export]);
    let next = next.end().await;
    scene.ended(killed, next).await;
}
