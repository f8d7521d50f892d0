//! Builds whose guest is unreachable, temporarily or permanently, on the provider in memory. Its
//! channel then ends with stage 1, as a channel over SSH does.

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::BuiltImage;
use cloudd_core::build::{
    BuildError, BuildErrorKind, BuildEventKind, Deadlines, ImageBuilder, InvalidInput,
};
use cloudd_core::guest::{Reachability, Step};
use cloudd_core::memory::{GuestScript, Memory};
use cloudd_core::provider::ContextDelivery;
use cloudd_tests::containers::{Context, noise};
use cloudd_tests::killed::killed_after;
use tokio::time::{Instant, sleep};

const MINUTE: Duration = Duration::from_secs(60);
const REFUSED: &str = "192.0.2.1:22: connection refused";

/// A cloud whose guests send one event a minute: 14 in stage 1, power-off after 25.
fn cloud(script: GuestScript, reachability: &Reachability) -> Memory {
    Memory::new().guests(script).pace(MINUTE).behind(reachability).with_capabilities(
        |capabilities| {
            capabilities.event_port = None;
            capabilities.context = vec![ContextDelivery::Upload];
        },
    )
}

/// The result of a build, and its notes.
struct Ended {
    result: Result<BuiltImage, BuildError>,
    notes: Vec<String>,
    after: Duration,
}

impl Ended {
    fn says(&self, what: &str) -> bool {
        self.notes.iter().any(|note| note.contains(what))
    }
}

/// Builds while `happens` changes the reachability of the guest.
async fn build(memory: &Memory, context: &Context, happens: impl Future<Output = ()>) -> Ended {
    let builder = ImageBuilder::new("x", context.container()).trust_power_off();
    build_with(&builder, memory, happens).await
}

async fn build_with(
    builder: &ImageBuilder,
    memory: &Memory,
    happens: impl Future<Output = ()>,
) -> Ended {
    let begun = Instant::now();
    let mut build = builder.start(Arc::new(memory.clone()));
    let mut events = build.events();
    let timed = async { (build.await, begun.elapsed()) };
    let ((result, after), ()) = tokio::join!(timed, happens);
    let mut notes = Vec::new();
    while let Some(event) = events.next().await {
        if let BuildEventKind::Note { message } = event.kind {
            notes.push(message);
        }
    }
    if result.is_err() {
        assert_eq!(memory.resources(), []);
    }
    Ended { result, notes, after }
}

async fn nothing() {}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_never_reached_is_followed_by_its_power_state_with_a_note() {
    let reachability = Reachability::new();
    reachability.set_unreachable(REFUSED);
    let memory = cloud(GuestScript::Succeeds, &reachability);
    let ended = build(&memory, &Context::plausible(), nothing()).await;
    ended.result.as_ref().unwrap();
    assert!(ended.says("has been unreachable for 5 min (192.0.2.1:22: connection refused)"));
    assert!(ended.after < MINUTE * 26, "{:?}", ended.after);
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_off_before_the_route_deadline_has_succeeded_too() {
    let reachability = Reachability::new();
    reachability.set_unreachable(REFUSED);
    let memory = cloud(GuestScript::Succeeds, &reachability).pace(Duration::from_secs(1));
    let ended = build(&memory, &Context::plausible(), nothing()).await;
    ended.result.as_ref().unwrap();
    assert!(ended.says("its guest was never reached (192.0.2.1:22: connection refused)"));
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_never_reached_and_hangs_ends_at_the_longest_deadline() {
    let reachability = Reachability::new();
    reachability.set_unreachable(REFUSED);
    let memory = cloud(GuestScript::HangsIn(Step::Run), &reachability);
    let ended = build(&memory, &Context::plausible(), nothing()).await;
    let error = ended.result.unwrap_err();
    let BuildErrorKind::Deadline { waiting_for, after } = error.kind() else { panic!("{error}") };
    assert_eq!((*waiting_for, *after), ("power-off of the VM", MINUTE * 135));
    assert!(error.log_tail().iter().any(|line| line.contains(REFUSED)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_guest_unreachable_for_long_and_then_off_has_succeeded() {
    let reachability = Reachability::new();
    reachability.set_reachable();
    let memory = cloud(GuestScript::Succeeds, &reachability);
    let lose = async {
        sleep(MINUTE * 8).await;
        reachability.set_unreachable("the connection was lost");
    };
    let ended = build(&memory, &Context::plausible(), lose).await;
    ended.result.as_ref().unwrap();
    assert!(ended.says("has been unreachable for 5 min (the connection was lost)"));
}

#[tokio::test(start_paused = true)]
async fn a_guest_whose_connection_and_power_end_together_has_failed() {
    let reachability = Reachability::new();
    reachability.set_reachable();
    // The VM powers off in the 9th minute.
    let memory = cloud(GuestScript::PoweredOffIn(Step::Run), &reachability);
    let lose = async {
        sleep(MINUTE * 8 + MINUTE / 2).await;
        reachability.set_unreachable("the connection was lost");
    };
    let error = build(&memory, &Context::plausible(), lose).await.result.unwrap_err();
    let BuildErrorKind::PoweredOffEarly { during } = error.kind() else { panic!("{error}") };
    assert_eq!(*during, Some(Step::Run));
    assert!(error.report().to_string().contains("the connection was lost"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_is_reachable_again_is_evaluated_by_its_events() {
    let reachability = Reachability::new();
    reachability.set_reachable();
    let memory = cloud(GuestScript::PoweredOffIn(Step::Check), &reachability);
    let lose_and_find = async {
        sleep(MINUTE * 2).await;
        reachability.set_unreachable("the connection was lost");
        sleep(MINUTE * 7).await;
        reachability.set_reachable();
        sleep(MINUTE).await;
        // Shortly before the power-off in the 11th minute.
        reachability.set_unreachable("lost once more");
    };
    let ended = build(&memory, &Context::plausible(), lose_and_find).await;
    assert!(ended.says("the guest is reachable again"), "{:?}", ended.notes);
    let error = ended.result.unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::PoweredOffEarly { .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_guest_that_enters_stage_2_may_become_unreachable_without_a_note() {
    let reachability = Reachability::new();
    reachability.set_reachable();
    let memory = cloud(GuestScript::Succeeds, &reachability);
    let lose = async {
        sleep(MINUTE * 14 + MINUTE / 2).await;
        reachability.set_unreachable("the connection was lost");
    };
    let ended = build(&memory, &Context::plausible(), lose).await;
    ended.result.as_ref().unwrap();
    assert_eq!(ended.notes, [""; 0]);
}

fn large() -> Context {
    Context::plausible().file("noise", noise(60_000))
}

#[tokio::test(start_paused = true)]
async fn a_context_that_cannot_be_uploaded_fails_the_build_at_the_route_deadline() {
    let reachability = Reachability::new();
    reachability.set_unreachable(REFUSED);
    let memory = cloud(GuestScript::Succeeds, &reachability);
    let ended = build(&memory, &large(), nothing()).await;
    let error = ended.result.unwrap_err();
    let BuildErrorKind::Unreachable { reason, after } = error.kind() else { panic!("{error}") };
    assert_eq!((reason.as_str(), *after), (REFUSED, MINUTE * 5));
    assert!(ended.after < MINUTE * 6, "{:?}", ended.after);
    assert!(error.report().to_string().contains("allow inbound SSH"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_upload_that_is_always_interrupted_ends_at_its_deadline() {
    let reachability = Reachability::new();
    let memory = cloud(GuestScript::HangsIn(Step::Prepare), &reachability);
    // Reachable only until the next loss.
    let come_and_go = async {
        for _ in 0..20 {
            reachability.set_reachable();
            reachability.set_unreachable("the connection was lost");
            sleep(MINUTE * 2).await;
        }
    };
    let ended = build(&memory, &large(), come_and_go).await;
    let error = ended.result.unwrap_err();
    let BuildErrorKind::Deadline { waiting_for, after } = error.kind() else { panic!("{error}") };
    assert_eq!((*waiting_for, *after), ("build context in the guest", Deadlines::default().upload));
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_is_off_or_gone_during_an_upload_fails_the_build_at_once() {
    let reachability = Reachability::new();
    reachability.set_unreachable(REFUSED);
    let memory = cloud(GuestScript::PoweredOffIn(Step::Prepare), &reachability);
    let ended = build(&memory, &large(), nothing()).await;
    let error = ended.result.unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::PoweredOffEarly { during: None }), "{error}");
    assert!(ended.after < MINUTE * 4, "{:?}", ended.after);
}

#[tokio::test(start_paused = true)]
async fn by_default_power_off_without_an_event_is_no_success() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    let reachability = Reachability::new();
    reachability.set_unreachable(REFUSED);
    // Off before the route deadline: a container that powers the VM off looks like this, too.
    let memory = cloud(GuestScript::Succeeds, &reachability).pace(Duration::from_secs(1));
    let ended = build_with(&builder, &memory, nothing()).await;
    let error = ended.result.unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::Unproven { .. }), "{error}");
    assert!(error.to_string().contains(REFUSED), "{error}");
    // Unreachable for longer than the route deadline.
    let memory = cloud(GuestScript::Succeeds, &reachability);
    let error = build_with(&builder, &memory, nothing()).await.result.unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::Unreachable { .. }), "{error}");
    // No channel at all: known before anything is created.
    let memory = Memory::new().with_capabilities(|capabilities| capabilities.channel = false);
    let error = build_with(&builder, &memory, nothing()).await.result.unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::Input(InvalidInput::NoChannel(_))), "{error}");
    assert_eq!(memory.vms_ever_created(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_went_off_unobserved_is_no_proof_and_the_build_starts_again() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    let reachability = Reachability::new();
    reachability.set_reachable();
    let memory = cloud(GuestScript::Succeeds, &reachability);
    assert!(killed_after(MINUTE * 5, &builder, &memory).await.is_none());
    // Its guest completes while no process receives its events; a VM that is off is not reachable.
    sleep(MINUTE * 40).await;
    let reachability = Reachability::new();
    reachability.set_unreachable(REFUSED);
    let connected = async {
        sleep(MINUTE * 2).await;
        reachability.set_reachable();
    };
    let ended = build_with(&builder, &memory.clone().behind(&reachability), connected).await;
    ended.result.as_ref().unwrap();
    assert!(ended.says("starts again"), "{:?}", ended.notes);
    assert_eq!((memory.vms_ever_created(), memory.images_ever_made()), (2, 1));
}
