//! Cancelling and failing at every single point of a build leaves nothing behind. The points are
//! enumerated, not sampled.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cloudd_core::image::{CancelHandle, Cause, ImageBuilder};
use cloudd_core::memory::Memory;
use cloudd_core::provider::{ErrorKind, ResourceId};
use cloudd_core::testing::{Fault, Faulty};
use cloudd_tests::containers::Context;

/// How many calls an undisturbed build makes.
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
        let (build, control) = builder.build_with_control(&provider);
        *handle.lock().unwrap() = Some(control.cancel.clone());
        match build.await {
            Ok(image) => nothing_but(&memory, Some(&image.id)),
            Err(error) => {
                assert!(matches!(error.cause(), Cause::Cancelled), "at call {at}: {error}");
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
        let (build, control) = builder.build_with_control(&memory);
        let cancel = async {
            tokio::time::sleep(Duration::from_millis(seconds * 1000 + 500)).await;
            control.cancel.cancel();
        };
        match tokio::join!(build, cancel).0 {
            Ok(image) => nothing_but(&memory, Some(&image.id)),
            Err(error) => {
                assert!(matches!(error.cause(), Cause::Cancelled), "after {seconds} s: {error}");
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
                    Ok(image) => {
                        nothing_but(&memory, Some(&image.id));
                        succeeded += 1;
                    }
                    Err(error) if error.left().is_empty() => {
                        nothing_but(&memory, None);
                        failed += 1;
                    }
                    // A token revoked while deleting: nothing can be done, and all is told.
                    Err(error) => {
                        assert_eq!(kind, ErrorKind::Unauthorized, "call {at}, {fault:?}: {error}");
                        for left in memory.resources() {
                            let image =
                                error.image().map(|image| ResourceId::Image(image.id.clone()));
                            assert!(
                                error.left().contains(&left) || image.as_ref() == Some(&left),
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
