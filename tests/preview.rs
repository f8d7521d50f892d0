//! A preview lists what a build would do, and changes nothing.

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::build::{
    BootCheck, BuildErrorKind, BuildEventKind, ImageBuilder, PreviewStep, ReadinessProbe,
    ReusePolicy,
};
use cloudd_core::memory::Memory;
use cloudd_core::provider::{ResourceKind, Size};
use cloudd_core::testing::Faulty;
use cloudd_hcloud::Hcloud;
use cloudd_hcloud::client::Token;
use cloudd_tests::containers::Context;
use cloudd_tests::hcloud_sim::{HcloudSim, Inventory};

async fn steps(memory: &Memory, builder: &ImageBuilder) -> Vec<PreviewStep> {
    let before = memory.resources();
    let reading = Faulty::never(memory.clone()).observed(|_, call| {
        let reads = ["resolve", "images", "find", "estimate_cost"];
        assert!(reads.contains(&call), "{call} was called");
    });
    let preview = builder.preview(&reading).await.unwrap();
    assert_eq!(memory.resources(), before);
    preview.steps
}

#[tokio::test(start_paused = true)]
async fn it_names_what_would_be_created_in_order() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let check = BootCheck::new(ReadinessProbe::Tcp(22));
    let builder = ImageBuilder::new("x", context.container()).boot_check(check);
    let create = |kind, size| PreviewStep::Create { kind, size };
    let (volume, root) = (Some(Size::gib(10)), Some(Size::gib(40)));
    let expected = [
        create(ResourceKind::Lease, None),
        create(ResourceKind::Volume, volume),
        create(ResourceKind::Vm, root),
        create(ResourceKind::Image, root),
        PreviewStep::BootCheck,
        PreviewStep::TearDown,
    ];
    assert_eq!(steps(&memory, &builder).await, expected);
}

#[tokio::test(start_paused = true)]
async fn it_names_what_would_be_reused_or_replaced() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let builder = ImageBuilder::new("x", context.container());
    let image = builder.build(&memory).await.unwrap().image.id;
    let reuse = PreviewStep::Reuse { image: image.to_string() };
    assert_eq!(steps(&memory, &builder).await, [reuse]);
    let replaced = steps(&memory, &builder.reuse(ReusePolicy::Replace)).await;
    assert_eq!(replaced.last(), Some(&PreviewStep::Delete { resource: image.into() }));
    assert_eq!(replaced.len(), 6);
}

#[tokio::test(start_paused = true)]
async fn it_tells_a_build_that_is_under_way_from_a_dead_one() {
    let context = Context::plausible();
    let memory = Memory::new().pace(Duration::from_secs(1));
    let builder = ImageBuilder::new("x", context.container());
    let build = builder.start(Arc::new(memory.clone()));
    tokio::time::sleep(Duration::from_secs(5)).await;
    let first = steps(&memory, &builder).await;
    assert!(
        matches!(&first[..], [PreviewStep::Wait { phase, .. }] if phase == "boot"),
        "{first:?}"
    );
    build.kill().await;
    let first = steps(&memory, &builder).await;
    assert!(matches!(&first[0], PreviewStep::Resume { phase, .. } if phase == "boot"), "{first:?}");
}

#[tokio::test]
async fn on_hetzner_a_read_only_token_is_enough_and_the_price_is_exact() {
    let read_only = "r".repeat(64);
    let sim = HcloudSim::builder().speed(100.0).read_only_token(&read_only).start().unwrap();
    let hcloud = Hcloud::builder(Token::new(&read_only).unwrap())
        .endpoint(sim.endpoint())
        .location("fsn1")
        .server_type("cx23")
        .build()
        .unwrap();
    let context = Context::plausible();
    let builder = ImageBuilder::new("x", context.container());
    let preview = builder.preview(&hcloud).await.unwrap();
    assert_eq!(sim.inventory(), Inventory::default());
    assert_eq!(sim.stats().requests_to("POST"), 0);
    // One hour of a cx23 (0.005193) with IPv4 (0.000744) and 10 GB of volume (0.044 a GB and month
    // of 720 hours); 10 GiB of image (0.0119 a GB and month).
    let cost = preview.cost.unwrap();
    assert_eq!((cost.currency.as_str(), cost.build.as_str()), ("EUR", "0.006548"));
    assert_eq!(cost.image_month, "0.127775");
    assert_eq!(preview.time, Some(Duration::from_secs(220)));
    let json = serde_json::to_value(builder.preview(&hcloud).await.unwrap()).unwrap();
    assert_eq!(
        json["steps"][0],
        serde_json::json!({"step": "create", "kind": "lease", "size": null})
    );
    assert_eq!(json["cost"]["build"], "0.006548");
}

#[tokio::test(start_paused = true)]
async fn a_preview_has_the_warnings_that_a_build_tells_before_it_creates_anything() {
    let text = "FROM scratch\nENTRYPOINT [\"/x\"]\nLABEL RUN='podman run -v $DEV:/x IMAGE'\n";
    let (context, memory) = (Context::new(text), Memory::new());
    let builder = ImageBuilder::new("x", context.container());
    let preview = builder.preview(&memory).await.unwrap();
    assert!(preview.notes.len() == 1 && preview.notes[0].contains("line 3"), "{preview:?}");
    assert!(preview.to_string().contains(&format!("\n  ! {}\n", preview.notes[0])), "{preview}");

    let mut build = builder.start(Arc::new(memory));
    let mut events = build.events();
    build.await.unwrap();
    let mut kinds = Vec::new();
    while let Some(event) = events.next().await {
        kinds.push(event.kind);
    }
    let note = BuildEventKind::Note { message: preview.notes[0].clone() };
    let created = kinds.iter().position(|kind| matches!(kind, BuildEventKind::Created { .. }));
    assert!(kinds.iter().position(|kind| *kind == note) < created, "{kinds:?}");
    assert!(kinds.contains(&note), "{kinds:?}");
}

#[tokio::test(start_paused = true)]
async fn a_label_that_gives_half_an_image_shows_in_a_preview_already() {
    let text = "FROM scratch\nENTRYPOINT [\"/x\"]\nLABEL RUN=\"podman run -d IMAGE\"\n";
    let context = Context::new(text);
    let error = ImageBuilder::new("x", context.container()).preview(&Memory::new()).await;
    let error = format!("{:?}", error.unwrap_err());
    assert!(error.contains("--detach"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn bad_input_shows_in_a_preview_already() {
    let context = Context::plausible();
    let error = ImageBuilder::new("a b", context.container()).preview(&Memory::new()).await;
    assert!(matches!(error.unwrap_err().kind(), BuildErrorKind::Input(_)));
}
