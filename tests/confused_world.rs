//! If other programs change or delete the resources of a build, it recovers or fails with a specific
//! error, and leaves nothing.

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::build::{
    BuildError, BuildErrorKind, BuildEventKind, BuiltImage, Deadlines, ImageBuilder,
};
use cloudd_core::memory::Memory;
use cloudd_core::provider::{
    ErrorKind, ImageStatus, Labels, Provider as _, ResourceId, ResourceKind, Selector, keys,
};
use cloudd_core::sweep::Sweep;
use cloudd_hcloud::Hcloud;
use cloudd_hcloud::client::Token;
use cloudd_tests::console::Console;
use cloudd_tests::containers::Context;
use cloudd_tests::hcloud_sim::{HcloudSim, Inventory};
use cloudd_tests::killed::killed_after;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use reqwest::Method;
use tokio::time::{sleep, timeout};

const SECOND: Duration = Duration::from_secs(1);

/// The labels of cloudd that are edited.
const KEYS: [&str; 9] = [
    keys::NAME,
    keys::FINGERPRINT,
    keys::BUILD,
    keys::PHASE,
    keys::HOLDER,
    keys::LEASE,
    keys::FENCING_TOKEN,
    keys::EXPIRES,
    keys::ARCHITECTURE,
];

type Built = Result<BuiltImage, BuildError>;

fn slow() -> Memory {
    Memory::new().pace(SECOND).image_time(SECOND * 10)
}

fn builder(context: &Context) -> ImageBuilder {
    ImageBuilder::new("leap", context.container()).trust_power_off()
}

/// The first resource of this kind, if there is one.
fn one(memory: &Memory, kind: ResourceKind) -> Option<ResourceId> {
    memory.resources().into_iter().find(|id| id.kind() == kind)
}

/// The existing resources, except the image of the build and the leftovers that its error lists.
fn unlisted(memory: &Memory, built: &Built) -> Vec<ResourceId> {
    let told = match built {
        Ok(built) => vec![ResourceId::Image(built.image.id.clone())],
        Err(error) => error.remaining().to_vec(),
    };
    let mut left = memory.resources();
    left.retain(|id| !told.contains(id));
    left
}

/// The resources that remain, except available images, after a sweep when everything has expired.
async fn left_after_a_sweep(memory: &Memory) -> Vec<ResourceId> {
    for id in memory.resources() {
        memory.relabel(&id, |labels| *labels = edited(labels, keys::EXPIRES, Some("1")));
    }
    let swept = Sweep::find(memory).await.unwrap().run(memory).await;
    drop(swept); // resources that could not be deleted still exist
    let mut left = memory.resources();
    left.retain(|id| id.kind() != ResourceKind::Image);
    left
}

/// Runs a build and changes the cloud from outside after a while. Panics if the build hangs.
async fn disturbed(
    memory: &Memory,
    builder: &ImageBuilder,
    after: Duration,
    act: impl AsyncFnOnce(&Memory),
) -> Built {
    let disturb = async {
        sleep(after).await;
        act(memory).await;
    };
    let build = timeout(SECOND * 24 * 3600, builder.build(memory));
    tokio::join!(build, disturb).0.expect("it ends within a day")
}

/// The same, but the process of the build dies at that point and another one is started.
async fn died(
    memory: &Memory,
    builder: &ImageBuilder,
    after: Duration,
    act: impl AsyncFnOnce(&Memory),
) -> Built {
    killed_after(after, builder, memory).await;
    act(memory).await;
    timeout(SECOND * 24 * 3600, builder.build(memory)).await.expect("it ends within a day")
}

#[tokio::test(start_paused = true)]
async fn edited_labels_leave_nothing_that_a_sweep_cannot_find() {
    let context = Context::plausible();
    let builder = builder(&context);
    let (mut built, mut failed, mut swept) = (0, 0, 0);
    for kind in [ResourceKind::Lease, ResourceKind::Volume, ResourceKind::Vm, ResourceKind::Image] {
        for key in KEYS {
            for value in [None, Some("edited"), Some("0.0"), Some("17")] {
                for seconds in [5, 15, 27] {
                    for dies in [false, true] {
                        let memory = slow();
                        let (mut hit, after) = (None, SECOND * seconds + SECOND / 2);
                        let edit = async |memory: &Memory| {
                            hit = one(memory, kind);
                            if let Some(id) = &hit {
                                memory.relabel(id, |labels| *labels = edited(labels, key, value));
                            }
                        };
                        let result = match dies {
                            true => died(&memory, &builder, after, edit).await,
                            false => disturbed(&memory, &builder, after, edit).await,
                        };
                        let case = format!("{kind} {key}={value:?} at {seconds} s, died: {dies}");
                        let left = unlisted(&memory, &result);
                        match &result {
                            Ok(_) => built += 1,
                            Err(error) => {
                                failed += 1;
                                let gone =
                                    matches!(error.kind(), BuildErrorKind::PoweredOffEarly { .. });
                                let text = error.to_string();
                                let named = ["not the labels of a lease", "it is attached to VM"];
                                assert!(
                                    gone || named.iter().any(|part| text.contains(part)),
                                    "{case}: {error}"
                                );
                            }
                        }
                        swept += usize::from(!left.is_empty());
                        let left = left_after_a_sweep(&memory).await;
                        // A resource without cloudd's labels remains, and it may have a volume attached.
                        let foreign = key == keys::BUILD && dies;
                        assert!(left.is_empty() || foreign, "{case}: {left:?}");
                    }
                }
            }
        }
    }
    println!("{built} built, {failed} failed with a name, {swept} of them left work for a sweep");
    assert!(failed * 10 < built, "{failed}");
}

fn edited(labels: &Labels, key: &str, value: Option<&str>) -> Labels {
    let others = labels.iter().filter(|(it, _)| *it != key);
    let others = others.map(|(key, value)| (key.clone(), value.clone()));
    Labels::from_iter(others.chain(value.map(|value| (key.to_owned(), value.to_owned()))))
}

/// What labels from outside may contain: any text, and what is near the forms that cloudd reads.
fn label_value() -> impl Strategy<Value = String> {
    prop_oneof![
        1 => any::<String>(),
        1 => any::<i128>().prop_map(|number| number.to_string()),
        4 => (u64::MAX - 9000..=u64::MAX).prop_map(|number| number.to_string()),
        1 => (any::<u64>(), any::<u64>()).prop_map(|(a, b)| format!("{a}.{b}")),
        1 => "[0-9a-f]{16}\\.[0-9]{1,30}\\.[0-9]{1,30}(\\.[a-z0-9]{0,12})?",
        1 => Just(format!("{0}.{0}", u64::MAX)),
        1 => Just("x".repeat(100_000)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn no_label_value_panics_a_build_or_a_sweep_or_hides_a_resource_from_the_sweep(
        // Leases have most labels that are read.
        kind in prop_oneof![Just(0usize), 0..4usize], half in 0u32..70, dies: bool,
        values in vec(option::weighted(0.4, label_value()), KEYS.len()),
    ) {
        let kind = [
            ResourceKind::Lease, ResourceKind::Volume, ResourceKind::Vm, ResourceKind::Image,
        ][kind];
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        let left = runtime.block_on(async {
            let (memory, context) = (slow(), Context::plausible());
            let edit = async |memory: &Memory| {
                if let Some(id) = one(memory, kind) {
                    memory.relabel(&id, |labels| {
                        for (key, value) in KEYS.iter().zip(&values) {
                            if value.is_some() {
                                *labels = edited(labels, key, value.as_deref());
                            }
                        }
                    });
                    let _ = Sweep::find(memory).await.unwrap().run(memory).await;
                }
            };
            let (builder, after) = (builder(&context), SECOND / 2 * half);
            let _ = match dies {
                true => died(&memory, &builder, after, edit).await,
                false => disturbed(&memory, &builder, after, edit).await,
            };
            left_after_a_sweep(&memory).await
        });
        // A resource whose label of the build was changed is not known to be of a build.
        let build = KEYS.iter().position(|key| *key == keys::BUILD).unwrap();
        prop_assert!(left.is_empty() || values[build].is_some(), "{left:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_resource_deleted_from_outside_at_any_moment_leaves_nothing() {
    let context = Context::plausible();
    let builder = builder(&context);
    let (mut built, mut failed) = (0, 0);
    for kind in [ResourceKind::Lease, ResourceKind::Volume, ResourceKind::Vm, ResourceKind::Image] {
        for half in 0..72 {
            for dies in [false, true] {
                let memory = slow();
                let delete = async |memory: &Memory| {
                    if let Some(id) = one(memory, kind) {
                        // An attached volume cannot be deleted.
                        memory.delete(&id).await.ok();
                    }
                };
                let after = SECOND / 2 * half + SECOND / 4;
                let result = match dies {
                    true => died(&memory, &builder, after, delete).await,
                    false => disturbed(&memory, &builder, after, delete).await,
                };
                let case = format!("{kind} after {half} half seconds, died: {dies}");
                match &result {
                    Ok(_) => built += 1,
                    Err(error) => {
                        failed += 1;
                        let BuildErrorKind::Provider(cause) = error.kind() else {
                            panic!("{error}")
                        };
                        let gone = [ErrorKind::Gone, ErrorKind::NotFound];
                        assert!(gone.contains(&cause.kind()), "{case}: {error}");
                    }
                }
                // Without a lease the death of a process is not detected; a sweep deletes after the expiry.
                let left = match dies && kind == ResourceKind::Lease {
                    true => left_after_a_sweep(&memory).await,
                    false => unlisted(&memory, &result),
                };
                assert_eq!(left, [], "{case}: {result:?}");
            }
        }
    }
    println!("{built} built their image, {failed} ended with the error that it is gone");
}

#[tokio::test(start_paused = true)]
async fn an_image_that_is_never_completed_is_an_error_and_is_deleted_after_recovery_too() {
    let context = Context::plausible();
    let mut deadlines = Deadlines::default();
    deadlines.image = SECOND * 60;
    let builder = builder(&context).deadlines(deadlines);
    for dies in [false, true] {
        let memory = Memory::new().pace(SECOND).image_time(SECOND * 1_000_000);
        if dies {
            timeout(SECOND * 40, builder.build(&memory)).await.unwrap_err();
            let vm = one(&memory, ResourceKind::Vm).unwrap();
            memory.delete(&vm).await.unwrap();
        }
        let error = builder.build(&memory).await.unwrap_err();
        let BuildErrorKind::Deadline { waiting_for: "image", after } = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(*after, SECOND * 60);
        assert_eq!(memory.resources(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn clocks_that_differ_by_an_hour_cause_no_takeover_and_no_sweep() {
    const HOUR: i64 = 3600;
    let context = Context::plausible();
    let builder = builder(&context);
    for skew in [-HOUR, HOUR, -1000 * HOUR, 1000 * HOUR] {
        let memory = slow();
        // The labels of a build on another machine with a wrong clock.
        let elsewhere = async |memory: &Memory| {
            for resource in memory.find(&Selector::all()).await.unwrap() {
                memory.relabel(&resource.id, |labels| {
                    let expires = labels.get(keys::EXPIRES).unwrap().parse::<i64>().unwrap();
                    let expires = (expires + skew).to_string();
                    *labels = edited(labels, keys::EXPIRES, Some(&expires));
                    if resource.id.kind() == ResourceKind::Lease {
                        let owner = "feedfeedfeedfeed.7.7.somebody";
                        *labels = edited(labels, keys::HOLDER, Some(owner));
                    }
                });
            }
            if skew.abs() == HOUR {
                assert_eq!(Sweep::find(memory).await.unwrap().leftovers(), []);
            }
            let other = builder.build(memory).await.unwrap();
            assert_eq!(memory.vms_ever_created(), 1);
            assert_eq!(memory.images_ever_made(), 1);
            assert_eq!(other.image.status, ImageStatus::Available);
        };
        let image = disturbed(&memory, &builder, SECOND * 5, elsewhere).await.unwrap();
        assert_eq!(memory.resources(), [ResourceId::Image(image.image.id)], "{skew}");
    }
}

#[tokio::test]
async fn a_volume_detached_before_the_start_of_its_server_is_an_error_and_leaves_nothing() {
    const SPEED: f64 = 100.0;
    let (sim, context) = (HcloudSim::start(SPEED), Context::plausible());
    let hcloud = || {
        Hcloud::builder(Token::new(HcloudSim::TOKEN).unwrap())
            .endpoint(sim.endpoint())
            .clock_speed(SPEED)
            .expected_run_time(SECOND * 120 / 100)
            .ssh_port(1)
            .build()
            .unwrap()
    };
    let (builder, first) = (builder(&context), hcloud());
    let mut build = builder.start(Arc::new(first));
    let mut events = build.events();
    let there = async {
        while let Some(event) = events.next().await {
            if matches!(event.kind, BuildEventKind::Created { resource: ResourceId::Vm(_) }) {
                return;
            }
        }
        panic!("no VM");
    };
    there.await;
    build.kill().await;
    let console = Console::new(&sim);
    let volume = console.ids("/volumes").await[0];
    let path = format!("/volumes/{volume}/actions/detach");
    console.send(Method::POST, &path, None).await;
    let is_detached = || async {
        let body = console.send(Method::GET, &format!("/volumes/{volume}"), None).await;
        body["volume"]["server"].is_null()
    };
    while !is_detached().await {
        sleep(SECOND / 100).await;
    }

    let error = builder.build(&hcloud()).await.unwrap_err();
    assert!(error.to_string().contains("was detached or replaced"), "{error}");
    assert_eq!(sim.inventory(), Inventory::default(), "{error}");
    let image = builder.build(&hcloud()).await.unwrap();
    assert_eq!(sim.inventory().images[0].id.to_string(), image.image.id.as_str());
}
