//! The process of a build dies while it speaks with its guest: the next one makes the same keys,
//! reaches the same guest, and goes on.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudd_tests::containers::{Context, noise};
use cloudd_tests::hcloud_sim::{Contents, HcloudSim, Inventory};
use cloudd_tests::process::{Process, command};

use crate::agent::{Agent, End};
use crate::builds::ran_as_root;
use crate::machines::Machines;
use crate::support::free_port;

const SPEED: f64 = 100.0;

/// Where the guest is when the first process dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Point {
    WaitsForItsContext,
    HasItsContext,
    RunsTheContainer,
    LeavesForStage2,
}

impl Point {
    const ALL: [Self; 4] = [
        Self::WaitsForItsContext,
        Self::HasItsContext,
        Self::RunsTheContainer,
        Self::LeavesForStage2,
    ];
}

/// Lets a guest stop at a point until the test says that it may go on.
struct Gate {
    at: Point,
    reached: mpsc::Sender<()>,
    go_on: mpsc::Receiver<()>,
}

impl Gate {
    fn pass(&self, point: Point) {
        if point == self.at {
            self.reached.send(()).unwrap();
            self.go_on.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    }

    fn play(&self, agent: &mut Agent) -> End {
        self.pass(Point::WaitsForItsContext);
        agent.uploaded();
        self.pass(Point::HasItsContext);
        let end = agent.stage1(|agent| {
            agent.log("one");
            self.pass(Point::RunsTheContainer);
            agent.log("two");
        });
        self.pass(Point::LeavesForStage2);
        end
    }
}

async fn killed_at(point: Point) {
    let ((reached, is_there), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let gate = Arc::new(Mutex::new(Gate { at: point, reached, go_on }));
    let port = free_port();
    let machines = Machines::new(port, move |agent| gate.lock().unwrap().play(agent));
    let sim = HcloudSim::builder().speed(SPEED).guests(Box::new(machines)).start().unwrap();
    let context = Context::plausible().file("payload", noise(200_000));
    let start = || {
        let program = env!("CARGO_BIN_EXE_one-build");
        let mut command = command(program, &sim, SPEED, &context);
        Process::start(command.args(["--ssh-port", &port.to_string()]))
    };

    let first = start();
    let there = tokio::task::spawn_blocking(move || {
        is_there.recv_timeout(Duration::from_secs(60)).unwrap();
    });
    there.await.unwrap();
    first.kill().await;
    let mut second = start();
    second.until(|event| event["event"] == "resumed").await;
    // What was said to the dead one is heard again, while the guest is where it was.
    let last = match point {
        Point::WaitsForItsContext | Point::HasItsContext => None,
        Point::RunsTheContainer => Some("one"),
        Point::LeavesForStage2 => Some("two"),
    };
    if let Some(last) = last {
        second.until(|event| event["line"] == last).await;
    }
    go.send(()).unwrap();
    let second = second.end().await;

    let image = second.image().to_owned();
    let lines: Vec<_> = second.events.iter().filter_map(|event| event["line"].as_str()).collect();
    assert_eq!(lines, ["one", "two"], "{point:?}");
    assert!(second.told("entering_stage2"), "{point:?}: {:?}", second.events);
    let Inventory { servers, volumes, images, ssh_keys } = sim.inventory();
    assert_eq!((servers, volumes, ssh_keys), (vec![], vec![], vec![]), "{point:?}");
    assert_eq!(images.len(), 1, "{point:?}");
    assert_eq!(images[0].id.to_string(), image, "{point:?}");
    assert_eq!(sim.contents(images[0].id), Contents::Installed, "{point:?}");
    assert_eq!((sim.servers_ever_created(), sim.images_ever_made()), (1, 1), "{point:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_process_has_the_keys_of_one_that_was_killed_and_hears_its_guest() {
    if ran_as_root("the_next_process_has_the_keys_of_one_that_was_killed_and_hears_its_guest") {
        return;
    }
    for point in Point::ALL {
        killed_at(point).await;
        println!("killed when its guest {point:?}");
    }
}
