mod images;
mod leases;

use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::provider::{
    Architecture, BuildId, BuildRequirements, BuilderSpec, BuilderVm, Error, ErrorKind, ImageSpec,
    ImageStatus, Labels, LeaseId, LeaseSpec, PowerState, Provider, Report, Reporter,
    ResolvedBuilder, ResourceId, ResourceKind, Result, Selector, Size, UserDataTemplate, Vm, VmId,
    keys,
};

/// What the suite needs to know about the provider it is run against.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Fixture {
    /// What the VMs of the suite ask for.
    pub requirements: BuildRequirements,
    /// Their user data.
    pub user_data: Vec<u8>,
    /// What they do when they are started.
    pub guest: GuestBehaviour,
    /// How long each check may take.
    pub timeout: Duration,
    power_off: Option<PowerOff>,
}

/// Cuts the power of a VM, which a provider itself never does.
#[derive(Clone)]
struct PowerOff(Arc<dyn Fn(VmId) -> BoxFuture<'static, Result<()>> + Send + Sync>);

impl fmt::Debug for PowerOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PowerOff(…)")
    }
}

/// What a VM of the suite does when it is started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GuestBehaviour {
    /// It goes off by itself, soon.
    PowersOff,
    /// It stays on.
    StaysOn,
}

impl Fixture {
    /// A small volume and empty user data.
    #[must_use]
    pub fn new(architecture: Architecture, volume_size: Size, guest: GuestBehaviour) -> Self {
        Self {
            requirements: BuildRequirements::new(architecture, volume_size),
            user_data: b"#cloud-config\n{}\n".to_vec(),
            guest,
            timeout: Duration::from_secs(120),
            power_off: None,
        }
    }

    /// How the suite cuts the power of a VM whose guest stays on. Without it, such a fixture leaves
    /// out the checks that need a VM that has run.
    #[must_use]
    pub fn power_off(
        mut self,
        power_off: impl Fn(VmId) -> BoxFuture<'static, Result<()>> + Send + Sync + 'static,
    ) -> Self {
        self.power_off = Some(PowerOff(Arc::new(power_off)));
        self
    }
}

/// Runs every check of the contract of [`Provider`] that the provider's capabilities allow, and
/// deletes what they created. Returns the names of the checks that were run.
///
/// # Panics
/// With the name of the check and what was found, at the first breach of the contract.
pub async fn run_all(provider: &dyn Provider, fixture: &Fixture) -> Vec<&'static str> {
    let mut suite = Suite { provider, fixture, ran: Vec::new() };
    suite.run("the root disk is as large as the volume", root_disk_holds_the_volume).await;
    suite.run("of several holders one gets the lease", leases::one_succeeds).await;
    suite.run("a lease is labelled until it is deleted", leases::labels).await;
    suite.run("a volume is found by its labels and deleted twice", volume_life).await;
    suite.run("a taken name is adopted by its own build only", names_are_unique).await;
    suite.run("created resources are reported", created_resources_are_reported).await;
    suite.run("a VM is off, labelled and found when it is created", vm_life).await;
    suite.run("labels are merged", labels_are_merged).await;
    suite.run("a selector finds one build and not another", builds_are_apart).await;
    suite.run("an attached volume is not deleted", attached_volume_stays).await;
    suite.run("a missing resource is None, and deleting it succeeds", absence).await;
    suite.run("a VM starts, and starting it again succeeds", vm_starts).await;
    suite.run("waiting for a deleted VM ends at once", vanished_vm).await;
    suite.run("a VM that was never started is not reported as started", never_started).await;
    if provider.capabilities().runs_guests {
        suite.run("an image is made of a VM that is off", image_life).await;
        suite.run("no image is made of a running VM", no_image_of_running_vm).await;
        suite.run("one build makes one image", images::one_a_build).await;
        if provider.capabilities().boots_images {
            suite.run("a VM is created from an image and starts", images::boots).await;
        }
    }
    suite.ran
}

struct Suite<'a> {
    provider: &'a dyn Provider,
    fixture: &'a Fixture,
    ran: Vec<&'static str>,
}

impl<'a> Suite<'a> {
    async fn run<F, Fut>(&mut self, name: &'static str, check: F)
    where
        F: FnOnce(Harness<'a>) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        let harness = Harness::new(self.provider, self.fixture);
        let builds = [harness.build.clone(), harness.other_build.clone()];
        let outcome = tokio::time::timeout(self.fixture.timeout, check(harness)).await;
        for build in &builds {
            clean_up(self.provider, build).await;
        }
        match outcome {
            Ok(Ok(())) => self.ran.push(name),
            Ok(Err(error)) => panic!("{name}: {error:?}"),
            Err(_) => panic!("{name}: not done within {:?}", self.fixture.timeout),
        }
    }
}

/// One check's own build, on the provider under test.
#[derive(Clone)]
struct Harness<'a> {
    provider: &'a dyn Provider,
    fixture: &'a Fixture,
    build: BuildId,
    other_build: BuildId,
    silent: Reporter,
}

impl<'a> Harness<'a> {
    fn new(provider: &'a dyn Provider, fixture: &'a Fixture) -> Self {
        Self {
            provider,
            fixture,
            build: BuildId::random(),
            other_build: BuildId::random(),
            silent: Reporter::silent(),
        }
    }

    fn name(&self) -> String {
        format!("cloudd-{}", self.build)
    }

    async fn resolve(&self) -> Result<ResolvedBuilder> {
        let requirements = &self.fixture.requirements;
        let resolved = self.provider.resolve(requirements).await?;
        self.provider.ensure_base_image(requirements, &resolved, &self.silent).await?;
        Ok(resolved)
    }

    async fn builder_spec(&self, build: &BuildId) -> Result<BuilderSpec> {
        let Fixture { requirements, user_data, .. } = self.fixture.clone();
        let resolved = self.resolve().await?;
        let user_data = UserDataTemplate::fixed(user_data);
        let mut spec =
            BuilderSpec::new(self.name(), labels(build), requirements, resolved, user_data);
        spec.lease = Some(self.lease("holder").await?);
        Ok(spec)
    }

    async fn builder(&self) -> Result<BuilderVm> {
        let spec = self.builder_spec(&self.build).await?;
        self.provider.create_builder(&spec, &self.silent).await
    }

    async fn vm(&self) -> Result<Vm> {
        Ok(self.builder().await?.vm)
    }

    fn lease_spec(&self, holder: &str) -> LeaseSpec {
        let holder = Labels::from_iter([(keys::HOLDER, holder)]);
        LeaseSpec::new(format!("{}-lease", self.name()), labels(&self.build).merged(&holder))
    }

    /// The lease of this check, as this holder.
    async fn lease(&self, holder: &str) -> Result<LeaseId> {
        self.provider.create_lease(&self.lease_spec(holder)).await
    }

    /// A VM that has run and is off; `None` if the guest stays on and the fixture cannot power it
    /// off.
    async fn vm_that_ran(&self) -> Result<Option<Vm>> {
        if self.fixture.guest == GuestBehaviour::StaysOn && self.fixture.power_off.is_none() {
            return Ok(None);
        }
        let vm = self.vm().await?;
        self.provider.start_vm(&vm.id, &self.silent).await?;
        if let Some(power_off) = &self.fixture.power_off {
            (power_off.0)(vm.id.clone()).await?;
        }
        self.provider.wait_vm_off(&vm.id).await?;
        Ok(Some(vm))
    }

    fn image_spec(&self) -> ImageSpec {
        let architecture = self.fixture.requirements.architecture;
        ImageSpec::new("contract-suite", "made by the suite", labels(&self.build), architecture)
    }

    /// What there is of this check's build beside leases.
    async fn found(&self) -> Result<Vec<ResourceId>> {
        let found = self.provider.find(&Selector::build(&self.build)).await?;
        let found = found.into_iter().map(|resource| resource.id);
        Ok(found.filter(|id| id.kind() != ResourceKind::Lease).collect())
    }
}

fn labels(build: &BuildId) -> Labels {
    Labels::from_iter([(keys::BUILD, build.as_str()), (keys::NAME, "contract-suite")])
}

async fn clean_up(provider: &dyn Provider, build: &BuildId) {
    let mut found = provider.find(&Selector::build(build)).await.unwrap_or_default();
    found.sort_by_key(|resource| resource.id.delete_order());
    for resource in found {
        if let Err(error) = provider.delete(&resource.id).await {
            tracing::warn!(%error, resource = %resource.id, "left by the contract suite");
        }
    }
}

async fn root_disk_holds_the_volume(harness: Harness<'_>) -> Result<()> {
    let resolved = harness.resolve().await?;
    assert!(resolved.root_size >= harness.fixture.requirements.volume_size, "{resolved:?}");
    assert!(!resolved.base_image.is_empty(), "resolve does not name the base image");
    Ok(())
}

async fn volume_life(harness: Harness<'_>) -> Result<()> {
    let BuilderVm { vm, volume } = harness.builder().await?;
    assert!(volume.size >= harness.fixture.requirements.volume_size, "{volume:?}");
    assert!(volume.device.starts_with(Path::new("/dev/disk/by-id")), "{volume:?}");
    let id = ResourceId::from(volume.id);
    assert!(harness.found().await?.contains(&id), "{id} is not found by its label");
    harness.provider.delete(&vm.id.into()).await?;
    harness.provider.delete(&id).await?;
    assert!(!harness.found().await?.contains(&id), "{id} is found after it was deleted");
    harness.provider.delete(&id).await
}

async fn names_are_unique(harness: Harness<'_>) -> Result<()> {
    let first = harness.builder().await?;
    let again = harness.builder().await?;
    assert_eq!(first.volume.id, again.volume.id, "the volume of the same build was not adopted");
    assert_eq!(first.vm.id, again.vm.id, "the VM of the same build was not adopted");
    let foreign = harness.builder_spec(&harness.other_build).await?;
    let taken = harness.provider.create_builder(&foreign, &harness.silent).await;
    expect_kind("a taken name", taken, ErrorKind::AlreadyExists);

    // Half of the builder is completed: a process can die between volume and VM.
    harness.provider.delete(&first.vm.id.clone().into()).await?;
    let again = harness.builder().await?;
    assert_eq!(first.volume.id, again.volume.id, "the volume left alone was not adopted");
    assert_ne!(first.vm.id, again.vm.id, "a deleted VM was returned");
    Ok(())
}

async fn created_resources_are_reported(harness: Harness<'_>) -> Result<()> {
    let reported = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&reported);
    let reporter = Reporter::new(move |report| {
        if let Report::Created(id) = report {
            sink.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        }
    });
    let spec = harness.builder_spec(&harness.build).await?;
    let builder = harness.provider.create_builder(&spec, &reporter).await?;
    let expected = [ResourceId::from(builder.volume.id), ResourceId::from(builder.vm.id)];
    let reported = std::mem::take(&mut *reported.lock().unwrap_or_else(PoisonError::into_inner));
    assert!(expected.iter().all(|id| reported.contains(id)), "{reported:?} lacks {expected:?}");
    Ok(())
}

async fn vm_life(harness: Harness<'_>) -> Result<()> {
    let created = harness.vm().await?;
    assert_eq!(created.labels.get(keys::BUILD), Some(harness.build.as_str()));
    let vm = exists(harness.provider.vm(&created.id).await?, &created.id);
    assert_eq!(vm.state, PowerState::Off, "a created VM is off");
    assert_eq!(vm.labels.get(keys::NAME), Some("contract-suite"));
    let id = ResourceId::from(vm.id.clone());
    assert!(harness.found().await?.contains(&id));
    harness.provider.delete(&id).await?;
    assert_eq!(harness.provider.vm(&vm.id).await?, None, "the VM is there after it was deleted");
    let left = harness.found().await?;
    assert!(
        left.iter().all(|id| matches!(id, ResourceId::Volume(_))),
        "deleting the VM left what was created with it: {left:?}"
    );
    harness.provider.delete(&id).await
}

async fn labels_are_merged(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    let mut change = Labels::new();
    change.insert(keys::PHASE, "started").map_err(internal)?;
    harness.provider.set_labels(&vm.id.clone().into(), &change).await?;
    let vm = exists(harness.provider.vm(&vm.id).await?, &vm.id);
    assert_eq!(vm.labels.get(keys::PHASE), Some("started"));
    assert_eq!(vm.labels.get(keys::BUILD), Some(harness.build.as_str()), "another label is gone");
    Ok(())
}

async fn builds_are_apart(harness: Harness<'_>) -> Result<()> {
    harness.vm().await?;
    let other = Harness { build: harness.other_build.clone(), ..harness.clone() };
    other.vm().await?;
    let (ours, others) = (harness.found().await?, other.found().await?);
    assert_eq!(others.len(), 2, "{others:?}");
    assert!(others.iter().all(|id| !ours.contains(id)), "{ours:?} {others:?}");
    let all = harness.provider.find(&Selector::all()).await?;
    let all: Vec<_> = all.into_iter().map(|resource| resource.id).collect();
    assert!(ours.iter().chain(&others).all(|id| all.contains(id)), "{all:?}");
    Ok(())
}

async fn attached_volume_stays(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    let volumes = harness.found().await?;
    let volume = volumes.iter().find(|id| matches!(id, ResourceId::Volume(_)));
    let Some(volume) = volume else { panic!("the volume is not found: {volumes:?}") };
    let refused = harness.provider.delete(volume).await;
    expect_kind("deleting an attached volume", refused, ErrorKind::Busy);
    harness.provider.delete(&vm.id.into()).await?;
    harness.provider.delete(volume).await
}

async fn absence(harness: Harness<'_>) -> Result<()> {
    // Ids of the right shape that do not exist any more are the best that a suite can know.
    let vm = harness.vm().await?;
    harness.provider.delete(&vm.id.clone().into()).await?;
    assert_eq!(harness.provider.vm(&vm.id).await?, None);
    harness.provider.delete(&vm.id.into()).await?;
    assert_eq!(harness.found().await?.len(), 1, "only the volume is left");
    Ok(())
}

async fn vm_starts(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    harness.provider.start_vm(&vm.id, &harness.silent).await?;
    if harness.fixture.guest == GuestBehaviour::StaysOn {
        harness.provider.start_vm(&vm.id, &harness.silent).await?;
        let vm = exists(harness.provider.vm(&vm.id).await?, &vm.id);
        assert_eq!(vm.state, PowerState::Running);
    }
    if let Some(power_off) = &harness.fixture.power_off {
        (power_off.0)(vm.id.clone()).await?;
        let vm = exists(harness.provider.vm(&vm.id).await?, &vm.id);
        assert_eq!(vm.state, PowerState::Off);
        assert_ne!(vm.started, Some(false), "after its first start");
        harness.provider.start_vm(&vm.id, &harness.silent).await?;
    }
    Ok(())
}

async fn vanished_vm(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    harness.provider.delete(&vm.id.clone().into()).await?;
    let waited = harness.provider.wait_vm_off(&vm.id).await;
    expect_kind("waiting for a deleted VM", waited, ErrorKind::Gone);
    Ok(())
}

async fn image_life(harness: Harness<'_>) -> Result<()> {
    let Some(vm) = harness.vm_that_ran().await? else { return Ok(()) };
    let image =
        harness.provider.create_image(&vm.id, &harness.image_spec(), &harness.silent).await?;
    let id = ResourceId::from(image.id.clone());
    assert!(harness.found().await?.contains(&id), "the image is not found by its label");
    let image = harness.provider.wait_image(&image.id, &harness.silent).await?;
    assert_eq!(image.status, ImageStatus::Available);
    assert_eq!(image.labels.get(keys::BUILD), Some(harness.build.as_str()));
    assert!(image.disk_size >= harness.fixture.requirements.volume_size, "{image:?}");
    harness.provider.delete(&vm.id.into()).await?;
    assert!(harness.provider.image(&image.id).await?.is_some(), "the image went with its VM");
    harness.provider.delete(&id).await?;
    assert_eq!(harness.provider.image(&image.id).await?, None);
    harness.provider.delete(&id).await
}

async fn no_image_of_running_vm(harness: Harness<'_>) -> Result<()> {
    if harness.fixture.guest == GuestBehaviour::PowersOff {
        return Ok(()); // it might be off by then
    }
    let vm = harness.vm().await?;
    harness.provider.start_vm(&vm.id, &harness.silent).await?;
    let refused =
        harness.provider.create_image(&vm.id, &harness.image_spec(), &harness.silent).await;
    expect_kind("an image of a running VM", refused, ErrorKind::Busy);
    Ok(())
}

async fn never_started(harness: Harness<'_>) -> Result<()> {
    let vm = harness.vm().await?;
    let vm = exists(harness.provider.vm(&vm.id).await?, &vm.id);
    assert_ne!(vm.started, Some(true), "before its first start");
    Ok(())
}

fn exists(vm: Option<Vm>, id: &VmId) -> Vm {
    let Some(vm) = vm else { panic!("VM {id} does not exist") };
    vm
}

fn expect_kind<T: fmt::Debug>(what: &str, result: Result<T>, kind: ErrorKind) {
    match result {
        Err(error) if error.kind() == kind => {}
        other => panic!("{what} gave {other:?}, expected an error of kind {kind:?}"),
    }
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "run the contract suite").with_source(error)
}
