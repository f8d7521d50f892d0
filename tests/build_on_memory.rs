//! The effects of a build on the provider in memory.

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::build::{
    BuildErrorKind, BuildEventKind, Deadlines, ImageBuilder, OnFailure, Phase,
};
use cloudd_core::cloud_init::User;
use cloudd_core::guest::{FailureReason, Step};
use cloudd_core::memory::{GuestScript, Memory};
use cloudd_core::provider::{ContextDelivery, ImageStatus, ResourceId, keys};
use cloudd_tests::containers::{Context, noise};

#[tokio::test(start_paused = true)]
async fn a_build_leaves_nothing_but_the_image_with_its_labels() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let image = ImageBuilder::new("leap-15.6", context.container())
        .label("team", "infra")
        .build(&memory)
        .await
        .unwrap()
        .image;
    assert_eq!(memory.resources(), [ResourceId::Image(image.id.clone())]);
    assert_eq!(image.status, ImageStatus::Available);
    assert_eq!(image.labels.get(keys::NAME), Some("leap-15.6"));
    assert_eq!(image.labels.get("team"), Some("infra"));
    for key in [keys::FINGERPRINT, keys::BUILD, keys::ARCHITECTURE] {
        assert!(image.labels.get(key).is_some(), "{key} is missing");
    }
    assert_eq!(image.labels.get(keys::EXPIRES), None, "an image is not swept");
}

#[tokio::test(start_paused = true)]
async fn the_events_tell_the_story_of_a_build() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let builder = ImageBuilder::new("x", context.container());
    let mut build = builder.start(Arc::new(memory.clone()));
    let mut events = build.events();
    build.await.unwrap();
    let (mut phases, mut steps, mut created, mut deleted) = (vec![], 0, 0, 0);
    while let Some(event) = events.next().await {
        match event.kind {
            BuildEventKind::Phase { phase } => phases.push(phase),
            BuildEventKind::Step { .. } => steps += 1,
            BuildEventKind::Created { .. } => created += 1,
            BuildEventKind::Deleted { .. } => deleted += 1,
            _ => {}
        }
    }
    let expected = [
        Phase::Plan,
        Phase::Provision,
        Phase::Boot,
        Phase::Stage1,
        Phase::Stage2,
        Phase::Image,
        Phase::Teardown,
    ];
    assert_eq!(phases, expected);
    assert_eq!((steps, created, deleted), (20, 3, 2));
}

#[tokio::test(start_paused = true)]
async fn a_failing_guest_ends_the_build_at_once_with_its_own_words() {
    let context = Context::plausible();
    let memory = Memory::new().guests(GuestScript::FailsIn {
        step: Step::Run,
        reason: FailureReason::ContainerFailed,
        exit: Some(3),
    });
    let begun = tokio::time::Instant::now();
    let error = ImageBuilder::new("x", context.container()).build(&memory).await.unwrap_err();
    assert!(begun.elapsed() < Duration::from_secs(10), "it waited for a deadline");
    assert_eq!(error.phase(), Phase::Stage1);
    assert!(matches!(
        error.kind(),
        BuildErrorKind::Guest { reason: FailureReason::ContainerFailed, exit: Some(3), .. }
    ));
    assert_eq!(error.log_tail(), ["about to fail"]);
    let text = error.report().to_string();
    assert!(text.contains("the install container failed (exit code 3)"), "{text}");
    assert!(text.contains("| about to fail"), "{text}");
    assert_eq!(memory.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_goes_off_early_is_no_success() {
    for step in [Step::Prepare, Step::Run, Step::Copy, Step::Verify] {
        let context = Context::plausible();
        let memory = Memory::new().guests(GuestScript::PoweredOffIn(step));
        let error = ImageBuilder::new("x", context.container()).build(&memory).await.unwrap_err();
        let BuildErrorKind::PoweredOffEarly { during } = error.kind() else { panic!("{error}") };
        assert_eq!(*during, Some(step));
        assert_eq!(memory.resources(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn every_silence_ends_at_the_deadline_that_names_it() {
    let cases = [
        (GuestScript::Silent, "first event of the guest"),
        (GuestScript::HangsIn(Step::Run), "end of stage 1"),
        (GuestScript::HangsIn(Step::Copy), "end of stage 2"),
    ];
    for (script, expected) in cases {
        let (context, memory) = (Context::plausible(), Memory::new().guests(script));
        let error = ImageBuilder::new("x", context.container()).build(&memory).await.unwrap_err();
        let BuildErrorKind::Deadline { waiting_for, .. } = error.kind() else { panic!("{error}") };
        assert_eq!(*waiting_for, expected);
        assert_eq!(memory.resources(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_channel_the_power_state_is_enough_if_it_is_trusted() {
    let silent = Memory::new().with_capabilities(|capabilities| {
        capabilities.channel = false;
        capabilities.event_port = None;
    });
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container()).trust_power_off();
    let image = builder.build(&silent).await.unwrap().image;
    assert_eq!(silent.resources(), [ResourceId::Image(image.id)]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_builder_is_kept_when_asked_for_and_a_cancelled_one_is_not() {
    let context = Context::plausible();
    let memory = Memory::new().guests(GuestScript::HangsIn(Step::Run));
    let builder = ImageBuilder::new("x", context.container()).on_failure(OnFailure::Keep);
    let error = builder.build(&memory).await.unwrap_err();
    assert_eq!(error.remaining().len(), 2, "{error}");
    assert!(error.report().to_string().contains("kept as asked: volume 2, VM 3"), "{error}");
    assert_eq!(memory.resources().len(), 2);

    let memory = Memory::new().guests(GuestScript::HangsIn(Step::Run));
    let build = builder.start(Arc::new(memory.clone()));
    tokio::time::sleep(Duration::from_secs(60)).await;
    build.cancel();
    assert!(matches!(build.await.unwrap_err().kind(), BuildErrorKind::Cancelled));
    assert_eq!(memory.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn a_debug_user_is_in_the_user_data_and_not_in_any_debug_output() {
    let context = Context::plausible();
    let memory = Memory::new()
        .guests(GuestScript::Silent)
        .with_capabilities(|capabilities| capabilities.user_data.max_bytes = 1 << 20);
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKLYNPmDKXvVmzQ9Q2L1cY0bqWkM1X7rY3zv0QJtQm1S me";
    let hash = format!("$6$saltsaltsalt${}", "1".repeat(86));
    let builder = ImageBuilder::new("x", context.container())
        .on_failure(OnFailure::Keep)
        .debug_user(User::new("debug").hashed_password(&hash).authorized_key(key));
    let error = builder.build(&memory).await.unwrap_err();
    let vm = error.remaining().iter().find_map(|id| match id {
        ResourceId::Vm(id) => Some(id.clone()),
        _ => None,
    });
    let vm = vm.unwrap();
    let spec = memory.spec(&vm).unwrap();
    let user_data = String::from_utf8(memory.user_data(&vm).unwrap()).unwrap();
    assert!(
        user_data.contains("\"debug\"") && user_data.contains(key) && user_data.contains("$6$")
    );
    let shown = format!("{builder:?} {spec:?} {error:?}");
    assert!(!shown.contains("$6$"), "{shown}");
}

#[tokio::test(start_paused = true)]
async fn a_large_context_leaves_user_data_for_media_or_upload() {
    let context = Context::plausible().file("noise", noise(60_000));
    for delivery in
        [ContextDelivery::Media { device: "/dev/disk/by-id/m".into() }, ContextDelivery::Upload]
    {
        let memory = Memory::new()
            .guests(GuestScript::HangsIn(Step::Run))
            .with_capabilities(|capabilities| capabilities.context = vec![delivery.clone()]);
        let builder = ImageBuilder::new("x", context.container())
            .on_failure(OnFailure::Keep)
            .deadlines(Deadlines::default());
        let error = builder.build(&memory).await.unwrap_err();
        let vm = error.remaining().iter().find_map(|id| match id {
            ResourceId::Vm(id) => Some(id.clone()),
            _ => None,
        });
        let vm = vm.unwrap();
        let spec = memory.spec(&vm).unwrap();
        assert!(memory.user_data(&vm).unwrap().len() <= 32 * 1024);
        assert_eq!(spec.media.is_some(), delivery != ContextDelivery::Upload);
    }
}
