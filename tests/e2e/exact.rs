//! The image is exactly what the container wrote, and it boots.

use cloudd_core::build::{BuildEventKind, ImageBuilder};
use cloudd_core::guest::Stage2Entry;
use cloudd_core::provider::{BuildId, ImageStatus, Provider, Size, keys};
use cloudd_tests::installer::Installer;
use cloudd_tests::lab::Lab;

const DISK: Size = Size::gib(10);

/// Builds by one way into stage 2 and holds the image against what the container wrote.
async fn the_image_is_exact_and_boots(entry: Stage2Entry) {
    let lab = Lab::new().await;
    let installer = Installer::new(16);
    let context = installer.context();
    let container = context.container().build_arg("ARGUMENT", "one").env("VARIABLE", "two $HOME");
    let builder = ImageBuilder::new(format!("exact-{entry}"), container)
        .volume_size(DISK)
        .root_size(DISK)
        .entry(entry);
    let (result, story) = lab.build(&builder).await;
    let image = result.unwrap().image;

    assert_eq!(image.status, ImageStatus::Available);
    assert_eq!(image.disk_size, DISK);
    assert!(story.logged("writing to /dev/"), "the container's output is missing");
    assert!(story.logged("sectors: one, two $HOME"), "argument and variable did not arrive");
    let armed = story.when(
        |update| matches!(update, BuildEventKind::EnteringStage2 { entry: e } if *e == entry),
    );
    assert!(armed.is_some(), "stage 2 was entered another way");
    // What a builder cannot do is told by a note, and goes unseen otherwise: the image is right all the same.
    let fallback = |update: &BuildEventKind| matches!(update, BuildEventKind::Note { message } if !message.starts_with("read "));
    assert!(story.when(fallback).is_none(), "the guest took a second-best way: {story:?}");

    installer.assert_exact(&lab.image_path(&image.id), DISK, DISK);

    let console = lab.boot(&image.id).await;
    assert!(console.contains(installer.nonce()), "the console says {console:?}");

    let build = BuildId::try_from(image.labels.get(keys::BUILD).unwrap().to_owned()).unwrap();
    let ours = lab.resources_of(&build);
    assert!(
        ours.iter().all(|name| name.contains(image.id.as_str())),
        "more than the image: {ours:?}"
    );
    let found = lab.libvirt.image(&image.id).await.unwrap().unwrap();
    assert_eq!(found.labels.get(keys::NAME), Some(format!("exact-{entry}").as_str()));
    lab.libvirt.delete(&image.id.clone().into()).await.unwrap();
    assert_eq!(lab.resources_of(&build), [""; 0], "something is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_the_image_is_exactly_what_the_container_wrote_and_boots() {
    the_image_is_exact_and_boots(Stage2Entry::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_entered_by_kexec_the_image_is_exact_and_boots() {
    the_image_is_exact_and_boots(Stage2Entry::Kexec).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn e2e_entered_by_reboot_the_image_is_exact_and_boots() {
    the_image_is_exact_and_boots(Stage2Entry::Reboot).await;
}
