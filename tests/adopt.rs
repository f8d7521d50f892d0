//! A build whose process died goes on where it is.

use std::time::Duration;

use cloudd_core::guest::Step;
use cloudd_core::image::{BuildEventKind, Deadlines, ImageBuilder};
use cloudd_core::memory::{GuestScript, Memory};
use cloudd_core::provider::{Image, Labels, ResourceId, ResourceKind, keys};
use cloudd_core::testing::Faulty;
use cloudd_tests::containers::Context;
use tokio::time::{Instant, sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// What a second run tells, and its image.
async fn goes_on(memory: &Memory, builder: &ImageBuilder) -> (Image, Vec<BuildEventKind>) {
    let (build, mut control) = builder.build_with_control(memory);
    let image = build.await.unwrap();
    let mut updates = Vec::new();
    while let Some(event) = control.events.next().await {
        updates.push(event.update);
    }
    assert_eq!(memory.resources(), [ResourceId::Image(image.id.clone())]);
    (image, updates)
}

fn adopted(updates: &[BuildEventKind]) -> bool {
    updates.iter().any(|update| matches!(update, BuildEventKind::Adopted { .. }))
}

#[tokio::test(start_paused = true)]
async fn wherever_a_build_is_dropped_the_next_one_ends_it() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    let (mut vms, mut went_on) = (0, 0);
    let points = 0..60;
    for half in points.clone() {
        let memory = Memory::new().pace(SECOND).image_time(SECOND * 5);
        let ended = timeout(SECOND / 2 * half, builder.build(&memory)).await;
        let (image, updates) = goes_on(&memory, &builder).await;
        assert_eq!(memory.images_ever_made(), 1, "dropped after {half} half seconds");
        if let Ok(first) = ended {
            assert_eq!(first.unwrap().id, image.id);
        }
        vms += memory.vms_ever_created();
        went_on += usize::from(adopted(&updates));
    }
    println!("{points:?} half seconds: {went_on} builds went on, with {vms} VMs");
    assert_eq!(vms, points.len(), "a VM could not be gone on with");
    assert!(went_on > 50, "{went_on}");
}

#[tokio::test(start_paused = true)]
async fn a_vm_that_ended_while_nobody_listened_is_judged_by_what_it_had_said() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    let memory = Memory::new().pace(SECOND);
    timeout(SECOND * 5, builder.build(&memory)).await.unwrap_err();
    sleep(SECOND * 100).await;
    let (_, updates) = goes_on(&memory, &builder).await;
    assert!(adopted(&updates));
    let heard =
        updates.iter().filter(|update| matches!(update, BuildEventKind::Step { .. })).count();
    assert_eq!(heard, 20, "what it had said was not heard again");
    assert_eq!(memory.vms_ever_created(), 1);

    let memory = Memory::new().pace(SECOND).guests(GuestScript::PoweredOffIn(Step::Run));
    timeout(SECOND * 5, builder.build(&memory)).await.unwrap_err();
    sleep(SECOND * 100).await;
    let error = builder.build(&memory).await.unwrap_err();
    assert!(error.to_string().contains("went off before its work was done"), "{error}");
    assert_eq!(memory.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn off_before_the_first_start_is_not_taken_for_success() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    // No channel: the power state is all there is.
    let silent = || {
        Memory::new().with_capabilities(|capabilities| {
            capabilities.channel = false;
            capabilities.event_port = None;
        })
    };
    // Dropped before the VM starts, at each await point there is.
    for polls in 1..40 {
        let memory = silent().pace(SECOND);
        let mut build = Box::pin(builder.build(&memory));
        for _ in 0..polls {
            let _pending = poll_once(&mut build).await;
        }
        drop(build);
        let (image, _) = goes_on(&memory, &builder).await;
        assert_eq!(image.labels.get(keys::NAME), Some("x"));
        assert_eq!(memory.images_ever_made(), 1);
    }
}

/// Makes every lease look as if a process of another machine held it.
fn disguise(memory: &Memory) {
    for id in memory.resources() {
        if id.kind() == ResourceKind::Lease {
            memory.relabel(&id, |labels| {
                let owner = (keys::HOLDER.to_owned(), "feedfeedfeedfeed.1.1.nonce".to_owned());
                *labels = std::mem::take(labels).merged(&Labels::from_provider([owner]));
            });
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_dead_process_of_another_machine_is_waited_for_as_long_as_its_lease() {
    let context = Context::plausible();
    let memory = Memory::new().pace(SECOND);
    let builder = ImageBuilder::new("x", context.container());
    timeout(SECOND * 5, builder.build(&memory)).await.unwrap_err();
    disguise(&memory);
    let begun = Instant::now();
    let (_, updates) = goes_on(&memory, &builder).await;
    let lease = Deadlines::default().lease;
    assert!(begun.elapsed() >= lease, "{:?}", begun.elapsed());
    assert!(begun.elapsed() < lease + SECOND * 60, "{:?}", begun.elapsed());
    assert_eq!(memory.vms_ever_created(), 1);
    let waits = updates.iter().position(|it| matches!(it, BuildEventKind::Waiting { .. }));
    let adopts = updates.iter().position(|it| matches!(it, BuildEventKind::Adopted { .. }));
    assert!(waits.is_some() && waits < adopts, "{updates:?}");
}

#[tokio::test(start_paused = true)]
async fn a_living_process_of_another_machine_is_never_taken_for_dead() {
    let context = Context::plausible();
    // A hundred seconds a step: it lives for many leases.
    let memory = Memory::new().pace(SECOND * 100);
    let builder = ImageBuilder::new("x", context.container());
    let disguised = memory.clone();
    let provider = Faulty::never(memory.clone()).observed(move |_, call| {
        if call == "create_volume" {
            disguise(&disguised);
        }
    });
    let other = async {
        sleep(SECOND * 30).await;
        builder.build(&memory).await
    };
    let (first, second) = tokio::join!(builder.build(&provider), other);
    assert_eq!(first.unwrap().id, second.unwrap().id);
    assert_eq!((memory.vms_ever_created(), memory.images_ever_made()), (1, 1));
}

/// Polls once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = tokio::task::yield_now() => None,
    }
}
