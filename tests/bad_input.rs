//! Invalid inputs fail before anything is created, each with an error variant that contains the
//! offending value.

use cloudd_core::build::{BuildError, BuildErrorKind, ImageBuilder, InvalidInput, Phase};
use cloudd_core::install::{InstallContainer, InstallError};
use cloudd_core::memory::Memory;
use cloudd_core::provider::Size;
use cloudd_tests::containers::{Context, noise};

/// Builds on a cloud that must not be changed, and returns the error.
async fn refused(builder: ImageBuilder, memory: Memory) -> BuildError {
    let error = builder.build(&memory).await.unwrap_err();
    assert_eq!(error.phase(), Phase::Plan, "{error}");
    assert_eq!(memory.resources(), [], "{error}");
    assert_eq!(memory.vms_ever_created(), 0);
    error
}

#[tokio::test]
async fn a_context_that_does_not_exist_is_named() {
    let container = InstallContainer::directory("/nonexistent/context");
    let error = refused(ImageBuilder::new("x", container), Memory::new()).await;
    assert!(matches!(
        error.kind(),
        BuildErrorKind::Input(InvalidInput::Container(InstallError::ContextMissing { .. }))
    ));
    assert!(error.report().to_string().contains("/nonexistent/context"), "{error}");
}

#[tokio::test]
async fn a_context_without_containerfile_is_named() {
    let context = Context::plausible();
    std::fs::rename(context.path().join("Containerfile"), context.path().join("other")).unwrap();
    let error = refused(ImageBuilder::new("x", context.container()), Memory::new()).await;
    assert!(error.report().to_string().contains(context.path().to_str().unwrap()), "{error}");
    assert!(error.report().to_string().contains("Containerfile"), "{error}");
}

#[tokio::test]
async fn a_containerfile_without_run_label_is_named() {
    let context = Context::new("FROM scratch\nCOPY x /x\n").file("x", "");
    let error = refused(ImageBuilder::new("x", context.container()), Memory::new()).await;
    assert!(matches!(
        error.kind(),
        BuildErrorKind::Input(InvalidInput::Container(InstallError::RunLabelMissing { .. }))
    ));
}

#[tokio::test]
async fn names_that_cannot_be_labels_are_named() {
    let long = "x".repeat(64);
    for name in ["", "has space", "-dash", "dash-", "a/b", "ümlaut", long.as_str()] {
        let context = Context::plausible();
        let error = refused(ImageBuilder::new(name, context.container()), Memory::new()).await;
        let BuildErrorKind::Input(InvalidInput::Name(told)) = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(told, name);
    }
}

#[tokio::test]
async fn labels_that_break_the_rule_are_named() {
    for (key, value) in [("a b", "x"), ("a", "x y"), ("cloudd/build", "x")] {
        let context = Context::plausible();
        let builder = ImageBuilder::new("x", context.container()).label(key, value);
        let error = refused(builder, Memory::new()).await;
        assert!(matches!(error.kind(), BuildErrorKind::Input(InvalidInput::Label(_))), "{error}");
        assert!(error.report().to_string().contains(key), "{error}");
    }
}

#[tokio::test]
async fn a_volume_larger_than_the_root_disk_is_refused_with_both_sizes() {
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container())
        .volume_size(Size::gib(20))
        .root_size(Size::gib(10));
    let error = refused(builder, Memory::new()).await;
    assert!(error.report().to_string().contains("volume of 20 GiB"), "{error}");
    assert!(error.report().to_string().contains("root disk of 10 GiB"), "{error}");

    // The same if the provider's default root disk is too small.
    let builder = ImageBuilder::new("x", context.container()).volume_size(Size::gib(20));
    let error = refused(builder, Memory::new().root_size(Size::gib(10))).await;
    assert!(matches!(
        error.kind(),
        BuildErrorKind::Input(InvalidInput::VolumeLargerThanRoot { .. })
    ));
}

#[tokio::test]
async fn a_volume_outside_the_provider_limits_is_refused_with_the_limits() {
    let context = Context::plausible();
    let memory = Memory::new().with_capabilities(|capabilities| {
        capabilities.min_volume = Size::gib(10);
        capabilities.max_volume = Size::gib(20);
    });
    for size in [Size::gib(9), Size::gib(21)] {
        let builder = ImageBuilder::new("x", context.container()).volume_size(size);
        let error = refused(builder, memory.clone()).await;
        assert!(error.report().to_string().contains(&size.to_string()), "{error}");
        assert!(error.report().to_string().contains("from 10 GiB to 20 GiB"), "{error}");
    }
}

#[tokio::test]
async fn a_context_that_cannot_be_delivered_is_refused_with_its_size() {
    let context = Context::plausible().file("noise", noise(60_000));
    let memory = Memory::new().with_capabilities(|capabilities| capabilities.context.clear());
    let error = refused(ImageBuilder::new("x", context.container()), memory).await;
    let BuildErrorKind::Input(InvalidInput::Undeliverable { limit, user_data, .. }) = error.kind()
    else {
        panic!("{error}");
    };
    assert_eq!(*limit, 32 * 1024);
    assert!(user_data > limit);
}

#[tokio::test]
async fn user_data_that_never_fit_are_refused_with_their_size() {
    let memory = Memory::new().with_capabilities(|capabilities| {
        capabilities.user_data.max_bytes = 1024;
    });
    let container = InstallContainer::reference("registry.example/installer:1");
    let error = refused(ImageBuilder::new("x", container), memory).await;
    assert!(
        matches!(error.kind(), BuildErrorKind::Input(InvalidInput::UserDataTooLarge { .. })),
        "{error}"
    );
}
