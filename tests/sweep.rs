//! A sweep lists the resources of crashed builds, and deletes those and no others.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloudd_core::build::{BuildEventKind, ImageBuilder};
use cloudd_core::memory::Memory;
use cloudd_core::provider::{
    Architecture, BootSpec, ErrorKind, ImageId, Labels, ResourceId, ResourceKind, Size, keys,
};
use cloudd_core::sweep::Sweep;
use cloudd_core::testing::{Fault, Faulty};
use cloudd_hcloud::Hcloud;
use cloudd_hcloud::client::Token;
use cloudd_tests::containers::Context;
use cloudd_tests::hcloud_sim::{HcloudSim, Held, Inventory};
use cloudd_tests::killed::killed_after;
use serde_json::{Value, json};
use tokio::time::Instant;

const SPEED: f64 = 1000.0;

/// A project of the simulator, with direct access to its API.
struct Project {
    sim: HcloudSim,
    http: reqwest::Client,
    made: u32,
}

impl Project {
    fn new() -> Self {
        let sim = HcloudSim::builder().speed(SPEED).rate_limit(1_000_000).start().unwrap();
        Self { sim, http: reqwest::Client::new(), made: 0 }
    }

    fn hcloud(&self) -> Hcloud {
        Hcloud::builder(Token::new(HcloudSim::TOKEN).unwrap())
            .endpoint(self.sim.endpoint())
            .clock_speed(SPEED)
            .ssh_port(1)
            .build()
            .unwrap()
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.sim.endpoint());
        loop {
            let request = self.http.post(&url).bearer_auth(HcloudSim::TOKEN);
            let answer = request.header("content-type", "application/json").body(body.to_string());
            let answer = answer.send().await.unwrap();
            let (status, text) = (answer.status(), answer.text().await.unwrap());
            if status.as_u16() != 423 {
                assert!(status.is_success(), "{path}: {text}");
                return serde_json::from_str(&text).unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The name that a build gives to a resource with these labels, or another one.
    fn name(&mut self, labels: &Value) -> String {
        self.made += 1;
        match labels[keys::BUILD].as_str() {
            Some(build) => format!("cloudd-{build}"),
            None => format!("thing-{}", self.made),
        }
    }

    async fn key(&mut self, labels: &Value) -> u64 {
        let (mut labels, mut name) = (labels.clone(), self.name(&json!({})));
        if let Some(fingerprint) = labels[keys::FINGERPRINT].as_str() {
            name = format!("cloudd-{fingerprint}-{}", self.made);
            labels[keys::FENCING_TOKEN] = self.made.to_string().into();
        }
        let mut blob = b"\0\0\0\x0bssh-ed25519\0\0\0\x20".to_vec();
        blob.extend([0; 28]);
        blob.extend(self.made.to_be_bytes());
        let key = format!("ssh-ed25519 {}", STANDARD.encode(blob));
        let body = json!({"name": name, "public_key": key, "labels": labels});
        id(&self.post("/ssh_keys", body).await["ssh_key"])
    }

    async fn volume(&mut self, labels: &Value) -> u64 {
        let name = self.name(labels);
        let body = json!({"name": name, "size": 10, "location": "fsn1", "labels": labels});
        id(&self.post("/volumes", body).await["volume"])
    }

    async fn server(&mut self, labels: &Value, volumes: &[u64]) -> u64 {
        let name = self.name(labels);
        self.named_server(&name, labels, volumes).await
    }

    async fn named_server(&mut self, name: &str, labels: &Value, volumes: &[u64]) -> u64 {
        let body = json!({
            "name": name, "server_type": "cx23", "image": "debian-12", "location": "fsn1",
            "labels": labels, "volumes": volumes, "start_after_create": false
        });
        id(&self.post("/servers", body).await["server"])
    }

    async fn snapshot(&mut self, server: u64, labels: &Value) -> u64 {
        let path = format!("/servers/{server}/actions/create_image");
        id(&self.post(&path, json!({"type": "snapshot", "labels": labels})).await["image"])
    }

    fn ids(&self) -> BTreeSet<u64> {
        let Inventory { servers, volumes, images, ssh_keys } = self.sim.inventory();
        let all = [servers, volumes, images, ssh_keys].into_iter().flatten();
        all.map(|held: Held| held.id).collect()
    }
}

fn id(object: &Value) -> u64 {
    object["id"].as_u64().unwrap()
}

/// The labels of a resource of a build with this expiry.
fn labels(build: &str, expires: &str) -> Value {
    json!({
        keys::BUILD: build, keys::NAME: "leap", keys::EXPIRES: expires,
        keys::FINGERPRINT: "835a997a21e98b4d2a454b884eec48a4db1142b3",
    })
}

fn in_seconds(seconds: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    (now + seconds).to_string()
}

fn number(id: &ResourceId) -> u64 {
    let text = match id {
        ResourceId::Vm(id) => id.as_str(),
        ResourceId::Volume(id) => id.as_str(),
        ResourceId::Image(id) => id.as_str(),
        ResourceId::Lease(id) => id.as_str(),
        other => panic!("{other}"),
    };
    text.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_558_resources_on_many_pages_exactly_the_expired_ones_are_deleted() {
    let mut project = Project::new();
    // Resources of other programs, some with labels similar to those of cloudd.
    let foreign = [
        json!({}),
        json!({"team": "infra"}),
        json!({"cloudd/name": "leap", "cloudd/expires": "1"}),
        json!({"cloudd": "1", "expires": "1", "build": "abcdefghij"}),
    ];
    let mut others = BTreeSet::new();
    for number in 0..420 {
        let labels = &foreign[number % foreign.len()];
        others.insert(match number % 10 {
            0 => project.server(labels, &[]).await,
            1..=3 => project.volume(labels).await,
            _ => project.key(labels).await,
        });
    }
    // Resources of other programs that use cloudd as well.
    for number in 0..80 {
        let labels = labels(&format!("otherbui{number:02}"), &in_seconds(3600));
        others.insert(project.key(&labels).await);
    }
    let (mut expired, mut stay) = (BTreeSet::new(), BTreeSet::new());
    // Nine crashed builds: a lease, a volume, and a server to which it is attached.
    for number in 0..9 {
        let labels = labels(&format!("deadbuild{number}"), &in_seconds(-4 * 3600));
        let volume = project.volume(&labels).await;
        let server = project.server(&labels, &[volume]).await;
        expired.extend([project.key(&labels).await, volume, server]);
    }
    // Builds that may run elsewhere: not expired, or with a lease that may not have, if clocks differ.
    for (number, seconds) in [(0, 3600), (1, 60), (2, -3600)] {
        let labels = labels(&format!("livebuild{number}"), &in_seconds(seconds));
        let volume = project.volume(&labels).await;
        let server = project.server(&labels, &[volume]).await;
        stay.extend([project.key(&labels).await, volume, server]);
    }
    // Available images, long after the build.
    let maker = project.server(&json!({}), &[]).await;
    others.insert(maker);
    for number in 0..8 {
        let labels = labels(&format!("goodbuild{number}"), "1");
        stay.insert(project.snapshot(maker, &labels).await);
    }
    // Expiry invalid or missing.
    let odd = ["", "soon", "x1", "1e9", "99999999999999999999", "18446744073709551615"];
    for (number, expires) in odd.iter().enumerate() {
        stay.insert(project.volume(&labels(&format!("oddbuild0{number}"), expires)).await);
    }
    stay.insert(project.volume(&json!({keys::BUILD: "oddbuild10"})).await);
    // Servers and volumes of a user, who copied the labels of an image to them.
    for number in 0..3 {
        let labels = labels(&format!("deadbuild{number}"), "1");
        let name = format!("production-{number}");
        stay.insert(project.named_server(&name, &labels, &[]).await);
        let body = json!({"name": name, "size": 10, "location": "fsn1", "labels": labels});
        stay.insert(id(&project.post("/volumes", body).await["volume"]));
    }
    assert_eq!((others.len(), expired.len() + stay.len()), (501, 57));
    while project.sim.inventory().images.iter().any(|image| image.status != "available") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }

    let hcloud = project.hcloud();
    let before = project.ids();
    let requests = project.sim.stats().requests;
    let sweep = Sweep::find(&hcloud).await.unwrap();
    let asked = project.sim.stats().requests - requests;
    let shown: BTreeSet<_> = sweep.leftovers().iter().map(|it| number(&it.id)).collect();
    assert_eq!(shown, expired);
    assert_eq!(project.ids(), before, "showing changed something");
    // A user of a resource is deleted before it, leases last.
    let kinds: Vec<_> = sweep.leftovers().iter().map(|it| it.id.kind()).collect();
    let order = [ResourceKind::Vm, ResourceKind::Volume, ResourceKind::Lease];
    assert_eq!(kinds, order.map(|kind| [kind; 9]).concat());

    let swept = sweep.run(&hcloud).await;
    assert!(swept.failed.is_empty(), "{:?}", swept.failed);
    let gone: BTreeSet<_> = before.difference(&project.ids()).copied().collect();
    assert_eq!(gone, expired);
    let left = project.ids();
    assert!(others.iter().chain(&stay).all(|id| left.contains(id)));
    println!(
        "{} of others, {} of ours: {} swept, shown after {asked} requests",
        others.len(),
        expired.len() + stay.len(),
        gone.len()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_resource_is_kept_with_its_lease_and_reported() {
    let mut project = Project::new();
    let labels = labels("deadbuild0", "1");
    let volume = project.volume(&labels).await;
    let server = project.server(&labels, &[volume]).await;
    let key = project.key(&labels).await;
    let body = json!({"delete": true, "rebuild": true});
    project.post(&format!("/servers/{server}/actions/change_protection"), body).await;
    // Attached to a server that cloudd did not create.
    let other_labels = self::labels("deadbuild1", "1");
    let held = project.volume(&other_labels).await;
    let foreign = project.server(&json!({}), &[held]).await;

    let hcloud = project.hcloud();
    let swept = Sweep::find(&hcloud).await.unwrap().run(&hcloud).await;
    assert_eq!(swept.deleted, []);
    let failed: BTreeSet<_> = swept.failed.iter().map(|(id, _)| number(id)).collect();
    assert_eq!(failed, BTreeSet::from([server, volume, held]));
    for (id, error) in &swept.failed {
        println!("{id} stays: {error}");
        if number(id) == held {
            assert_eq!(error.kind(), ErrorKind::Busy);
            assert!(error.to_string().contains(&foreign.to_string()), "{error}");
        }
    }
    assert_eq!(project.ids(), BTreeSet::from([server, volume, key, held, foreign]));
}

#[tokio::test(start_paused = true)]
async fn a_running_build_is_not_swept_after_its_expiry_nor_one_that_is_resumed_during_the_sweep() {
    const SECOND: Duration = Duration::from_secs(1);
    let context = Context::plausible();
    let builder = ImageBuilder::new("leap", context.container());
    let memory = Memory::new().pace(SECOND).image_time(SECOND * 10);
    let expire = || {
        for id in memory.resources() {
            memory.relabel(&id, |labels| {
                labels.insert(keys::EXPIRES, "1").unwrap();
            });
        }
    };
    let sweep_it = async {
        for _ in 0..40 {
            tokio::time::sleep(SECOND).await;
            expire();
            let swept = Sweep::find(&memory).await.unwrap().run(&memory).await;
            assert_eq!(swept.deleted, []);
        }
    };
    let (image, ()) = tokio::join!(builder.build(&memory), sweep_it);
    let image = ResourceId::Image(image.unwrap().image.id);
    assert_eq!(memory.resources(), std::slice::from_ref(&image));
    memory.relabel(&image, |labels| {
        labels.insert(keys::FINGERPRINT, "0".repeat(40)).unwrap();
    });

    // Expired in the listing, and resumed before the deletion.
    assert!(killed_after(SECOND * 5, &builder, &memory).await.is_none());
    expire();
    let shown = Sweep::find(&memory).await.unwrap();
    assert_eq!(shown.leftovers().len(), 3, "{shown:?}");
    let mut build = builder.start(Arc::new(memory.clone()));
    let mut events = build.events();
    let late = async {
        while let Some(event) = events.next().await {
            if matches!(event.kind, BuildEventKind::Resumed { .. }) {
                return shown.run(&memory).await;
            }
        }
        panic!("the build was not gone on with");
    };
    let (second, swept) = tokio::join!(build.into_future(), late);
    assert_eq!(swept.deleted, []);
    assert_ne!(ResourceId::Image(second.unwrap().image.id), image);
    assert_eq!(memory.resources().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_the_labels_of_a_build_protects_nothing_and_deletes_nothing() {
    let context = Context::plausible();
    let memory = Memory::new().pace(Duration::from_secs(1));
    let builder = ImageBuilder::new("leap", context.container());
    assert!(killed_after(Duration::from_secs(5), &builder, &memory).await.is_none());
    // The server of a user, with the labels of the builder VM.
    let vm = memory.resources().into_iter().find(|id| id.kind() == ResourceKind::Vm).unwrap();
    let mut labels = Labels::new();
    memory.relabel(&vm, |of_vm| labels = of_vm.clone());
    let image = ImageId::new("none");
    let spec = BootSpec::new("production", labels, image, Architecture::X86_64, Size::gib(40));
    let server = ResourceId::from(memory.insert_vm(&spec).id);
    // The next run resumes the build with its own VM, and deletes that one.
    builder.build(&memory).await.unwrap();
    assert!(memory.resources().contains(&server) && !memory.resources().contains(&vm));
    memory.relabel(&server, |labels| labels.insert(keys::EXPIRES, "1").unwrap());
    let swept = Sweep::find(&memory).await.unwrap().run(&memory).await;
    assert_eq!(swept.deleted, []);
    assert!(memory.resources().contains(&server));
}

#[tokio::test(start_paused = true)]
async fn a_call_of_a_sweep_that_is_never_answered_is_an_error_after_ten_minutes() {
    const DEADLINE: Duration = Duration::from_secs(10 * 60);
    let context = Context::plausible();
    let builder = ImageBuilder::new("leap", context.container());
    // find, and again find and a deletion each of VM, volume and lease.
    for at in 0..5 {
        let memory = Memory::new().pace(Duration::from_secs(1));
        assert!(killed_after(Duration::from_secs(5), &builder, &memory).await.is_none());
        for id in memory.resources() {
            memory.relabel(&id, |labels| labels.insert(keys::EXPIRES, "1").unwrap());
        }
        let faulty = Faulty::new(memory.clone(), at, Fault::NeverArrives);
        let start = Instant::now();
        let errors = match Sweep::find(&faulty).await {
            Err(error) => vec![error],
            Ok(sweep) => {
                let swept = sweep.run(&faulty).await;
                swept.failed.into_iter().map(|(_, error)| error).collect()
            }
        };
        assert!(!errors.is_empty(), "call {at}");
        let kinds: BTreeSet<_> = errors.iter().map(|error| format!("{:?}", error.kind())).collect();
        assert!(kinds.contains("Timeout"), "call {at}: {errors:?}");
        let took = start.elapsed();
        assert!(took >= DEADLINE && took < DEADLINE * 2, "call {at}: {took:?}");
    }
}
