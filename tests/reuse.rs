//! Reuse of existing images, and retention.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::build::{BuildEventKind, ImageBuilder, ReusePolicy};
use cloudd_core::guest::Step;
use cloudd_core::memory::{GuestScript, Memory};
use cloudd_core::provider::{
    ErrorKind, Fingerprint, Image, ImageStatus, Provider, ResourceId, Size, keys,
};
use cloudd_core::retention;
use cloudd_core::testing::{Fault, Faulty};
use cloudd_hcloud::client::Token;
use cloudd_hcloud::{BaseImage, Hcloud};
use cloudd_tests::containers::Context;
use cloudd_tests::hcloud_sim::HcloudSim;

fn images(memory: &Memory) -> Vec<String> {
    let ids = memory.resources().into_iter().map(|id| match id {
        ResourceId::Image(id) => id.to_string(),
        other => panic!("{other} is left"),
    });
    let mut ids: Vec<_> = ids.collect();
    ids.sort_by_key(|id| id.parse::<u64>().unwrap());
    ids
}

async fn build(memory: &Memory, builder: &ImageBuilder) -> Image {
    builder.build(memory).await.unwrap().image
}

#[tokio::test(start_paused = true)]
async fn a_second_build_returns_the_image_and_writes_nothing() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let builder = ImageBuilder::new("leap", context.container());
    let first = build(&memory, &builder).await;
    // A provider that rejects writes.
    let reading = Faulty::never(memory.clone()).observed(|_, call| {
        let reads = ["resolve", "images", "find", "image"];
        assert!(reads.contains(&call), "{call} was called");
    });
    let mut again = builder.start(Arc::new(reading.clone()));
    let mut events = again.events();
    assert_eq!(again.await.unwrap().image, first);
    let mut reused = None;
    while let Some(event) = events.next().await {
        if let BuildEventKind::Reused { image } = event.kind {
            reused = Some(image);
        }
    }
    assert_eq!(reused, Some(first.id));
    assert_eq!((memory.vms_ever_created(), memory.images_ever_made()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn each_input_of_the_image_changes_the_fingerprint() {
    let memory = Memory::new();
    let context = Context::plausible();
    let builder = |name: &str| ImageBuilder::new(name, context.container());
    let other = Context::plausible().file("motd", b"changed");
    let builders = [
        builder("leap"),
        builder("tumbleweed"),
        builder("leap").volume_size(Size::gib(11)),
        ImageBuilder::new("leap", other.container()),
        ImageBuilder::new("leap", context.container().env("STREAM", "testing")),
    ];
    for (made, builder) in builders.iter().enumerate() {
        build(&memory, builder).await;
        assert_eq!(memory.images_ever_made(), made + 1, "{builder:?}");
    }
    // Inputs that do not influence the image do not change the fingerprint.
    build(&memory, &builder("leap").description("another").label("team", "b")).await;
    build(&memory, &builder("leap").root_size(Size::gib(41))).await;
    assert_eq!(memory.images_ever_made(), builders.len());
}

/// The image and the notes of a build.
async fn noted<P: Provider + Clone>(provider: &P, builder: &ImageBuilder) -> (Image, Vec<String>) {
    let mut run = builder.start(Arc::new(provider.clone()));
    let mut events = run.events();
    let image = run.await.unwrap().image;
    let mut notes = Vec::new();
    while let Some(event) = events.next().await {
        if let BuildEventKind::Note { message } = event.kind {
            notes.push(message);
        }
    }
    (image, notes)
}

#[tokio::test(start_paused = true)]
async fn an_image_with_a_larger_disk_than_is_wanted_is_reused_and_the_build_and_its_preview_say_so()
{
    let (context, memory) = (Context::plausible(), Memory::new().root_size(Size::gib(80)));
    let builder = ImageBuilder::new("leap", context.container());
    let (first, notes) = noted(&memory, &builder).await;
    assert_eq!(notes, Vec::<String>::new());

    let by_type = (memory.clone().root_size(Size::gib(40)), builder.clone());
    let by_option = (memory.clone(), builder.clone().root_size(Size::gib(40)));
    for (memory, builder) in [by_type, by_option] {
        let preview = builder.preview(&memory).await.unwrap();
        let (again, notes) = noted(&memory, &builder).await;
        assert_eq!((again, memory.vms_ever_created()), (first.clone(), 1));
        let [note] = &notes[..] else { panic!("{notes:?}") };
        for part in [first.id.as_str(), "80 GiB", "40 GiB", "ReusePolicy"] {
            assert!(note.contains(part), "{note} does not contain {part}");
        }
        assert_eq!(preview.notes, notes);
        assert!(preview.to_string().contains(note), "{preview}");
    }
    // A smaller disk suits every server type that a larger one suits.
    let larger = memory.clone().root_size(Size::gib(160));
    let (again, notes) = noted(&larger, &builder).await;
    assert_eq!((again, notes), (first, Vec::new()));
    assert_eq!(builder.preview(&larger).await.unwrap().notes, Vec::<String>::new());
}

#[tokio::test]
async fn on_hetzner_a_new_base_image_and_a_server_type_that_is_sold_out_make_no_new_image() {
    const SPEED: f64 = 200.0;
    let sim = HcloudSim::start(SPEED);
    let hcloud = |base: &str, server_type: &str| {
        let builder = Hcloud::builder(Token::new(HcloudSim::TOKEN).unwrap());
        let builder = builder.endpoint(sim.endpoint()).clock_speed(SPEED).location("fsn1");
        let builder = builder.expected_run_time(Duration::from_secs(120).div_f64(SPEED));
        let builder = builder.base_image(BaseImage::Name(base.to_owned())).ssh_port(1);
        builder.server_type(server_type).build().unwrap()
    };
    let context = Context::plausible();
    let builder = ImageBuilder::new("leap", context.container()).trust_power_off();
    // As if a cx23, whose disk has 40 GB, could not be ordered.
    let (first, _) = noted(&hcloud("fedora-42", "cx33"), &builder).await;
    let size = first.disk_size;
    assert_eq!(size, Size::bytes(80_000_000_000));
    for (base, server_type) in [("fedora-43", "cx33"), ("fedora-42", "cx23"), ("fedora-43", "cx23")]
    {
        let (again, notes) = noted(&hcloud(base, server_type), &builder).await;
        assert_eq!((again.id, sim.servers_ever_created()), (first.id.clone(), 1), "{base}");
        let said = notes.iter().filter(|note| note.contains(&size.to_string())).count();
        assert_eq!(said, usize::from(server_type == "cx23"), "{base} on {server_type}: {notes:?}");
    }
    let larger = builder.volume_size(Size::gib(11));
    let (other, _) = noted(&hcloud("fedora-42", "cx33"), &larger).await;
    assert_ne!(other.id, first.id);
}

#[tokio::test(start_paused = true)]
async fn a_fingerprint_is_the_same_on_every_machine() {
    use std::os::unix::fs::PermissionsExt as _;
    let (context, memory) = (Context::plausible(), Memory::new());
    // Independent of the umask.
    let mode = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(context.path().join("Containerfile"), mode).unwrap();
    let image = build(&memory, &ImageBuilder::new("leap", context.container())).await;
    let fingerprint = image.labels.get(keys::FINGERPRINT).unwrap().to_owned();
    assert!(Fingerprint::try_from(fingerprint.clone()).is_ok());
    // A change of the hashed inputs requires a new pipeline number and a new value here.
    assert_eq!(fingerprint, "ff6f4cca4125c87f349bef972575a6c44383195e");
}

#[tokio::test(start_paused = true)]
async fn forced_builds_keep_or_replace_existing_images() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let builder = ImageBuilder::new("leap", context.container());
    let first = build(&memory, &builder).await;
    let second = build(&memory, &builder.clone().reuse(ReusePolicy::Never)).await;
    assert_eq!(images(&memory).len(), 2);
    assert_ne!(first.id, second.id);
    // Of several suitable images, the newest is returned.
    assert_eq!(build(&memory, &builder).await.id, second.id);

    memory.tamper_image(&first.id, |image| image.protected = true);
    let third = build(&memory, &builder.reuse(ReusePolicy::Replace)).await;
    assert_eq!(images(&memory), [first.id.to_string(), third.id.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn a_forced_build_that_fails_leaves_the_old_image() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let builder = ImageBuilder::new("leap", context.container()).reuse(ReusePolicy::Replace);
    let first = build(&memory, &builder).await;
    let failing = memory.clone().guests(GuestScript::PoweredOffIn(Step::Run));
    builder.build(&failing).await.unwrap_err();
    assert_eq!(images(&memory), [first.id.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn by_name_the_newest_image_is_returned_for_any_fingerprint() {
    let memory = Memory::new();
    let (old, new) = (Context::plausible(), Context::plausible().file("x", b"y"));
    let first = build(&memory, &ImageBuilder::new("leap", old.container())).await;
    let by_name = ImageBuilder::new("leap", new.container()).reuse(ReusePolicy::SameName);
    assert_eq!(build(&memory, &by_name).await.id, first.id);
    let other = ImageBuilder::new("other", new.container()).reuse(ReusePolicy::SameName);
    assert_ne!(build(&memory, &other).await.id, first.id);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_not_available_is_not_reused() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let builder = ImageBuilder::new("leap", context.container());
    let first = build(&memory, &builder).await;
    memory.tamper_image(&first.id, |image| image.status = ImageStatus::Broken);
    assert_ne!(build(&memory, &builder).await.id, first.id);
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_deleted_while_it_is_reused_is_built_anew() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let builder = ImageBuilder::new("leap", context.container());
    let first = ResourceId::from(build(&memory, &builder).await.id);
    let (elsewhere, deleted) = (memory.clone(), first.clone());
    // Between the search and the return of the image.
    let provider = Faulty::never(memory.clone()).observed(move |_, call| {
        if call == "find" {
            elsewhere.lose(&deleted);
        }
    });
    let again = builder.build(&provider).await.unwrap().image;
    assert_ne!(ResourceId::from(again.id.clone()), first);
    assert_eq!(images(&memory), [again.id.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn the_newest_images_of_a_name_are_kept_and_protected_ones_do_not_count() {
    let memory = Memory::new();
    let keep = NonZeroUsize::new(2).unwrap();
    let mut made = Vec::new();
    for version in 0..4 {
        let context = Context::plausible().file("version", format!("{version}").as_bytes());
        let builder = ImageBuilder::new("leap", context.container());
        let image = build(&memory, &builder.keep_newest(keep)).await;
        if version == 0 {
            memory.tamper_image(&image.id, |image| image.protected = true);
        }
        made.push(image.id.to_string());
    }
    assert_eq!(images(&memory), [made[0].clone(), made[2].clone(), made[3].clone()]);

    let context = Context::plausible();
    let other = build(&memory, &ImageBuilder::new("other", context.container())).await;
    let one = NonZeroUsize::MIN;
    let architecture = cloudd_core::provider::Architecture::X86_64;
    let retained = retention::keep_newest(&memory, "leap", architecture, one).await.unwrap();
    assert_eq!(retained.deleted.len(), 1);
    assert_eq!(images(&memory), [made[0].clone(), made[3].clone(), other.id.to_string()]);
}

#[tokio::test(start_paused = true)]
async fn the_returned_image_is_kept_though_an_older_one_claims_to_be_newer_or_of_unknown_age() {
    for created in [u64::MAX, 3600 * 24, 0] {
        let memory = Memory::new();
        let (old, new) = (Context::plausible(), Context::plausible().file("x", b"y"));
        let first = build(&memory, &ImageBuilder::new("leap", old.container())).await;
        // The clock of the machine that created it is ahead, or its age cannot be read.
        memory.tamper_image(&first.id, |image| image.created = created);
        let builder = ImageBuilder::new("leap", new.container()).keep_newest(NonZeroUsize::MIN);
        let second = build(&memory, &builder).await;
        assert_eq!(images(&memory), [first.id.to_string(), second.id.to_string()], "{created}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_image_that_cannot_be_deleted_does_not_fail_the_build() {
    let (context, memory) = (Context::plausible(), Memory::new());
    let builder = ImageBuilder::new("leap", context.container());
    build(&memory, &builder).await;
    let replacing = builder.reuse(ReusePolicy::Replace);
    // The first deletion is that of the old image.
    let at = position_of("delete", &replacing).await;
    let faulty = Faulty::new(memory.clone(), at, Fault::Fails(ErrorKind::Failed));
    let mut run = replacing.start(Arc::new(faulty));
    let mut events = run.events();
    run.await.unwrap();
    let mut told = false;
    while let Some(event) = events.next().await {
        told |= matches!(event.kind, BuildEventKind::Note { message } if message.contains("was not deleted"));
    }
    assert!(told, "no event says that the old image stays");
    assert_eq!(images(&memory).len(), 2);
}

/// The index of the first call of this name in a build that replaces an image.
async fn position_of(call: &'static str, builder: &ImageBuilder) -> usize {
    let memory = Memory::new();
    build(&memory, builder).await;
    let first = Arc::new(std::sync::OnceLock::new());
    let found = first.clone();
    let provider = Faulty::never(memory).observed(move |number, name| {
        if name == call {
            found.get_or_init(|| number);
        }
    });
    builder.build(&provider).await.unwrap();
    *first.get().unwrap()
}
