//! Cancellation or failure at any point of a build leaves no resource. The points are enumerated, not
//! sampled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudd_core::build::{BuildErrorKind, CancelHandle, ImageBuilder};
use cloudd_core::memory::Memory;
use cloudd_core::provider::{ErrorKind, ResourceId, keys};
use cloudd_core::testing::{Fault, Faulty};
use cloudd_tests::containers::Context;

/// The number of provider calls of a build without faults.
async fn calls_of_a_build(context: &Context) -> usize {
    let provider = Faulty::never(Memory::new());
    let built = ImageBuilder::new("x", context.container()).build(&provider).await;
    assert!(built.is_ok(), "{built:?}");
    provider.calls()
}

fn nothing_but(memory: &Memory, image: Option<&cloudd_core::provider::ImageId>) {
    let expected: Vec<_> = image.cloned().map(ResourceId::Image).into_iter().collect();
    assert_eq!(memory.resources(), expected);
}

#[tokio::test(start_paused = true)]
async fn cancelling_at_each_call_to_the_provider_leaves_nothing() {
    let context = Context::plausible();
    let calls = calls_of_a_build(&context).await;
    let mut cancelled = 0;
    for at in 0..calls {
        let memory = Memory::new();
        let handle: Arc<Mutex<Option<CancelHandle>>> = Arc::default();
        let trigger = handle.clone();
        let provider = Faulty::never(memory.clone()).observed(move |number, _| {
            if number == at
                && let Some(handle) = &*trigger.lock().unwrap()
            {
                handle.cancel();
            }
        });
        let builder = ImageBuilder::new("x", context.container());
        let build = builder.start(Arc::new(provider));
        *handle.lock().unwrap() = Some(build.cancel_handle());
        match build.await {
            Ok(built) => nothing_but(&memory, Some(&built.image.id)),
            Err(error) => {
                assert!(matches!(error.kind(), BuildErrorKind::Cancelled), "at call {at}: {error}");
                nothing_but(&memory, None);
                cancelled += 1;
            }
        }
    }
    println!("{calls} points: {cancelled} builds cancelled, the others were past their image");
    assert!(cancelled >= calls - 4, "only {cancelled} of {calls} were cancelled");
}

#[tokio::test(start_paused = true)]
async fn cancelling_at_each_event_of_the_guest_leaves_nothing() {
    let context = Context::plausible();
    for seconds in 0..40 {
        let memory = Memory::new().pace(Duration::from_secs(1));
        let builder = ImageBuilder::new("x", context.container());
        let build = builder.start(Arc::new(memory.clone()));
        tokio::time::sleep(Duration::from_millis(seconds * 1000 + 500)).await;
        build.cancel();
        match build.await {
            Ok(built) => nothing_but(&memory, Some(&built.image.id)),
            Err(error) => {
                assert!(
                    matches!(error.kind(), BuildErrorKind::Cancelled),
                    "after {seconds} s: {error}"
                );
                nothing_but(&memory, None);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_call_that_fails_before_or_after_its_effect_leaves_nothing() {
    let context = Context::plausible();
    let calls = calls_of_a_build(&context).await;
    let (mut succeeded, mut failed) = (0, 0);
    for at in 0..calls {
        for kind in [ErrorKind::Failed, ErrorKind::Connection, ErrorKind::Unauthorized] {
            for fault in [Fault::Fails(kind), Fault::AnswerLost(kind)] {
                let memory = Memory::new();
                let provider = Faulty::new(memory.clone(), at, fault);
                match ImageBuilder::new("x", context.container()).build(&provider).await {
                    Ok(built) => {
                        let told = built.leftovers.map(|it| it.resources).unwrap_or_default();
                        let image = ResourceId::Image(built.image.id);
                        for left in memory.resources() {
                            assert!(
                                left == image || told.contains(&left),
                                "call {at}, {fault:?}: {left} is left and not told"
                            );
                        }
                        assert!(told.is_empty() || kind == ErrorKind::Unauthorized, "{told:?}");
                        assert!(memory.resources().contains(&image), "call {at}, {fault:?}");
                        succeeded += 1;
                    }
                    Err(error) if error.remaining().is_empty() => {
                        nothing_but(&memory, None);
                        failed += 1;
                    }
                    // The token is revoked during cleanup: nothing can be deleted, and the error lists it.
                    Err(error) => {
                        assert_eq!(kind, ErrorKind::Unauthorized, "call {at}, {fault:?}: {error}");
                        for left in memory.resources() {
                            assert!(
                                error.remaining().contains(&left),
                                "{left} is left and not told: {error}"
                            );
                        }
                        failed += 1;
                    }
                }
            }
        }
    }
    println!(
        "{calls} calls × 6 faults: {succeeded} builds succeeded, {failed} failed, none leaked"
    );
}

#[tokio::test(start_paused = true)]
async fn a_build_whose_handle_or_future_is_dropped_cleans_up_in_the_background() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    for seconds in 0..30 {
        let memory = Memory::new().pace(Duration::from_secs(1));
        let time = Duration::from_secs(seconds);
        let handle = builder.start(Arc::new(memory.clone()));
        tokio::time::sleep(time).await;
        let ended = handle.is_finished();
        drop(handle);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(memory.resources().len(), usize::from(ended), "handle, {seconds} s");

        let memory = Memory::new().pace(Duration::from_secs(1));
        let ended = tokio::time::timeout(time, builder.build(&memory)).await.is_ok();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(memory.resources().len(), usize::from(ended), "future, {seconds} s");
    }
}

#[tokio::test]
async fn a_lease_is_renewed_although_the_caller_does_not_poll() {
    let context = Context::plausible();
    let memory = Memory::new().pace(Duration::from_millis(300));
    let mut deadlines = cloudd_core::Deadlines::default();
    deadlines.lease = Duration::from_secs(1);
    let builder = ImageBuilder::new("x", context.container()).deadlines(deadlines);
    let build = builder.start(Arc::new(memory.clone()));
    let renewals = |memory: &Memory| {
        let leases = memory.leases();
        leases.first().and_then(|it| it.get(keys::LEASE)).map(ToOwned::to_owned)
    };
    let mut seen = std::collections::BTreeSet::new();
    while memory.resources().is_empty() {
        tokio::task::yield_now().await;
    }
    // Only the tasks of the build and of its lease run during this time.
    while let Some(renewal) = renewals(&memory) {
        seen.insert(renewal);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The build takes 7 s and its lease is renewed twice a second; three of the writes are phases.
    assert!(seen.len() > 8, "{seen:?}");
    build.await.unwrap();
}
