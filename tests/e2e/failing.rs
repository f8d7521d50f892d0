//! Installs that fail end within seconds of the fact, with a named error and the last log lines,
//! and leave nothing.

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::build::{BuildError, BuildErrorKind, BuildEventKind, ImageBuilder};
use cloudd_core::guest::{FailureReason, Stage2Entry};
use cloudd_core::provider::{ResourceId, Size};
use cloudd_core::testing::Faulty;
use cloudd_libvirt::Libvirt;
use cloudd_tests::containers::Context;
use cloudd_tests::installer::{shell_container, shell_container_with};
use cloudd_tests::lab::Lab;
use cloudd_tests::story::Story;

/// Builds, and gives the error after making sure that nothing is left.
async fn fails(lab: &Lab, builder: &ImageBuilder) -> (BuildError, Story) {
    let (result, story) = lab.build(builder).await;
    let error = result.unwrap_err();
    nothing_is_left(lab, &error);
    (error, story)
}

fn nothing_is_left(lab: &Lab, error: &BuildError) {
    assert_eq!(error.remaining(), [], "{error}");
    assert_eq!(lab.resources_of(error.build()), [""; 0]);
}

fn reason(error: &BuildError) -> (&FailureReason, Option<i32>) {
    let BuildErrorKind::Guest { reason, exit, .. } = error.kind() else { panic!("{error}") };
    (reason, *exit)
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_a_container_that_exits_3_is_reported_with_its_code_and_its_last_words() {
    let lab = Lab::new().await;
    let context = shell_container("echo about to give up >&2; exit 3");
    let (error, story) = fails(&lab, &lab.builder("exit-3", context.container())).await;
    assert_eq!(reason(&error), (&FailureReason::ContainerFailed, Some(3)));
    assert!(error.log_tail().iter().any(|line| line.contains("about to give up")), "{error}");
    let said = story.when(
        |update| matches!(update, BuildEventKind::Log { line, .. } if line.contains("about to give up")),
    );
    let ended = story.0.last().map(|event| event.at).unwrap_or_default();
    let late = ended - said.unwrap();
    println!("the error came {late:?} after the container's last line, teardown included");
    assert!(late < Duration::from_secs(30), "{late:?} is no matter of seconds");
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_full_a_failing_podman_build_is_reported_with_its_output() {
    let lab = Lab::new().await;
    // The variable hides from cloudd that the file is missing.
    let context = Context::new(
        "FROM scratch\nARG FILE=no-such-file\nCOPY $FILE /\nENTRYPOINT [\"/x\"]\n\
         LABEL RUN=\"podman run IMAGE\"\n",
    );
    let (error, _) = fails(&lab, &lab.builder("no-build", context.container())).await;
    assert_eq!(reason(&error).0, &FailureReason::BuildFailed);
    assert!(error.log_tail().iter().any(|line| line.contains("no-such-file")), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_full_an_image_without_run_label_is_reported_before_anything_is_run() {
    let lab = Lab::new().await;
    // What the base is, and so whether it has the label, is known only to the builder.
    let context = Context::new("ARG BASE=scratch\nFROM $BASE\nCOPY Containerfile /\n");
    let container = context.container().run_label_inherited();
    let (error, _) = fails(&lab, &lab.builder("no-label", container)).await;
    assert_eq!(reason(&error).0, &FailureReason::RunLabelMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_full_a_container_that_writes_nothing_is_reported() {
    let lab = Lab::new().await;
    let context = shell_container("echo nothing to do");
    let (error, _) = fails(&lab, &lab.builder("nothing", context.container())).await;
    assert_eq!(reason(&error).0, &FailureReason::NothingWritten);
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_full_swap_space_on_the_volume_is_refused_by_name() {
    let lab = Lab::new().await;
    let context = shell_container("chroot /host mkswap \"$1\" && chroot /host swapon \"$1\"");
    let (error, _) = fails(&lab, &lab.builder("swap", context.container())).await;
    assert_eq!(reason(&error).0, &FailureReason::VolumeBusy);
    assert!(error.to_string().contains("swap on /dev/vd"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_full_an_agent_that_is_killed_is_reported_at_once_with_the_cause() {
    let lab = Lab::new().await;
    let context = shell_container_with(
        "--pid=host",
        "chroot /host systemctl restart cloudd.service || echo restart refused\n\
         sleep 15\n\
         chroot /host systemctl kill --signal=KILL --kill-who=main cloudd.service\n\
         sleep 600\n",
    );
    let (error, story) = fails(&lab, &lab.builder("killed-agent", context.container())).await;
    assert_eq!(reason(&error).0, &FailureReason::Internal);
    assert!(error.to_string().contains("signal (killed KILL)"), "{error}");
    let refused = story.when(
        |update| matches!(update, BuildEventKind::Log { line, .. } if line == "restart refused"),
    );
    let late = story.0.last().unwrap().at - refused.expect("the restart was refused");
    assert!(late < Duration::from_secs(90), "{late:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_without_dracut_the_ways_that_need_it_are_refused_by_name() {
    let lab = Lab::with_base("CLOUDD_TEST_BASE_NODRACUT").await;
    let context = shell_container("echo never run");
    let builder = lab.builder("no-dracut", context.container()).entry(Stage2Entry::Reboot);
    let (error, _) = fails(&lab, &builder).await;
    assert_eq!(reason(&error).0, &FailureReason::DracutMissing);
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_a_guest_that_is_destroyed_in_the_middle_is_noticed_at_once() {
    let lab = Lab::new().await;
    let context = shell_container("echo started; sleep 600");
    let builder = lab.builder("destroyed", context.container());
    let mut destroyed = None;
    let mut domain = String::new();
    let (result, story) = lab
        .build_watched(&*lab.libvirt, &builder, |event, _| match &event.kind {
            BuildEventKind::Created { resource: ResourceId::Vm(vm) } => {
                domain = vm.to_string();
            }
            BuildEventKind::Log { line, .. } if line.contains("started") => {
                let _ = lab.virsh(&["destroy", &domain]);
                destroyed = Some(event.at);
            }
            _ => {}
        })
        .await;
    let error = result.unwrap_err();
    assert!(matches!(error.kind(), BuildErrorKind::PoweredOffEarly { .. }), "{error}");
    nothing_is_left(&lab, &error);
    let took = story.0.last().unwrap().at - destroyed.unwrap();
    assert!(took < Duration::from_secs(30), "{took:?}");
}

/// Builds on a provider that does not do as it is told.
async fn fails_on(lab: &Lab, provider: Faulty<Arc<Libvirt>>, builder: &ImageBuilder) -> BuildError {
    let (result, _) = lab.build_watched(&provider, builder, |_, _| {}).await;
    let error = result.unwrap_err();
    nothing_is_left(lab, &error);
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_full_a_volume_larger_than_the_root_disk_is_refused_before_the_container_runs() {
    let lab = Lab::new().await;
    let context = shell_container("echo never run");
    let provider = Faulty::never(lab.libvirt.clone()).altering_spec(|spec| {
        spec.requirements.volume_size = Size::gib(11);
    });
    let builder = lab.builder("too-large", context.container()).root_size(Size::gib(10));
    let error = fails_on(&lab, provider, &builder).await;
    assert_eq!(reason(&error).0, &FailureReason::ImageTooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_a_volume_that_does_not_appear_is_named() {
    let lab = Lab::new().await;
    let context = shell_container("echo never run");
    let missing = "/dev/disk/by-id/virtio-not-there";
    let provider = Faulty::never(lab.libvirt.clone()).altering_device(move |_| missing.into());
    let error = fails_on(&lab, provider, &lab.builder("no-volume", context.container())).await;
    assert_eq!(reason(&error).0, &FailureReason::VolumeMissing);
    assert!(error.report().to_string().contains(missing), "{error}");
}
