//! Builds on the simulated Hetzner Cloud, over HTTP.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use cloudd_core::build::{BuildError, BuildErrorKind, BuildEventKind, ImageBuilder};
use cloudd_core::provider::{
    Architecture, BuildId, BuildRequirements, BuilderSpec, BuilderVm, Error, ErrorKind, Image,
    ImageId, ImageStatus, Labels, LeaseSpec, Provider, Report, Reporter, Size, UserDataTemplate,
    keys,
};
use cloudd_core::testing::{Fixture, GuestBehaviour, run_all};
use cloudd_hcloud::client::{DeleteProtection, Token};
use cloudd_hcloud::schema::{Addresses, ServerId, ServerStatus};
use cloudd_hcloud::{BaseImage, Hcloud, HcloudBuilder, ServerSpec};
use cloudd_tests::containers::Context;
use cloudd_tests::hcloud_sim::{
    Contents, Durations, Faults, GuestTimes, HcloudSim, Inventory, Quotas,
};
use cloudd_tests::process::{Process, command};

fn provider(sim: &HcloudSim, speed: f64) -> HcloudBuilder {
    Hcloud::builder(Token::new(HcloudSim::TOKEN).unwrap())
        .endpoint(sim.endpoint())
        .clock_speed(speed)
        .expected_run_time(Duration::from_secs(120).div_f64(speed))
        // These guests have no sshd, and the machine that runs the tests may have one on port 22.
        .ssh_port(1)
}

/// The speed of the simulated time in measurements of delays. `make bench-api` sets a lower one: at
/// speed 20, each 50 ms of load on this machine count as a second.
fn speed(usually: f64) -> f64 {
    std::env::var("HCLOUD_SIM_SPEED").map_or(usually, |speed| speed.parse().unwrap())
}

/// Asserts that only one image exists and that it contains the installed data.
fn only(sim: &HcloudSim, image: &ImageId) {
    let Inventory { servers, volumes, images, ssh_keys } = sim.inventory();
    assert_eq!((servers, volumes, ssh_keys), (vec![], vec![], vec![]));
    assert_eq!(images.len(), 1, "{images:?}");
    assert_eq!(images[0].id.to_string(), image.as_str());
    assert_eq!(images[0].status, "available");
    assert_eq!(sim.contents(images[0].id), Contents::Installed);
}

async fn build(hcloud: &Hcloud) -> Result<Image, BuildError> {
    build_named(hcloud, "leap").await
}

async fn build_named(hcloud: &Hcloud, name: &str) -> Result<Image, BuildError> {
    let context = Context::plausible();
    let builder = ImageBuilder::new(name, context.container()).label("team", "infra");
    // These guests send no events.
    let builder = builder.trust_power_off();
    builder.build(hcloud).await.map(|built| built.image)
}

#[tokio::test]
async fn hetzner_keeps_the_contract() {
    let sim = HcloudSim::start(100.0);
    let hcloud = provider(&sim, 100.0).build().unwrap();
    let (client, protector) = (hcloud.client().clone(), hcloud.client().clone());
    let fixture = Fixture::new(Architecture::X86_64, Size::gib(10), GuestBehaviour::StaysOn)
        .power_off(move |vm| {
            let client = client.clone();
            Box::pin(async move {
                let server = ServerId(vm.as_str().parse().unwrap());
                let action = client.power_off(server).await?;
                client.wait([action], Duration::from_secs(60)).await?;
                Ok(())
            })
        })
        .protect_image(move |image, on| {
            let client = protector.clone();
            let wanted = if on { DeleteProtection::On } else { DeleteProtection::Off };
            Box::pin(async move {
                let image = cloudd_hcloud::schema::ImageId(image.as_str().parse().unwrap());
                let action = client.protect_image(image, wanted).await?;
                client.wait([action], Duration::from_secs(60)).await?;
                Ok(())
            })
        });
    let report = run_all(&hcloud, &fixture).await;
    let skipped: Vec<_> = report.skipped.iter().map(|skipped| skipped.check).collect();
    let without_channel_and_console = [
        "the hello of a guest is received",
        "receive waits before the first start",
        "receive ends after power-off",
        "the console of a guest is shown",
        "the console of a VM from an image is shown",
    ];
    assert_eq!(skipped, without_channel_and_console, "{report}");
    assert_eq!(sim.inventory(), Inventory::default());
}

#[tokio::test]
async fn api_of_one_build_and_it_leaves_an_available_image_with_labels_and_nothing_else() {
    let speed = speed(25.0);
    let sim = HcloudSim::start(speed);
    let hcloud = provider(&sim, speed).build().unwrap();
    let image = build(&hcloud).await.unwrap();
    let stats = sim.stats();

    only(&sim, &image.id);
    assert_eq!(image.status, ImageStatus::Available);
    let held = &sim.inventory().images[0];
    for (key, value) in [(keys::NAME, "leap"), ("team", "infra"), (keys::ARCHITECTURE, "x86_64")] {
        assert_eq!(image.labels.get(key), Some(value));
        assert_eq!(held.labels.get(key).map(String::as_str), Some(value));
    }
    for key in [keys::BUILD, keys::FINGERPRINT] {
        assert!(image.labels.get(key).is_some(), "{key} is missing");
    }
    let delay = stats.mean_delay().unwrap();
    println!("one build: {} requests, mean delay {delay:?}", stats.requests);
    for (route, count) in &stats.by_route {
        println!("  {count} {route}");
    }
    assert!(stats.requests <= 25, "{:?}", stats.by_route);
    // Depends on the load of the machine, so only `make bench-api` asserts it.
    if std::env::var_os("HCLOUD_SIM_SPEED").is_some() {
        assert!(delay <= Duration::from_secs(2), "{:?}", stats.ended);
    }
}

#[tokio::test]
async fn a_server_starts_from_the_image_in_one_call() {
    let sim = HcloudSim::start(200.0);
    let hcloud = provider(&sim, 200.0).build().unwrap();
    let image = build(&hcloud).await.unwrap();
    let spec = ServerSpec::new("web-1", image.id).location("nbg1").user_data("#cloud-config\n{}");
    let server = hcloud.start_server(spec).await.unwrap();
    assert_eq!(server.status, ServerStatus::Running);
    assert_eq!(server.location.unwrap().name, "nbg1");
    let inventory = sim.inventory();
    assert_eq!(inventory.servers.len(), 1);
    assert_eq!(inventory.servers[0].name, "web-1");
    assert_eq!(inventory.servers[0].status, "running");
}

#[tokio::test]
async fn a_server_with_the_labels_of_its_image_is_refused() {
    let sim = HcloudSim::start(200.0);
    let hcloud = provider(&sim, 200.0).build().unwrap();
    let image = build(&hcloud).await.unwrap();
    let spec = ServerSpec::new("web-1", image.id).labels(image.labels);
    let error = hcloud.start_server(spec).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let report = format!("{error}: {}", std::error::Error::source(&error).unwrap());
    assert!(report.contains("prefix cloudd/ is reserved"), "{report}");
    assert!(sim.inventory().servers.is_empty());
}

#[tokio::test]
async fn a_server_that_ends_by_itself_at_once_was_started() {
    let times = GuestTimes { installed: Some(Duration::ZERO), ..GuestTimes::default() };
    let sim = HcloudSim::builder().speed(200.0).guest_times(times).start().unwrap();
    let hcloud = provider(&sim, 200.0).build().unwrap();
    let image = build(&hcloud).await.unwrap();
    let started = hcloud.start_server(ServerSpec::new("job-1", image.id));
    let server = tokio::time::timeout(Duration::from_secs(10), started).await.unwrap().unwrap();
    assert_eq!(server.status, ServerStatus::Off);
    assert_eq!(sim.inventory().servers.len(), 1);
}

#[tokio::test]
async fn a_build_falls_back_to_a_location_with_capacity() {
    let sim = HcloudSim::start(200.0);
    // sin has no capacity for volumes, ash none for servers of this type.
    let hcloud = provider(&sim, 200.0)
        .server_type("cpx21")
        .location("sin")
        .location("ash")
        .location("hil")
        .build()
        .unwrap();
    let image = build(&hcloud).await.unwrap();
    only(&sim, &image.id);
    assert_eq!(sim.stats().requests_to("POST /volumes"), 3);
    assert_eq!(sim.stats().requests_to("POST /servers"), 2 + sim_server_actions(&sim));

    let hcloud =
        provider(&sim, 200.0).server_type("cpx21").location("sin").location("ash").build().unwrap();
    let error = build_named(&hcloud, "another").await.unwrap_err();
    let BuildErrorKind::Provider(cause) = error.kind() else { panic!("{error}") };
    assert_eq!(cause.kind(), ErrorKind::Unavailable);
    let text = error.to_string();
    for tried in ["volume in sin: no_space_left_in_location", "cpx21 in ash: placement_error"] {
        assert!(text.contains(tried), "{text}");
    }
    only(&sim, &image.id);
}

#[tokio::test]
async fn a_location_that_is_disabled_for_the_account_is_not_called_one_without_capacity() {
    let disabled = |names: &[&str]| Quotas {
        disabled_locations: names.iter().map(ToString::to_string).collect(),
        ..Quotas::default()
    };
    // Another location is tried, and a note says why.
    let sim = HcloudSim::builder().speed(200.0).quotas(disabled(&["fsn1"])).start().unwrap();
    let hcloud = provider(&sim, 200.0).server_type("cx23").location("fsn1").location("nbg1");
    let context = Context::plausible();
    let builder = ImageBuilder::new("leap", context.container()).trust_power_off();
    let mut run = builder.start(Arc::new(hcloud.build().unwrap()));
    let mut events = run.events();
    only(&sim, &run.await.unwrap().image.id);
    let mut notes = Vec::new();
    while let Some(event) = events.next().await {
        if let BuildEventKind::Note { message } = event.kind {
            notes.push(message);
        }
    }
    let note = notes.iter().find(|note| note.contains("cx23 in fsn1")).unwrap();
    assert!(note.contains("server location disabled"), "{note}");
    assert!(!note.contains("capacity"), "{note}");

    // No other location is left.
    let sim =
        HcloudSim::builder().speed(200.0).quotas(disabled(&["fsn1", "nbg1"])).start().unwrap();
    let hcloud = provider(&sim, 200.0).server_type("cx23").location("fsn1").location("nbg1");
    let hcloud = hcloud.build().unwrap();
    let error = build(&hcloud).await.unwrap_err();
    let BuildErrorKind::Provider(cause) = error.kind() else { panic!("{error}") };
    assert_eq!(cause.kind(), ErrorKind::QuotaExceeded);
    let text = error.to_string();
    for part in ["cx23 in fsn1", "cx23 in nbg1", "server location disabled", "account"] {
        assert!(text.contains(part), "{text} does not contain {part}");
    }
    assert!(!text.contains("capacity"), "{text}");
    assert_eq!(sim.inventory(), Inventory::default());
}

#[tokio::test]
async fn a_used_up_quota_of_primary_ips_is_named_and_a_builder_without_ipv4_needs_less_of_it() {
    let quotas = Quotas { primary_ips: 1, ..Quotas::default() };
    let sim = HcloudSim::builder().speed(200.0).quotas(quotas).start().unwrap();
    let error = build(&provider(&sim, 200.0).build().unwrap()).await.unwrap_err();
    let BuildErrorKind::Provider(cause) = error.kind() else { panic!("{error}") };
    assert_eq!(cause.kind(), ErrorKind::QuotaExceeded);
    let text = error.to_string();
    for part in ["primary_ip_limit", "Addresses::Ipv6", "higher limit"] {
        assert!(text.contains(part), "{text} does not contain {part}");
    }
    assert_eq!(sim.inventory(), Inventory::default());
    let hcloud = provider(&sim, 200.0).addresses(Addresses::Ipv6).build().unwrap();
    only(&sim, &build(&hcloud).await.unwrap().id);
}

fn sim_server_actions(sim: &HcloudSim) -> u64 {
    sim.stats().requests_to("POST /servers/")
}

/// The arguments of `create_builder` for one build.
async fn builder_spec(hcloud: &Hcloud, build: &BuildId) -> BuilderSpec {
    let name = format!("cloudd-{build}");
    let labels = Labels::from_iter([(keys::BUILD, build.as_str()), (keys::HOLDER, "holder")]);
    let requirements = BuildRequirements::new(Architecture::X86_64, Size::gib(10));
    let resolved = hcloud.resolve(&requirements).await.unwrap();
    let user_data = UserDataTemplate::fixed("#cloud-config\n{}\n");
    let lease = hcloud.create_lease(&LeaseSpec::new(&name, labels.clone())).await.unwrap();
    let mut spec = BuilderSpec::new(name, labels, requirements, resolved, user_data);
    spec.lease = Some(lease);
    spec
}

/// Creates the builder of a build, and returns the reports.
async fn create_builder(
    hcloud: &Hcloud,
    build: &BuildId,
) -> (Result<BuilderVm, Error>, Vec<Report>) {
    let spec = builder_spec(hcloud, build).await;
    let (sender, reports) = mpsc::channel();
    let reporter = Reporter::new(move |report| {
        let _closed = sender.send(report);
    });
    let builder = hcloud.create_builder(&spec, &reporter).await;
    drop(reporter);
    let no_progress = |report: &Report| !matches!(report, Report::Percent { .. });
    (builder, reports.iter().filter(no_progress).collect())
}

#[tokio::test]
async fn a_fallback_deletes_the_volume_and_is_reported() {
    let sim = HcloudSim::start(200.0);
    let hcloud =
        provider(&sim, 200.0).server_type("cpx21").location("sin").location("ash").location("hil");
    let (builder, reports) = create_builder(&hcloud.build().unwrap(), &BuildId::random()).await;
    let BuilderVm { vm, volume, .. } = builder.unwrap();
    let [note, first, fallback, deleted, second, server] = &reports[..] else {
        panic!("{reports:?}");
    };
    let is_note = |report: &Report, expected: &str| matches!(report, Report::Note(text) if text.contains(expected));
    assert!(is_note(note, "volume in sin: no_space_left_in_location"), "{reports:?}");
    let Report::Created(abandoned) = first else { panic!("{reports:?}") };
    assert!(is_note(fallback, "cpx21 in ash: placement_error"), "{reports:?}");
    assert_eq!(*deleted, Report::Deleted(abandoned.clone()));
    assert_eq!(*second, Report::Created(volume.id.clone().into()));
    assert_eq!(*server, Report::Created(vm.id.into()));
    let inventory = sim.inventory();
    assert_eq!(inventory.volumes.len(), 1);
    assert_eq!(inventory.volumes[0].id.to_string(), volume.id.as_str());
}

#[tokio::test]
async fn another_process_resumes_a_builder_at_the_location_of_its_volume() {
    let sim = HcloudSim::start(200.0);
    let build = BuildId::random();
    let first = provider(&sim, 200.0).location("nbg1").build().unwrap();
    let (builder, _) = create_builder(&first, &build).await;
    let BuilderVm { vm, volume, .. } = builder.unwrap();

    let second = provider(&sim, 200.0).location("fsn1").location("nbg1").build().unwrap();
    let (adopted, reports) = create_builder(&second, &build).await;
    let adopted = adopted.unwrap();
    assert_eq!((&adopted.vm.id, &adopted.volume.id), (&vm.id, &volume.id));
    assert_eq!(adopted.vm.started, Some(false));
    assert_eq!(reports.len(), 2, "{reports:?}");

    second.delete(&vm.id.clone().into()).await.unwrap();
    let third = provider(&sim, 200.0).location("fsn1").location("nbg1").build().unwrap();
    let (builder, _) = create_builder(&third, &build).await;
    let builder = builder.unwrap();
    assert_eq!(builder.volume.id, volume.id);
    assert_ne!(builder.vm.id, vm.id);
    let server = ServerId(builder.vm.id.as_str().parse().unwrap());
    let server = third.client().server(server).await.unwrap();
    assert_eq!(server.location.unwrap().name, "nbg1");
    let inventory = sim.inventory();
    assert_eq!((inventory.servers.len(), inventory.volumes.len()), (1, 1));
}

#[tokio::test]
async fn a_protected_image_is_not_deleted() {
    let sim = HcloudSim::start(200.0);
    let hcloud = provider(&sim, 200.0).build().unwrap();
    let image = build(&hcloud).await.unwrap();
    assert!(!image.protected);
    let protect = async |protection| {
        let id = cloudd_hcloud::schema::ImageId(image.id.as_str().parse().unwrap());
        let action = hcloud.client().protect_image(id, protection).await.unwrap();
        hcloud.client().wait([action], Duration::from_secs(60)).await.unwrap();
    };
    protect(DeleteProtection::On).await;
    assert!(hcloud.image(&image.id).await.unwrap().unwrap().protected);
    let error = hcloud.delete(&image.id.clone().into()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protected, "{error}");
    only(&sim, &image.id);
    protect(DeleteProtection::Off).await;
    hcloud.delete(&image.id.clone().into()).await.unwrap();
    assert_eq!(sim.inventory(), Inventory::default());
}

#[tokio::test]
async fn bad_input_is_named_before_anything_is_created() {
    let sim = HcloudSim::start(100.0);
    let x86 = BuildRequirements::new(Architecture::X86_64, Size::gib(10));
    let with_root = |root| {
        let mut requirements = x86.clone();
        requirements.root_size = Some(root);
        requirements
    };
    let (wide, large) = (with_root(Size::gib(30)), with_root(Size::gib(100_000)));
    let p = || provider(&sim, 100.0);
    let stranger = Hcloud::builder(Token::new("x".repeat(64)).unwrap()).endpoint(sim.endpoint());
    let input = ErrorKind::InvalidInput;
    let snapshot = BaseImage::Label { key: "a".to_owned(), value: "b".to_owned() };
    let cases = [
        (p().server_type("cx99"), &x86, input, "no server type \"cx99\"; available"),
        (p().server_type("cax11"), &x86, input, "cax11 is not for x86_64"),
        (p().location("mars1"), &x86, input, "no location \"mars1\"; available: fsn1"),
        (p().server_type("cx13"), &wide, input, "cx13 has a disk of"),
        (p(), &large, input, "no server type for x86_64"),
        (p().memory(Size::gib(900)), &x86, input, "no server type for x86_64"),
        (p().base_image(BaseImage::Name("minix".to_owned())), &x86, input, "image minix"),
        (p().base_image(BaseImage::Id(7)), &x86, input, "image 7"),
        (p().base_image(BaseImage::Id(330_120_055)), &x86, input, "is not for x86_64"),
        (p().base_image(snapshot), &x86, input, "snapshot labelled a=b"),
        (p().server_type("cx43"), &x86, ErrorKind::Unavailable, "cx43 in fsn1"),
        (stranger, &x86, ErrorKind::Unauthorized, "HCLOUD_TOKEN"),
    ];
    for (builder, requirements, kind, expected) in cases {
        let error = builder.build().unwrap().resolve(requirements).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(expected), "{expected}: {error}");
    }
    assert_eq!(Token::new("two words").unwrap_err().kind(), input);
    let endless = p().endpoint("nowhere").build().unwrap_err();
    assert_eq!(endless.kind(), ErrorKind::InvalidInput);
    assert_eq!(sim.stats().requests_to("POST"), 0);
}

#[tokio::test]
async fn a_build_resolves_to_the_newest_fedora_or_debian_on_the_cheapest_type() {
    let sim = HcloudSim::start(100.0);
    let hcloud = provider(&sim, 100.0).build().unwrap();
    let resolve = |architecture| {
        let hcloud = hcloud.clone();
        async move {
            hcloud.resolve(&BuildRequirements::new(architecture, Size::gib(10))).await.unwrap()
        }
    };
    let x86 = resolve(Architecture::X86_64).await;
    assert_eq!(x86.base_image, "330120054 fedora-43");
    assert_eq!(x86.root_size, Size::bytes(40_000_000_000));
    assert_eq!(resolve(Architecture::Aarch64).await.base_image, "330120055 fedora-43");

    let debian = provider(&sim, 100.0).base_image(BaseImage::NewestDebian).build().unwrap();
    let requirements = BuildRequirements::new(Architecture::X86_64, Size::gib(10));
    let resolved = debian.resolve(&requirements).await.unwrap();
    assert_eq!(resolved.base_image, "310557660 debian-13");
}

#[tokio::test]
async fn a_token_that_may_only_read_ends_at_the_first_write() {
    let read_only = "r".repeat(64);
    let sim = HcloudSim::builder().speed(100.0).read_only_token(&read_only).start().unwrap();
    let hcloud = Hcloud::builder(Token::new(&read_only).unwrap())
        .endpoint(sim.endpoint())
        .clock_speed(100.0)
        .build()
        .unwrap();
    let error = build(&hcloud).await.unwrap_err();
    let BuildErrorKind::Provider(cause) = error.kind() else { panic!("{error}") };
    assert_eq!(cause.kind(), ErrorKind::Unauthorized);
    assert!(!error.to_string().contains(&read_only), "{error}");
    assert_eq!(sim.inventory(), Inventory::default());
}

/// A cloud without delays: the test enumerates calls, not times.
fn hasty() -> (Durations, GuestTimes) {
    let durations = Durations { create_image: Duration::from_secs(10), ..Durations::default() };
    let (stage1, stage2) = (Duration::from_secs(10), Duration::from_secs(5));
    (durations, GuestTimes { stage1, stage2, ..GuestTimes::default() })
}

/// Builds with a fault, and returns whether an image exists. Panics if another resource remains.
async fn survives(spec: String) -> (u64, bool) {
    // A late request is late in real time, and not later than a guest takes: one that arrived when the
    // guest was done would start it once more.
    let is_late = spec.contains("delay");
    let speed = if is_late { 20.0 } else { 200.0 };
    let (durations, times) = hasty();
    let sim = HcloudSim::builder()
        .speed(speed)
        .durations(durations)
        .guest_times(times)
        .faults(Faults::parse(&spec).unwrap())
        .start()
        .unwrap();
    let mut builder = provider(&sim, speed);
    if is_late {
        builder = builder.request_timeout(Duration::from_millis(600));
    }
    let hcloud = builder.build().unwrap();
    let result = build(&hcloud).await;
    let requests = sim.stats().requests;
    match &result {
        Ok(image) => only(&sim, &image.id),
        Err(error) => {
            assert_eq!(sim.inventory(), Inventory::default(), "{spec}: {error}");
            assert!(!error.to_string().contains(HcloudSim::TOKEN), "{error}");
        }
    }
    (requests, result.is_ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_fault_at_any_call_leaves_anything() {
    let (calls, ok) = survives(String::new()).await;
    assert!(ok);
    let faults = [
        "error=server_error",
        "error=conflict",
        "error=invalid_input",
        "error=rate_limit_exceeded",
        "reset@before",
        "reset@after",
        "status=502@before",
        "status=502@after",
        "garbage@before",
        "garbage@after",
        "delay=900ms@before",
        "delay=900ms@after",
    ];
    let (mut built, mut failed) = (0, 0);
    let specs = faults.iter().flat_map(|fault| (1..=calls).map(move |k| format!("{k}:{fault}")));
    let specs: Vec<_> = specs.collect();
    for some in specs.chunks(24) {
        let running: Vec<_> =
            some.iter().map(|spec| tokio::spawn(survives(spec.clone()))).collect();
        for (spec, running) in some.iter().zip(running) {
            match running.await {
                Ok((_, true)) => built += 1,
                Ok((_, false)) => failed += 1,
                Err(panic) => panic!("{spec}: {panic}"),
            }
        }
    }
    println!(
        "{} faults over {calls} calls: {built} built their image, {failed} ended with an error and \
         nothing left, 0 leaked",
        specs.len()
    );
    assert!(built > failed, "{built} built, {failed} failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bench_api_of_a_hundred_builds_at_once_which_share_their_questions() {
    const BUILDS: u64 = 100;
    let speed = speed(20.0);
    let sim = HcloudSim::start(speed);
    let hcloud = provider(&sim, speed).build().unwrap();
    let running: Vec<_> = (0..BUILDS)
        .map(|number| {
            let hcloud = hcloud.clone();
            tokio::spawn(async move { build_named(&hcloud, &format!("leap-{number}")).await })
        })
        .collect();
    for running in running {
        running.await.unwrap().unwrap();
    }
    let stats = sim.stats();
    let each = stats.requests as f64 / BUILDS as f64;
    println!(
        "{BUILDS} builds at once: {each:.2} requests a build, mean delay {:?}, answers {:?}",
        stats.mean_delay().unwrap(),
        stats.by_status
    );
    for (route, count) in &stats.by_route {
        println!("  {count} {route}");
    }
    let inventory = sim.inventory();
    assert_eq!((inventory.images.len() as u64, inventory.servers.len()), (BUILDS, 0));
    assert_eq!((inventory.volumes.len(), inventory.ssh_keys.len()), (0, 0));
    assert!(!stats.by_status.contains_key(&429), "{:?}", stats.by_status);
    assert!(each <= 12.0, "{each} requests a build: {:?}", stats.by_route);
}

#[tokio::test]
async fn the_token_is_not_sent_to_a_proxy_for_an_endpoint_without_tls() {
    let sim = HcloudSim::start(200.0);
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let context = Context::plausible();
    let mut build = command(env!("CARGO_BIN_EXE_one-build"), &sim, 200.0, &context);
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        build.env(variable, &url);
    }
    build.env_remove("no_proxy").env_remove("NO_PROXY");
    let ended = Process::start(&mut build).end().await;
    assert!(ended.result.is_ok(), "{ended:?}");
    let asked = proxy.accept().map(drop).map_err(|error| error.kind());
    assert_eq!(asked, Err(std::io::ErrorKind::WouldBlock), "the proxy was connected to");
}
