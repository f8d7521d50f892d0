//! A process that was suspended for longer than its lease has lost the build to another process. When
//! it continues, it detects that, deletes nothing of the other process, and returns the same image.

use std::time::Duration;

use cloudd_tests::console::Console;
use cloudd_tests::containers::Context;
use cloudd_tests::hcloud_sim::{Contents, Durations, HcloudSim, Inventory};
use cloudd_tests::process::{Ended, Process, command};
use reqwest::Method;
use serde_json::Value;

const SPEED: f64 = 20.0;

/// The point up to which the first process runs: the name and the subject of its last event.
type Point = (&'static str, &'static str);

const POINTS: [Point; 8] = [
    ("phase", "provision"),
    ("created", "volume"),
    ("created", "vm"),
    ("phase", "boot"),
    ("phase", "image"),
    ("created", "image"),
    ("phase", "teardown"),
    ("deleted", "vm"),
];

fn is_at(event: &Value, (name, what): Point) -> bool {
    event["event"] == name && (event["phase"] == what || event["resource"]["kind"] == what)
}

struct Place {
    sim: HcloudSim,
    context: Context,
}

impl Place {
    fn new() -> Self {
        let durations =
            Durations { create_image: Duration::from_secs(150), ..Durations::default() };
        let sim = HcloudSim::builder().speed(SPEED).durations(durations).start().unwrap();
        Self { sim, context: Context::plausible() }
    }

    fn start(&self) -> Process {
        let program = env!("CARGO_BIN_EXE_one-build");
        let mut command = command(program, &self.sim, SPEED, &self.context);
        Process::start(command.args(["--lease", "2"]))
    }

    async fn started_up_to(&self, point: Point) -> Process {
        let mut process = self.start();
        process.until(|event| is_at(event, point)).await;
        process
    }

    /// Asserts that both processes return this image and that nothing else exists.
    fn only(&self, first: &Ended, second: &Ended, point: &str) {
        assert_eq!(first.image(), second.image(), "{point}");
        let Inventory { servers, volumes, images, ssh_keys } = self.sim.inventory();
        assert_eq!((servers, volumes, ssh_keys), (vec![], vec![], vec![]), "{point}");
        let ids: Vec<_> = images.iter().map(|image| image.id.to_string()).collect();
        assert_eq!(ids, [first.image()], "{point}");
        assert_eq!(self.sim.contents(images[0].id), Contents::Installed, "{point}");
    }
}

/// Suspends a process, has another one resume its build, and continues the first: before the other
/// has ended, or after that.
async fn stopped_at(point: Point, soon: bool) {
    let place = Place::new();
    let first = place.started_up_to(point).await;
    first.signal("STOP");
    let mut second = place.start();
    let second = if soon {
        second.until(|it| it["event"] == "resumed" || it["event"] == "reused").await;
        first.signal("CONT");
        second.end().await
    } else {
        let second = second.end().await;
        first.signal("CONT");
        second
    };
    let first = first.end().await;
    let point = format!("{point:?}, woken {}", if soon { "soon" } else { "late" });
    place.only(&first, &second, &point);
    assert_eq!(place.sim.images_ever_made(), 1, "{point}");
    // A request that was sent before the suspension takes effect; the other process may delete it.
    assert!(place.sim.servers_ever_created() <= 2, "{point}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_suspended_for_longer_than_its_lease_returns_the_image_of_the_other() {
    let points = POINTS.iter().flat_map(|point| [(*point, false), (*point, true)]);
    let running: Vec<_> =
        points.map(|(point, soon)| (point, soon, tokio::spawn(stopped_at(point, soon)))).collect();
    println!("stopped at {} points", running.len());
    for (point, soon, running) in running {
        running.await.unwrap_or_else(|panic| panic!("{point:?}, {soon}: {panic}"));
    }
}

/// Deletes the lease of a process from outside, and starts another process.
async fn lease_deleted_at(point: Point, another: bool) {
    let place = Place::new();
    let first = place.started_up_to(point).await;
    let console = Console::new(&place.sim);
    for key in console.ids("/ssh_keys").await {
        console.send(Method::DELETE, &format!("/ssh_keys/{key}"), None).await;
    }
    if another {
        let second = place.start();
        let (first, second) = tokio::join!(first.end(), second.end());
        place.only(&first, &second, &format!("{point:?}"));
    } else {
        let first = first.end().await;
        place.only(&first, &first, &format!("{point:?}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_lease_is_deleted_from_outside_leaves_only_one_image() {
    let points = POINTS.iter().flat_map(|point| [(*point, false), (*point, true)]);
    let running: Vec<_> = points
        .map(|(point, another)| (point, another, tokio::spawn(lease_deleted_at(point, another))))
        .collect();
    println!("robbed at {} points", running.len());
    for (point, another, running) in running {
        running.await.unwrap_or_else(|panic| panic!("{point:?}, {another}: {panic}"));
    }
}
