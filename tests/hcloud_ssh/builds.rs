use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cloudd_core::build::{
    BuildError, BuildErrorKind, BuildEvent, BuildEventKind, Deadlines, ImageBuilder,
};
use cloudd_core::guest::{FailureReason, Step};
use cloudd_core::provider::{ErrorKind, Image};
use cloudd_core::ssh::SshKeys;
use cloudd_hcloud::Hcloud;
use cloudd_hcloud::client::Token;
use cloudd_tests::containers::{Context, noise};
use cloudd_tests::hcloud_sim::{Contents, HcloudSim, Inventory};

use crate::agent::{Agent, End, pause};
use crate::machines::Machines;
use crate::support::free_port;

const SPEED: f64 = 100.0;

/// A cloud whose servers run a script, and a provider for it.
struct Cloud {
    sim: HcloudSim,
    hcloud: Hcloud,
}

impl Cloud {
    fn with(script: impl Fn(&mut Agent) -> End + Send + Sync + 'static) -> Self {
        let port = free_port();
        Self::of(Machines::new(port, script), port)
    }

    fn of(machines: Machines, port: u16) -> Self {
        let builder = HcloudSim::builder().speed(SPEED).guests(Box::new(machines));
        let sim = builder.start().unwrap();
        let hcloud = Hcloud::builder(Token::new(HcloudSim::TOKEN).unwrap())
            .endpoint(sim.endpoint())
            .clock_speed(SPEED)
            .expected_run_time(Duration::from_secs(3))
            .ssh_port(port)
            .build()
            .unwrap();
        Self { sim, hcloud }
    }

    async fn build(&self, context: &Context, deadlines: Deadlines) -> Ended {
        let builder = ImageBuilder::new("leap", context.container()).deadlines(deadlines);
        let mut build = builder.start(Arc::new(self.hcloud.clone()));
        let mut stream = build.events();
        let result = build.await.map(|built| built.image);
        let mut events = Vec::new();
        while let Some(event) = stream.next().await {
            events.push(event);
        }
        if result.is_err() {
            assert_eq!(self.sim.inventory(), Inventory::default());
        }
        Ended { result, events }
    }

    fn holds_only(&self, image: &Image) {
        let Inventory { servers, volumes, images, ssh_keys } = self.sim.inventory();
        assert_eq!((servers, volumes, ssh_keys), (vec![], vec![], vec![]));
        assert_eq!(images.len(), 1);
        assert_eq!(images[0].id.to_string(), image.id.as_str());
        assert_eq!(self.sim.contents(images[0].id), Contents::Installed);
    }
}

struct Ended {
    result: Result<Image, BuildError>,
    events: Vec<BuildEvent>,
}

impl Ended {
    /// The lines of the guest's log, with when they arrived.
    fn log(&self) -> Vec<(&str, Duration)> {
        self.events
            .iter()
            .filter_map(|event| match &event.kind {
                BuildEventKind::Log { line, .. } => Some((line.as_str(), event.at)),
                _ => None,
            })
            .collect()
    }

    fn notes(&self) -> Vec<&str> {
        self.events
            .iter()
            .filter_map(|event| match &event.kind {
                BuildEventKind::Note { message } => Some(message.as_str()),
                _ => None,
            })
            .collect()
    }
}

/// A builder logs in as root, which only root's sshd lets it. Says whether the test was run by
/// root in another process.
pub(crate) fn ran_as_root(test: &str) -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    if id.stdout == b"0\n" {
        return false;
    }
    let again = Command::new("sudo")
        .arg("-n")
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .output()
        .expect("sudo, where root does not run the tests");
    assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stdout));
    true
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_build_is_heard_as_it_happens_over_ssh() {
    if ran_as_root("a_whole_build_is_heard_as_it_happens_over_ssh") {
        return;
    }
    let cloud = Cloud::with(|agent| {
        agent.stage1(|agent| {
            agent.log("one");
            pause(4000); // on a busy machine the connection takes some of it
            agent.log("two");
        })
    });
    let ended = cloud.build(&Context::plausible(), Deadlines::default()).await;
    cloud.holds_only(ended.result.as_ref().unwrap());
    let log = ended.log();
    let [("one", one), ("two", two)] = log[..] else { panic!("{log:?}") };
    assert!(two - one >= Duration::from_secs(1), "as they are written: {log:?}");
    assert_eq!(ended.notes(), [""; 0]);
    assert!(
        ended
            .events
            .iter()
            .any(|event| matches!(event.kind, BuildEventKind::EnteringStage2 { .. }))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_container_ends_the_build_within_seconds_with_exit_code_and_last_lines() {
    if ran_as_root(
        "a_failing_container_ends_the_build_within_seconds_with_exit_code_and_last_lines",
    ) {
        return;
    }
    let failed: Arc<Mutex<Option<Instant>>> = Arc::default();
    let when = Arc::clone(&failed);
    let cloud = Cloud::with(move |agent| {
        agent.hello();
        agent.step(Step::Run, |agent| {
            agent.log("installing");
            agent.log("no such package: grub3");
        });
        *when.lock().unwrap() = Some(Instant::now());
        agent.fail(3)
    });
    let ended = cloud.build(&Context::plausible(), Deadlines::default()).await;
    let known = failed.lock().unwrap().unwrap().elapsed();
    assert!(known < Duration::from_secs(5), "deleting included, it took {known:?}");
    let error = ended.result.unwrap_err();
    let BuildErrorKind::Guest { reason: FailureReason::ContainerFailed, exit: Some(3), .. } =
        error.kind()
    else {
        panic!("{error}")
    };
    assert_eq!(error.log_tail(), ["installing", "no such package: grub3"]);
    println!("from the failing fact to the error, everything deleted: {known:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_of_any_size_is_uploaded_and_how_far_it_is_is_told() {
    if ran_as_root("a_context_of_any_size_is_uploaded_and_how_far_it_is_is_told") {
        return;
    }
    let context = Context::plausible().file("noise", noise(3 << 20));
    let loaded = context.container().load().unwrap();
    let archive = loaded.context().unwrap().archive().clone();
    let expected = archive.sha256().to_string();
    let cloud = Cloud::with(move |agent| {
        agent.hello();
        assert_eq!(agent.uploaded(), expected);
        agent.arm()
    });
    let ended = cloud.build(&context, Deadlines::default()).await;
    cloud.holds_only(ended.result.as_ref().unwrap());
    let told = |event: &BuildEvent| match &event.kind {
        BuildEventKind::Progress { what, done, .. } if what == "upload build context" => {
            Some(*done)
        }
        _ => None,
    };
    let last = ended.events.iter().filter_map(told).next_back().unwrap();
    assert_eq!(last.as_bytes(), archive.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_drop_lose_and_repeat_no_line() {
    if ran_as_root("connections_that_drop_lose_and_repeat_no_line") {
        return;
    }
    let cloud = Cloud::with(|agent| {
        agent.stage1(|agent| {
            for n in 0..200 {
                agent.log(&format!("line {n}"));
                if n % 50 == 49 {
                    pause(300);
                    agent.drop_connections();
                }
            }
        })
    });
    let ended = cloud.build(&Context::plausible(), Deadlines::default()).await;
    cloud.holds_only(ended.result.as_ref().unwrap());
    let lines: Vec<_> = ended.log().into_iter().map(|(line, _)| line.to_owned()).collect();
    let expected: Vec<_> = (0..200).map(|n| format!("line {n}")).collect();
    assert_eq!(lines, expected);
    assert_eq!(ended.notes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_key_ends_the_build_at_once() {
    if ran_as_root("another_host_key_ends_the_build_at_once") {
        return;
    }
    let (port, begun) = (free_port(), Instant::now());
    let stranger = SshKeys::generate().unwrap();
    let machines = Machines::new(port, |agent| agent.stage1(|_| {}));
    let cloud = Cloud::of(machines.host_key(stranger.expose_host_private()), port);
    let ended = cloud.build(&Context::plausible(), Deadlines::default()).await;
    let error = ended.result.unwrap_err();
    let BuildErrorKind::Provider(cause) = error.kind() else { panic!("{error}") };
    assert_eq!(cause.kind(), ErrorKind::Untrusted);
    assert!(error.to_string().contains(&stranger.host_fingerprint()), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_power_is_cut_makes_no_image() {
    if ran_as_root("a_server_whose_power_is_cut_makes_no_image") {
        return;
    }
    let cloud = Cloud::with(|agent| {
        agent.hello();
        agent.step(Step::Run, |_| pause(1000));
        End::PowerCut
    });
    let error = cloud.build(&Context::plausible(), Deadlines::default()).await.result.unwrap_err();
    let BuildErrorKind::PoweredOffEarly { during: Some(Step::Run) } = error.kind() else {
        panic!("{error}")
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_without_a_way_in_is_an_error_soon() {
    let cloud = Cloud::with(|_| End::StaysOn);
    // No process listens there.
    let hcloud = Hcloud::builder(Token::new(HcloudSim::TOKEN).unwrap())
        .endpoint(cloud.sim.endpoint())
        .clock_speed(SPEED)
        .ssh_port(1)
        .build()
        .unwrap();
    let cloud = Cloud { hcloud, ..cloud };
    let context = Context::plausible().file("noise", noise(60_000));
    let mut deadlines = Deadlines::default();
    deadlines.route = Duration::from_secs(2);
    let begun = Instant::now();
    let error = cloud.build(&context, deadlines).await.result.unwrap_err();
    let BuildErrorKind::Unreachable { reason, .. } = error.kind() else { panic!("{error}") };
    assert!(reason.contains("127.64.0.1:1: Connection refused"), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}
