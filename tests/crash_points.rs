//! A build whose process is killed at any call, before or after its effect, is completed by the next
//! run: one image exists, and nothing else. The points are enumerated, not sampled.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::build::{BootCheck, BuildEventKind, ImageBuilder, ReadinessProbe};
use cloudd_core::memory::Memory;
use cloudd_core::provider::ResourceId;
use cloudd_core::testing::{Fault, Faulty};
use cloudd_tests::containers::Context;
use cloudd_tests::hcloud_sim::{Contents, Durations, Faults, GuestTimes, HcloudSim, Inventory};
use cloudd_tests::killed::killed_after;
use cloudd_tests::process::{Process, command};
use tokio::net::TcpListener;

const SPEED: f64 = 200.0;

/// A build, and the cloud on which it is killed.
struct Place {
    sim: HcloudSim,
    context: Context,
    check_port: Option<u16>,
}

impl Place {
    /// A cloud without delays: the test enumerates calls, not times.
    fn new(check_port: Option<u16>) -> Self {
        let seconds = Duration::from_secs;
        let times = GuestTimes { stage1: seconds(10), stage2: seconds(5), ..GuestTimes::default() };
        let sim = HcloudSim::builder()
            .speed(SPEED)
            .durations(Durations { create_image: seconds(10), ..Durations::default() })
            .guest_times(times)
            .start()
            .unwrap();
        Self { sim, context: Context::plausible(), check_port }
    }

    fn start(&self) -> Process {
        let program = env!("CARGO_BIN_EXE_one-build");
        let mut command = command(program, &self.sim, SPEED, &self.context);
        if let Some(port) = self.check_port {
            command.args(["--check-port", &port.to_string()]);
        }
        Process::start(&mut command)
    }

    /// Asserts that only this image exists and that no other was created.
    fn only(&self, image: &str, point: &str) {
        let Inventory { servers, volumes, images, ssh_keys } = self.sim.inventory();
        assert_eq!((servers, volumes, ssh_keys), (vec![], vec![], vec![]), "{point}");
        let ids: Vec<_> = images.iter().map(|image| image.id.to_string()).collect();
        assert_eq!(ids, [image], "{point}");
        assert_eq!(images[0].status, "available", "{point}");
        assert_eq!(self.sim.contents(images[0].id), Contents::Installed, "{point}");
        assert_eq!(self.sim.images_ever_made(), 1, "{point}");
    }

    /// The number of requests of a build without faults.
    async fn calls(&self) -> u64 {
        let ended = self.start().end().await;
        self.only(ended.image(), "undisturbed");
        self.sim.stats().requests
    }
}

/// The observations at one point.
struct Shown {
    adopted: bool,
    servers: u64,
}

/// Kills a build at a call, and runs it twice more. `None` if it ended without that call: the number
/// of polls varies.
async fn killed_at(call: u64, when: &str, check_port: Option<u16>) -> Option<Shown> {
    let (place, point) = (Place::new(check_port), format!("{call}:hold@{when}"));
    place.sim.set_faults(Faults::parse(&point).unwrap());
    let mut first = place.start();
    tokio::select! {
        () = place.sim.held() => first.kill().await,
        () = first.ended() => {
            place.only(first.end().await.image(), &point);
            return None;
        }
    }
    place.sim.set_faults(Faults::default());

    let second = place.start().end().await;
    place.only(second.image(), &point);
    let writes = writes(&place.sim);
    let third = place.start().end().await;
    assert_eq!(third.image(), second.image(), "{point}");
    assert!(third.told("reused"), "{point}: {:?}", third.events);
    assert_eq!(self::writes(&place.sim), writes, "{point}: the third run wrote");
    Some(Shown { adopted: second.told("resumed"), servers: place.sim.servers_ever_created() })
}

fn writes(sim: &HcloudSim) -> u64 {
    let stats = sim.stats();
    ["POST", "PUT", "DELETE"].iter().map(|method| stats.requests_to(method)).sum()
}

/// Runs all points and prints their number.
async fn walk(check_port: Option<u16>) {
    let calls = Place::new(check_port).calls().await;
    let points: Vec<_> = (1..=calls).flat_map(|call| [(call, "before"), (call, "after")]).collect();
    let mut all = Vec::new();
    for some in points.chunks(12) {
        let running: Vec<_> = some
            .iter()
            .map(|&(call, when)| tokio::spawn(killed_at(call, when, check_port)))
            .collect();
        for (point, running) in some.iter().zip(running) {
            all.extend(running.await.unwrap_or_else(|panic| panic!("{point:?}: {panic}")));
        }
    }
    let adopted = all.iter().filter(|shown| shown.adopted).count();
    let servers: Vec<_> = all.iter().map(|shown| shown.servers).collect();
    println!(
        "{} points in {calls} calls, each before and after its effect: {adopted} builds were gone \
         on with, {} servers in all",
        all.len(),
        servers.iter().sum::<u64>()
    );
    assert!(all.len() + 6 >= points.len(), "only {} of {} points", all.len(), points.len());
    // One builder; for a boot check one more VM, or two if the first was killed during the check.
    let each = if check_port.is_some() { 2..=3 } else { 1..=1 };
    assert!(servers.iter().all(|servers| each.contains(servers)), "{servers:?}");
    assert!(adopted * 2 > all.len(), "only {adopted} builds were gone on with");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_call_leaves_one_image_to_the_next_run() {
    walk(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_call_of_a_build_with_boot_check_does_so_too() {
    // Servers have addresses on loopback; the listener accepts on all of them.
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await.unwrap();
    walk(Some(listener.local_addr().unwrap().port())).await;
}

/// A cloud with delays, so that builds are killed while resources are in creation or running.
fn slow() -> Memory {
    Memory::new().pace(Duration::from_secs(1)).image_time(Duration::from_secs(10))
}

/// Kills a build at each call, and runs it twice more.
async fn kill_at_each_call(builder: &ImageBuilder, most_vms: usize) {
    let counted = Faulty::never(slow());
    builder.build(&counted).await.unwrap();
    let calls = counted.calls();
    let (mut points, mut adopted) = (0, 0);
    for at in 0..calls {
        for fault in [Fault::NeverArrives, Fault::NeverAnswered] {
            let memory = slow();
            let faulty = Faulty::new(memory.clone(), at, fault);
            // Longer than a whole build, shorter than any deadline.
            let ended = killed_after(Duration::from_secs(120), builder, &faulty).await;
            if let Some(ended) = ended {
                // Polled together with another future that completed first.
                let only = [ResourceId::Image(ended.unwrap().image.id)];
                assert_eq!(memory.resources(), only, "call {at}, {fault:?}");
                continue;
            }

            let point = format!("call {at}, {fault:?}");
            let mut build = builder.start(Arc::new(memory.clone()));
            let mut received = build.events();
            let image = build.await.unwrap_or_else(|error| panic!("{point}: {error}")).image;
            let mut events = Vec::new();
            while let Some(event) = received.next().await {
                events.push(event.kind);
            }
            adopted +=
                usize::from(events.iter().any(|it| matches!(it, BuildEventKind::Resumed { .. })));
            let only = [ResourceId::Image(image.id.clone())];
            assert_eq!(memory.resources(), only, "{point}: {events:?}");
            assert_eq!(memory.images_ever_made(), 1, "{point}");
            assert!(memory.vms_ever_created() <= most_vms, "{point}");
            assert_eq!(builder.build(&memory).await.unwrap().image.id, image.id, "{point}");
            points += 1;
        }
    }
    println!("{points} points in {calls} calls: {adopted} builds were gone on with");
    // The order of two concurrent requests is not defined.
    assert!(points + 6 >= 2 * calls, "only {points}");
    assert!(adopted * 2 > points, "only {adopted}");
}

#[tokio::test(start_paused = true)]
async fn a_build_that_is_killed_at_any_call_leaves_one_image_to_the_next_run() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("leap", context.container());
    kill_at_each_call(&builder, 1).await;
    let check = BootCheck::new(ReadinessProbe::Console("login:".to_owned()));
    kill_at_each_call(&builder.boot_check(check), 3).await;
}
