//! Cancelling a build in each phase of a real guest leaves nothing.

use std::time::Duration;

use cloudd_core::build::{BuildErrorKind, BuildEventKind, Phase};
use cloudd_tests::installer::Installer;
use cloudd_tests::lab::Lab;

/// Cancels as soon as the beginning of a phase is reported. The build goes on meanwhile, so that a short
/// phase before the first one of the guest may have ended.
async fn cancelling_in(phase: Phase) {
    let lab = Lab::new().await;
    let context = Installer::new(16).context();
    let builder = lab.builder("cancelled", context.container());
    let mut cancelled = None;
    let (result, story) = lab
        .build_watched(&*lab.libvirt, &builder, |event, handle| {
            if event.kind == (BuildEventKind::Phase { phase }) {
                handle.cancel();
                cancelled = Some(event.at);
            }
        })
        .await;
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::Cancelled), "{error}");
    assert!((phase..=phase.max(Phase::Boot)).contains(&error.phase()), "{error}");
    assert_eq!(error.remaining(), []);
    let took = story.0.last().unwrap().at - cancelled.unwrap();
    println!("cancelled in phase {phase}: gone after {took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(lab.resources_of(error.build()), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_cancelling_before_the_guest_runs_leaves_nothing() {
    for phase in [Phase::Plan, Phase::Provision, Phase::Boot] {
        cancelling_in(phase).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_cancelling_in_stage_1_leaves_nothing() {
    cancelling_in(Phase::Stage1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_cancelling_in_stage_2_leaves_nothing() {
    cancelling_in(Phase::Stage2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_cancelling_while_the_image_is_made_leaves_nothing() {
    cancelling_in(Phase::Image).await;
}
