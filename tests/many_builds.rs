//! Several builds at once, on clouds in memory: they end independently, and at most the allowed number
//! runs at the same time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cloudd_core::build::{BuildErrorKind, BuildEventKind, Builds, ImageBuilder, Phase};
use cloudd_core::guest::{FailureReason, Step};
use cloudd_core::memory::{GuestScript, Memory};
use cloudd_core::provider::{Architecture, Provider, ResourceId, keys};
use cloudd_core::testing::Faulty;
use cloudd_tests::containers::Context;

const SECOND: Duration = Duration::from_secs(1);

fn failing() -> GuestScript {
    GuestScript::FailsIn { step: Step::Run, reason: FailureReason::ContainerFailed, exit: Some(3) }
}

/// A build with a name and a context of its own.
fn named(context: &Context, number: usize) -> ImageBuilder {
    ImageBuilder::new(format!("image-{number}"), context.container())
}

/// One context per build, so that no two builds make the same image.
fn contexts(count: usize) -> Vec<Context> {
    (0..count).map(|number| Context::plausible().file("number", number.to_string())).collect()
}

/// The current and the highest number of builder VMs.
#[derive(Default)]
struct Peak(AtomicUsize);

impl Peak {
    /// A cloud whose VMs are counted at each call to it.
    fn watch(self: &Arc<Self>, memory: &Memory) -> Faulty<Memory> {
        let (peak, watched) = (self.clone(), memory.clone());
        Faulty::never(memory.clone()).observed(move |_, _| {
            let vms = |id: &ResourceId| matches!(id, ResourceId::Vm(_));
            peak.0.fetch_max(
                watched.resources().iter().filter(|id| vms(id)).count(),
                Ordering::Relaxed,
            );
        })
    }
}

#[tokio::test(start_paused = true)]
async fn two_architectures_on_two_clouds_give_four_images() {
    let context = Context::plausible();
    let clouds = [Memory::new().pace(SECOND), Memory::new().pace(SECOND)];
    let mut builds = Builds::new();
    let mut wanted = Vec::new();
    for cloud in &clouds {
        for architecture in [Architecture::X86_64, Architecture::Aarch64] {
            builds = builds.add(named(&context, 1).architecture(architecture), cloud);
            wanted.push((cloud, architecture));
        }
    }
    let results = builds.run().await;
    assert_eq!(results.len(), 4);
    for (result, (cloud, architecture)) in results.into_iter().zip(wanted) {
        let image = result.unwrap().image;
        assert_eq!(image.labels.get(keys::ARCHITECTURE), Some(architecture.as_str()));
        assert_eq!(cloud.image(&image.id).await.unwrap(), Some(image), "in the wrong cloud");
    }
    for cloud in &clouds {
        assert_eq!(cloud.resources().len(), 2, "{cloud:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_vms_than_the_limit_and_not_fewer_while_builds_wait() {
    const BUILDS: usize = 12;
    let contexts = contexts(BUILDS);
    for limit in [1, 3, 5, BUILDS, 100] {
        let (memory, peak) = (Memory::new().pace(SECOND), Arc::new(Peak::default()));
        let watched = peak.watch(&memory);
        let builds =
            contexts.iter().enumerate().fold(Builds::new(), |builds, (number, context)| {
                builds.add(named(context, number), &watched)
            });
        let begun = tokio::time::Instant::now();
        let results = builds.limit(limit).run().await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(peak.0.load(Ordering::Relaxed), limit.min(BUILDS), "with a limit of {limit}");
        // 24 events of one second each, and the pauses of polling.
        let rounds = u32::try_from(BUILDS.div_ceil(limit)).unwrap();
        let took = begun.elapsed();
        assert!(took < SECOND * 30 * rounds, "{took:?} with a limit of {limit}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_first_build_does_not_delay_the_others() {
    let contexts = contexts(6);
    let (slow, quick) = (Memory::new().pace(SECOND * 100), Memory::new());
    let mut builds = Builds::new().limit(2).add(named(&contexts[0], 0), &slow);
    for (number, context) in contexts.iter().enumerate().skip(1) {
        builds = builds.add(named(context, number), &quick);
    }
    let mut run = builds.start();
    let mut events = run.events();
    let watch = async {
        let mut over = 0;
        while over < 5 {
            let event = events.next().await.expect("the slow build is still on");
            let deleted_volume =
                matches!(event.kind, BuildEventKind::Deleted { resource: ResourceId::Volume(_) });
            over += usize::from(deleted_volume && event.index > 0);
        }
        assert_eq!(slow.resources().len(), 3, "the slow build still has its VM, volume and lease");
    };
    let (results, ()) = tokio::join!(run.into_future(), watch);
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_does_not_affect_other_builds() {
    let contexts = contexts(5);
    let (good, bad) = (Memory::new().pace(SECOND), Memory::new().guests(failing()));
    let mut builds = Builds::new().limit(2);
    for (number, context) in contexts.iter().enumerate() {
        let cloud = if number == 1 { &bad } else { &good };
        builds = builds.add(named(context, number), cloud);
    }
    let results = builds.run().await;
    for (number, result) in results.iter().enumerate() {
        match result {
            Ok(built) => {
                let name = format!("image-{number}");
                assert_eq!(built.image.labels.get(keys::NAME), Some(name.as_str()), "out of order");
            }
            Err(error) => {
                assert_eq!(number, 1, "{error}");
                assert!(
                    matches!(error.kind(), BuildErrorKind::Guest { exit: Some(3), .. }),
                    "{error}"
                );
                assert!(error.to_string().contains("image-1"), "{error}");
            }
        }
    }
    assert!(results[1].is_err());
    assert_eq!((good.resources().len(), bad.resources().len()), (4, 0));
}

#[tokio::test(start_paused = true)]
async fn a_failure_cancels_the_rest_when_asked() {
    let contexts = contexts(6);
    let (good, slow) = (Memory::new(), Memory::new().pace(SECOND * 5));
    let bad = Memory::new().pace(SECOND).guests(failing());
    // One completed, one failing, one running, three waiting.
    let clouds = [&good, &bad, &slow, &slow, &slow, &slow];
    let builds = contexts
        .iter()
        .zip(clouds)
        .enumerate()
        .fold(Builds::new().limit(2), |builds, (number, (context, cloud))| {
            builds.add(named(context, number), cloud)
        });
    let results = builds.cancel_rest_on_failure().run().await;
    assert!(results[0].is_ok(), "{results:?}");
    assert!(matches!(results[1].as_ref().unwrap_err().kind(), BuildErrorKind::Guest { .. }));
    for result in &results[2..] {
        assert!(
            matches!(result.as_ref().unwrap_err().kind(), BuildErrorKind::Cancelled),
            "{result:?}"
        );
    }
    assert_eq!(slow.vms_ever_created(), 1, "builds began after the failure");
    assert_eq!((good.resources().len(), bad.resources().len()), (1, 0));
    assert_eq!(slow.resources(), []);
}

#[tokio::test(start_paused = true)]
async fn cancelling_ends_all_and_leaves_nothing() {
    let contexts = contexts(5);
    let clouds = [Memory::new().pace(SECOND), Memory::new().pace(SECOND)];
    let builds =
        contexts.iter().enumerate().fold(Builds::new().limit(3), |builds, (number, context)| {
            builds.add(named(context, number), &clouds[number % 2])
        });
    let run = builds.start();
    tokio::time::sleep(SECOND * 5).await;
    run.cancel();
    for result in run.await {
        assert!(matches!(result.unwrap_err().kind(), BuildErrorKind::Cancelled));
    }
    for cloud in &clouds {
        assert_eq!(cloud.resources(), []);
    }
    assert_eq!(clouds[0].vms_ever_created() + clouds[1].vms_ever_created(), 3);
}

#[tokio::test(start_paused = true)]
async fn one_stream_has_the_events_of_each_build() {
    let contexts = contexts(4);
    let memory = Memory::new().pace(SECOND);
    let builds =
        contexts.iter().enumerate().fold(Builds::new().limit(2), |builds, (number, context)| {
            builds.add(named(context, number), &memory)
        });
    let mut run = builds.start();
    let mut events = run.events();
    let listen = async {
        let mut stories: BTreeMap<usize, (Vec<Phase>, Duration)> = BTreeMap::new();
        while let Some(event) = events.next().await {
            assert_eq!(event.name, format!("image-{}", event.index));
            let (phases, at) = stories.entry(event.index).or_default();
            assert!(event.at >= *at, "the clock of a build goes back");
            *at = event.at;
            if let BuildEventKind::Phase { phase } = event.kind {
                phases.push(phase);
            }
        }
        stories
    };
    let (results, stories) = tokio::join!(run.into_future(), listen);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(stories.keys().copied().collect::<Vec<_>>(), [0, 1, 2, 3]);
    for (phases, at) in stories.into_values() {
        assert_eq!((phases.first(), phases.last()), (Some(&Phase::Plan), Some(&Phase::Teardown)));
        assert!(phases.is_sorted(), "{phases:?}");
        assert!(at < SECOND * 30, "its clock began before it did: {at:?}");
    }
}

#[tokio::test]
async fn an_empty_set_of_builds_ends_immediately() {
    assert!(Builds::new().run().await.is_empty());
    let mut run = Builds::new().start();
    let mut events = run.events();
    assert!(run.await.is_empty());
    assert_eq!(events.next().await, None);
}
