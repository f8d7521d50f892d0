//! A build whose process died is resumed by the next build.

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::build::{BuildEventKind, Deadlines, ImageBuilder};
use cloudd_core::guest::Step;
use cloudd_core::memory::{GuestScript, Memory};
use cloudd_core::provider::{Image, Labels, ResourceId, ResourceKind, Size, keys};
use cloudd_core::testing::Faulty;
use cloudd_tests::containers::Context;
use cloudd_tests::killed::killed_after;
use tokio::time::{Instant, sleep};

const SECOND: Duration = Duration::from_secs(1);

/// The image and the events of a second run.
async fn resume(memory: &Memory, builder: &ImageBuilder) -> (Image, Vec<BuildEventKind>) {
    let mut build = builder.start(Arc::new(memory.clone()));
    let mut events = build.events();
    let image = build.await.unwrap().image;
    let mut updates = Vec::new();
    while let Some(event) = events.next().await {
        updates.push(event.kind);
    }
    assert_eq!(memory.resources(), [ResourceId::Image(image.id.clone())]);
    (image, updates)
}

fn adopted(updates: &[BuildEventKind]) -> bool {
    updates.iter().any(|update| matches!(update, BuildEventKind::Resumed { .. }))
}

#[tokio::test(start_paused = true)]
async fn a_build_that_is_killed_at_any_point_is_completed_by_the_next_one() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    let (mut vms, mut went_on) = (0, 0);
    let points = 0..60;
    for half in points.clone() {
        let memory = Memory::new().pace(SECOND).image_time(SECOND * 5);
        let ended = killed_after(SECOND / 2 * half, &builder, &memory).await;
        let (image, updates) = resume(&memory, &builder).await;
        assert_eq!(memory.images_ever_made(), 1, "killed after {half} half seconds");
        if let Some(first) = ended {
            assert_eq!(first.unwrap().image.id, image.id);
        }
        vms += memory.vms_ever_created();
        went_on += usize::from(adopted(&updates));
    }
    println!("{points:?} half seconds: {went_on} builds went on, with {vms} VMs");
    assert_eq!(vms, points.len(), "a VM could not be gone on with");
    assert!(went_on > 50, "{went_on}");
}

#[tokio::test(start_paused = true)]
async fn a_build_is_resumed_with_the_vm_it_has_though_another_root_disk_would_be_chosen_now() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    for half in 0..60 {
        let memory = Memory::new().pace(SECOND).image_time(SECOND * 5).root_size(Size::gib(80));
        killed_after(SECOND / 2 * half, &builder, &memory).await;
        let started = memory.vms_ever_created();
        let later = memory.root_size(Size::gib(40));
        let (image, updates) = resume(&later, &builder).await;
        let made = (later.vms_ever_created(), later.images_ever_made());
        assert_eq!(made, (1, 1), "killed after {half} half seconds");
        let size = Size::gib(if started == 0 { 40 } else { 80 });
        assert_eq!(image.disk_size, size, "killed after {half} half seconds");
        let told = updates.iter().filter(
            |it| matches!(it, BuildEventKind::Note { message } if message.contains("80 GiB")),
        );
        assert_eq!(told.count(), started, "killed after {half} half seconds: {updates:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_powered_off_after_its_process_died_is_evaluated_by_its_events() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    let memory = Memory::new().pace(SECOND);
    assert!(killed_after(SECOND * 5, &builder, &memory).await.is_none());
    sleep(SECOND * 100).await;
    let (_, updates) = resume(&memory, &builder).await;
    assert!(adopted(&updates));
    let heard =
        updates.iter().filter(|update| matches!(update, BuildEventKind::Step { .. })).count();
    assert_eq!(heard, 20, "what it had said was not heard again");
    assert_eq!(memory.vms_ever_created(), 1);

    let memory = Memory::new().pace(SECOND).guests(GuestScript::PoweredOffIn(Step::Run));
    assert!(killed_after(SECOND * 5, &builder, &memory).await.is_none());
    sleep(SECOND * 100).await;
    let error = builder.build(&memory).await.unwrap_err();
    assert!(error.to_string().contains("powered off before the build had finished"), "{error}");
    assert_eq!(memory.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_was_never_started_is_not_taken_for_success() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container()).trust_power_off();
    // Without a channel, only the power state is known.
    let silent = || {
        Memory::new().with_capabilities(|capabilities| {
            capabilities.channel = false;
            capabilities.event_port = None;
        })
    };
    // Killed at each await point before the start of the VM.
    for polls in 1..40 {
        let memory = silent().pace(SECOND);
        let build = builder.start(Arc::new(memory.clone()));
        for _ in 0..polls {
            tokio::task::yield_now().await;
        }
        build.kill().await;
        let (image, _) = resume(&memory, &builder).await;
        assert_eq!(image.labels.get(keys::NAME), Some("x"));
        assert_eq!(memory.images_ever_made(), 1);
    }
}

/// Changes the holder of every lease to a process of another machine.
fn set_foreign_holder(memory: &Memory) {
    for id in memory.resources() {
        if id.kind() == ResourceKind::Lease {
            memory.relabel(&id, |labels| {
                let holder = Labels::from_iter([(keys::HOLDER, "feedfeedfeedfeed.1.1.nonce")]);
                *labels = std::mem::take(labels).merged(&holder);
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_holder_on_another_machine_is_waited_for_until_its_lease_expires() {
    let context = Context::plausible();
    let memory = Memory::new().pace(SECOND);
    let builder = ImageBuilder::new("x", context.container());
    assert!(killed_after(SECOND * 5, &builder, &memory).await.is_none());
    set_foreign_holder(&memory);
    let begun = Instant::now();
    let (_, updates) = resume(&memory, &builder).await;
    let lease = Deadlines::default().lease;
    assert!(begun.elapsed() >= lease, "{:?}", begun.elapsed());
    assert!(begun.elapsed() < lease + SECOND * 60, "{:?}", begun.elapsed());
    assert_eq!(memory.vms_ever_created(), 1);
    let waits = updates.iter().position(|it| matches!(it, BuildEventKind::Waiting { .. }));
    let adopts = updates.iter().position(|it| matches!(it, BuildEventKind::Resumed { .. }));
    assert!(waits.is_some() && waits < adopts, "{updates:?}");
    let waited = updates.iter().filter_map(|it| match it {
        BuildEventKind::Waiting { waited, .. } => Some(*waited),
        _ => None,
    });
    let waited: Vec<_> = waited.collect();
    assert!(waited.len() >= 4 && waited.is_sorted() && waited[3] >= 180, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_a_running_process_on_another_machine_does_not_expire() {
    let context = Context::plausible();
    // With 100 s per step the build runs for many lease durations.
    let memory = Memory::new().pace(SECOND * 100);
    let builder = ImageBuilder::new("x", context.container());
    let disguised = memory.clone();
    let provider = Faulty::never(memory.clone()).observed(move |_, call| {
        if call == "create_builder" {
            set_foreign_holder(&disguised);
        }
    });
    let other = async {
        sleep(SECOND * 30).await;
        builder.build(&memory).await
    };
    let (first, second) = tokio::join!(builder.build(&provider), other);
    assert_eq!(first.unwrap().image.id, second.unwrap().image.id);
    assert_eq!((memory.vms_ever_created(), memory.images_ever_made()), (1, 1));
}
