//! A guest cannot keep a build from ending: neither its deadlines nor the end of its VM depend on what
//! it sends. The tests with a flood run in real time, since a flood leaves no pause in which paused time
//! would advance.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cloudd_core::build::{BuildError, BuildErrorKind, BuildEventKind, Deadlines, ImageBuilder};
use cloudd_core::guest::Step;
use cloudd_core::memory::{GuestScript, Memory};
use cloudd_core::provider::{ErrorKind, PowerState, ResourceId, VmId};
use cloudd_core::testing::Faulty;
use cloudd_tests::containers::Context;
use serde_json::{Value, json};

const SECOND: Duration = Duration::from_secs(1);

/// A guest under the control of a test.
struct Guest {
    memory: Memory,
    vm: VmId,
    build: String,
    seq: u64,
}

impl Guest {
    /// Sends an event of stage 1. Returns whether the VM still exists.
    fn send(&mut self, mut event: Value) -> bool {
        self.seq += 1;
        event["cloudd"] = 1.into();
        event["build"] = self.build.clone().into();
        event["from"] = "stage1".into();
        event["seq"] = self.seq.into();
        self.memory.send(&self.vm, format!("{event}\n").as_bytes());
        self.memory.resources().contains(&ResourceId::from(self.vm.clone()))
    }
}

/// Builds with a guest that `act` controls from the start of its VM.
async fn build<F: Future<Output = ()> + Send + 'static>(
    deadlines: Deadlines,
    act: impl FnOnce(Guest) -> F,
) -> Result<(), BuildError> {
    build_on(Memory::new(), deadlines, act).await
}

async fn build_on<F: Future<Output = ()> + Send + 'static>(
    memory: Memory,
    deadlines: Deadlines,
    act: impl FnOnce(Guest) -> F,
) -> Result<(), BuildError> {
    let (context, memory) = (Context::plausible(), memory.guests(GuestScript::Silent));
    let builder = ImageBuilder::new("x", context.container()).deadlines(deadlines);
    let mut build = builder.start(Arc::new(memory.clone()));
    let mut events = build.events();
    let mut act = Some(act);
    let listen = async {
        while let Some(event) = events.next().await {
            if let BuildEventKind::Created { resource: ResourceId::Vm(vm) } = event.kind
                && let Some(act) = act.take()
            {
                let build = event.build.to_string();
                tokio::spawn(act(Guest { memory: memory.clone(), vm, build, seq: 0 }));
            }
        }
    };
    let (result, ()) = tokio::join!(build.into_future(), listen);
    if result.is_err() {
        assert_eq!(memory.resources(), []);
    }
    result.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_repeats_its_events_does_not_move_the_deadline() {
    for event in [
        json!({"event": "hello"}),
        json!({"event": "armed", "entry": "exitrd"}),
        json!({"event": "done"}),
    ] {
        let begun = tokio::time::Instant::now();
        let result = build(Deadlines::default(), |mut guest| async move {
            while guest.send(event.clone()) {
                tokio::time::sleep(SECOND * 60).await;
            }
        });
        let error = tokio::time::timeout(SECOND * 24 * 3600, result).await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), BuildErrorKind::Deadline { .. }), "{error}");
        assert!(begun.elapsed() < SECOND * 3600 * 3, "{:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_stops_is_told_from_one_that_works_within_a_minute() {
    let begun = tokio::time::Instant::now();
    let memory = Memory::new().builder_prints("booting\r\n\n[ 9.1] BUG: soft lockup\x1b[0m\n");
    let result = build_on(memory, Deadlines::default(), |mut guest| async move {
        guest.send(json!({"event": "hello"}));
        guest.send(json!({"event": "step", "step": "build", "state": "start"}));
        // A long step without output.
        for _ in 0..100 {
            guest.send(json!({"event": "alive"}));
            tokio::time::sleep(SECOND * 10).await;
        }
    });
    let error = result.await.unwrap_err();
    let BuildErrorKind::Silent { after, during: Some(Step::Build) } = error.kind() else {
        panic!("{error}")
    };
    assert_eq!(*after, SECOND * 60);
    let took = begun.elapsed();
    assert!(took >= SECOND * 1050 && took < SECOND * 1070, "{took:?}");
    let tail = error.log_tail();
    assert_eq!(tail, ["console: booting", "console: [ 9.1] BUG: soft lockup\u{fffd}[0m"]);
}

#[tokio::test(start_paused = true)]
async fn stage_2_and_a_guest_without_heartbeat_may_be_silent() {
    for events in [
        vec![json!({"event": "hello"})],
        vec![
            json!({"event": "hello"}),
            json!({"event": "alive"}),
            json!({"event": "armed", "entry": "exitrd"}),
        ],
    ] {
        let begun = tokio::time::Instant::now();
        let result = build(Deadlines::default(), |mut guest| async move {
            for event in events {
                guest.send(event);
            }
        });
        let error = result.await.unwrap_err();
        assert!(matches!(error.kind(), BuildErrorKind::Deadline { .. }), "{error}");
        assert!(begun.elapsed() >= SECOND * 3600);
    }
}

#[tokio::test(start_paused = true)]
async fn a_kernel_panic_on_the_console_ends_the_wait_for_the_agent() {
    const PANIC: &str =
        "[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)";
    let begun = tokio::time::Instant::now();
    let memory = Memory::new().builder_prints(format!("booting\n{PANIC}\n[    2.2] Call Trace:\n"));
    let error = build_on(memory, Deadlines::default(), |_| async {}).await.unwrap_err();
    let BuildErrorKind::KernelPanic { message } = error.kind() else { panic!("{error}") };
    assert_eq!(message, PANIC);
    assert!(begun.elapsed() <= SECOND * 31, "{:?}", begun.elapsed());
    assert_eq!(error.log_tail().last().unwrap(), "console: [    2.2] Call Trace:");
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_guest_that_never_starts_its_agent_ends_with_its_console() {
    let lines = (0..20).map(|n| format!("line {n}")).collect::<Vec<_>>().join("\n");
    let error =
        build_on(Memory::new().builder_prints(lines), Deadlines::default(), |_| async {}).await;
    let error = error.unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::Deadline { .. }), "{error}");
    assert_eq!(error.log_tail().len(), 15);
    assert_eq!(error.log_tail()[14], "console: line 19");
}

/// Sends log lines without a pause, and does something after the first thousand.
async fn flood(mut guest: Guest, then: impl FnOnce(&Memory, &VmId)) {
    guest.send(json!({"event": "hello"}));
    let log = || json!({"event": "log", "step": "run", "line": "x".repeat(500)});
    for _ in 0..1000 {
        guest.send(log());
        tokio::task::yield_now().await;
    }
    then(&guest.memory, &guest.vm);
    while guest.send(log()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_output_hides_no_power_off() {
    let begun = Instant::now();
    let result = build(Deadlines::default(), |guest| {
        flood(guest, |memory, vm| memory.tamper(vm, |vm| vm.state = PowerState::Off))
    });
    let error = tokio::time::timeout(SECOND * 60, result).await.expect("it ends").unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::PoweredOffEarly { .. }), "{error}");
    println!("ended after {:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_output_hides_no_deadline() {
    let mut deadlines = Deadlines::default();
    deadlines.stage1 = SECOND;
    let result = build(deadlines, |guest| flood(guest, |_, _| {}));
    let error = tokio::time::timeout(SECOND * 60, result).await.expect("it ends").unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::Deadline { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_longest_possible_deadlines_are_no_error() {
    let mut deadlines = Deadlines::default();
    for deadline in [
        &mut deadlines.call,
        &mut deadlines.prepare,
        &mut deadlines.boot,
        &mut deadlines.route,
        &mut deadlines.upload,
        &mut deadlines.stage1,
        &mut deadlines.stage2,
        &mut deadlines.power_off,
        &mut deadlines.silence,
        &mut deadlines.image,
        &mut deadlines.boot_check,
        &mut deadlines.teardown,
        &mut deadlines.lease,
    ] {
        *deadline = Duration::MAX;
    }
    let (context, memory) = (Context::plausible(), Memory::new());
    let builder = ImageBuilder::new("x", context.container()).deadlines(deadlines);
    builder.build(&memory).await.unwrap();
    assert_eq!(memory.resources().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_build_leaves_nothing() {
    let context = Context::plausible();
    for call in ["ensure_base_image", "create_vm", "start_vm", "open_channel", "create_image"] {
        let memory = Memory::new();
        let faulty = Faulty::never(memory.clone())
            .observed(move |_, made| assert_ne!(made, call, "a fault of the provider"));
        let builder = ImageBuilder::new("x", context.container());
        let error = builder.build(&Arc::new(faulty)).await.unwrap_err();
        let BuildErrorKind::Provider(cause) = error.kind() else { panic!("{error}") };
        assert_eq!(cause.kind(), ErrorKind::Internal);
        assert!(cause.to_string().contains("a fault of the provider"), "{cause}");
        assert_eq!(memory.resources(), [], "after a panic in {call}");
    }
}
