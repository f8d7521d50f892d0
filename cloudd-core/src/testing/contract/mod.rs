mod images;
mod leases;

use std::future::Future;
use std::path::Path;
use std::time::Duration;

use crate::provider::{
    Architecture, BuildId, BuildRequirements, Error, ErrorKind, ImageSpec, ImageStatus, Labels,
    LeaseId, LeaseSpec, PowerState, Provider, Reporter, ResolvedBuilder, ResourceId, ResourceKind,
    Result, Selector, Size, Vm, VmId, VmSpec, Volume, VolumeSpec, keys,
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
    /// How long any single wait may take.
    pub patience: Duration,
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
            patience: Duration::from_secs(120),
        }
    }
}

/// Runs every check of the contract of [`Provider`] that the provider's capabilities allow, and
/// deletes what they created. Returns the names of the checks that were run.
///
/// # Panics
/// With the name of the check and what was found, at the first breach of the contract.
pub async fn run_all(provider: &dyn Provider, fixture: &Fixture) -> Vec<&'static str> {
    let mut suite = Suite { provider, fixture, ran: Vec::new() };
    suite.run("the offer has room for the volume", offer_has_room).await;
    suite.run("of all that create one lease exactly one succeeds", leases::one_succeeds).await;
    suite.run("a lease is labelled until it is gone", leases::labels).await;
    suite.run("a volume is found by its labels and deleted twice", volume_life).await;
    suite.run("a taken name is adopted by its own build only", names_are_unique).await;
    suite.run("a VM is off, labelled and found when it is created", vm_life).await;
    suite.run("labels are laid over those there are", labels_are_merged).await;
    suite.run("a selector finds one build and not another", builds_are_apart).await;
    suite.run("an attached volume is not deleted", attached_volume_stays).await;
    suite.run("what does not exist is None, and deleted with success", absence).await;
    suite.run("a VM starts, and starting it again is success", vm_starts).await;
    suite.run("waiting for a VM that is deleted ends at once", vanished_vm).await;
    suite.run("a VM that was never started is not said to have been", was_started).await;
    if provider.capabilities().runs_guests {
        suite.run("an image is made of a VM that is off", image_life).await;
        suite.run("no image is made of a running VM", no_image_of_running_vm).await;
        suite.run("one build makes one image, however often it asks", images::one_a_build).await;
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
        F: FnOnce(Bench<'a>) -> Fut,
        Fut: Future<Output = Result<()>>,
    {
        let bench = Bench::new(self.provider, self.fixture);
        let builds = [bench.build.clone(), bench.other_build.clone()];
        let outcome = tokio::time::timeout(self.fixture.patience, check(bench)).await;
        for build in &builds {
            clean_up(self.provider, build).await;
        }
        match outcome {
            Ok(Ok(())) => self.ran.push(name),
            Ok(Err(error)) => panic!("{name}: {error:?}"),
            Err(_) => panic!("{name}: not done within {:?}", self.fixture.patience),
        }
    }
}

/// One check's own build, on the provider under test.
#[derive(Clone)]
struct Bench<'a> {
    provider: &'a dyn Provider,
    fixture: &'a Fixture,
    build: BuildId,
    other_build: BuildId,
    silent: Reporter,
}

impl<'a> Bench<'a> {
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

    async fn offer(&self) -> Result<ResolvedBuilder> {
        let offer = self.provider.check(&self.fixture.requirements).await?;
        self.provider.prepare(&self.fixture.requirements, &offer, &self.silent).await?;
        Ok(offer)
    }

    fn volume_spec(&self, build: &BuildId) -> VolumeSpec {
        VolumeSpec::new(self.name(), self.fixture.requirements.volume_size, labels(build))
    }

    async fn volume(&self) -> Result<Volume> {
        self.provider.create_volume(&self.volume_spec(&self.build), &self.silent).await
    }

    async fn vm_spec(&self, build: &BuildId, volume: Volume) -> Result<VmSpec> {
        let Fixture { requirements, user_data, .. } = self.fixture.clone();
        let offer = self.offer().await?;
        let mut spec =
            VmSpec::new(self.name(), labels(build), requirements, offer, volume, user_data);
        spec.lease = Some(self.lease("holder").await?);
        Ok(spec)
    }

    fn lease_spec(&self, owner: &str) -> LeaseSpec {
        let owner = Labels::from_provider([(keys::HOLDER.to_owned(), owner.to_owned())]);
        LeaseSpec::new(format!("{}-lease", self.name()), labels(&self.build).merged(&owner))
    }

    /// The lease of this check, as this owner.
    async fn lease(&self, owner: &str) -> Result<LeaseId> {
        self.provider.create_lease(&self.lease_spec(owner)).await
    }

    /// A VM that has run and is off.
    async fn vm_that_ran(&self) -> Result<Vm> {
        let vm = self.vm().await?;
        self.provider.start_vm(&vm.id, &self.silent).await?;
        if self.fixture.guest == GuestBehaviour::StaysOn {
            self.provider.stop_vm(&vm.id).await?;
        }
        self.provider.wait_vm_off(&vm.id).await?;
        Ok(vm)
    }

    async fn vm(&self) -> Result<Vm> {
        let volume = self.volume().await?;
        let spec = self.vm_spec(&self.build, volume).await?;
        self.provider.create_vm(&spec, &self.silent).await
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
    let pairs = [(keys::BUILD, build.as_str()), (keys::NAME, "contract-suite")];
    Labels::from_provider(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
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

async fn offer_has_room(bench: Bench<'_>) -> Result<()> {
    let offer = bench.offer().await?;
    assert!(offer.root_size >= bench.fixture.requirements.volume_size, "{offer:?}");
    assert!(!offer.base.is_empty(), "the offer does not say what the base is");
    Ok(())
}

async fn volume_life(bench: Bench<'_>) -> Result<()> {
    let volume = bench.volume().await?;
    assert!(volume.size >= bench.fixture.requirements.volume_size, "{volume:?}");
    assert!(volume.device.starts_with(Path::new("/dev/disk/by-id")), "{volume:?}");
    let id = ResourceId::from(volume.id);
    assert!(bench.found().await?.contains(&id), "{id} is not found by its label");
    bench.provider.delete(&id).await?;
    assert!(!bench.found().await?.contains(&id), "{id} is found after it was deleted");
    bench.provider.delete(&id).await
}

async fn names_are_unique(bench: Bench<'_>) -> Result<()> {
    let first = bench.volume().await?;
    let again = bench.volume().await?;
    assert_eq!(first.id, again.id, "the volume of the same build was not adopted");
    let foreign = bench.volume_spec(&bench.other_build);
    let taken = bench.provider.create_volume(&foreign, &bench.silent).await;
    expect_kind("a taken volume name", taken, ErrorKind::AlreadyExists);

    let spec = bench.vm_spec(&bench.build, first.clone()).await?;
    let vm = bench.provider.create_vm(&spec, &bench.silent).await?;
    let again = bench.provider.create_vm(&spec, &bench.silent).await?;
    assert_eq!(vm.id, again.id, "the VM of the same build was not adopted");
    let foreign = bench.vm_spec(&bench.other_build, first).await?;
    let taken = bench.provider.create_vm(&foreign, &bench.silent).await;
    expect_kind("a taken VM name", taken, ErrorKind::AlreadyExists);
    Ok(())
}

async fn vm_life(bench: Bench<'_>) -> Result<()> {
    let created = bench.vm().await?;
    assert_eq!(created.labels.get(keys::BUILD), Some(bench.build.as_str()));
    let vm = exists(bench.provider.vm(&created.id).await?, &created.id);
    assert_eq!(vm.state, PowerState::Off, "a created VM is off");
    assert_eq!(vm.labels.get(keys::NAME), Some("contract-suite"));
    let id = ResourceId::from(vm.id.clone());
    assert!(bench.found().await?.contains(&id));
    bench.provider.delete(&id).await?;
    assert_eq!(bench.provider.vm(&vm.id).await?, None, "the VM is there after it was deleted");
    let left = bench.found().await?;
    assert!(
        left.iter().all(|id| matches!(id, ResourceId::Volume(_))),
        "deleting the VM left what was created with it: {left:?}"
    );
    bench.provider.delete(&id).await
}

async fn labels_are_merged(bench: Bench<'_>) -> Result<()> {
    let vm = bench.vm().await?;
    let mut change = Labels::new();
    change.insert(keys::PHASE, "started").map_err(internal)?;
    bench.provider.set_labels(&vm.id.clone().into(), &change).await?;
    let vm = exists(bench.provider.vm(&vm.id).await?, &vm.id);
    assert_eq!(vm.labels.get(keys::PHASE), Some("started"));
    assert_eq!(vm.labels.get(keys::BUILD), Some(bench.build.as_str()), "another label is gone");
    Ok(())
}

async fn builds_are_apart(bench: Bench<'_>) -> Result<()> {
    bench.vm().await?;
    let other = Bench { build: bench.other_build.clone(), ..bench.clone() };
    other.volume().await?;
    let (ours, others) = (bench.found().await?, other.found().await?);
    assert_eq!(others.len(), 1, "{others:?}");
    assert!(!ours.contains(&others[0]), "{ours:?}");
    let all = bench.provider.find(&Selector::all()).await?;
    let all: Vec<_> = all.into_iter().map(|resource| resource.id).collect();
    assert!(ours.iter().chain(&others).all(|id| all.contains(id)), "{all:?}");
    Ok(())
}

async fn attached_volume_stays(bench: Bench<'_>) -> Result<()> {
    let vm = bench.vm().await?;
    let volumes = bench.found().await?;
    let volume = volumes.iter().find(|id| matches!(id, ResourceId::Volume(_)));
    let Some(volume) = volume else { panic!("the volume is not found: {volumes:?}") };
    let refused = bench.provider.delete(volume).await;
    expect_kind("deleting an attached volume", refused, ErrorKind::Busy);
    bench.provider.delete(&vm.id.into()).await?;
    bench.provider.delete(volume).await
}

async fn absence(bench: Bench<'_>) -> Result<()> {
    // Ids of the right shape that do not exist any more are the best that a suite can know.
    let vm = bench.vm().await?;
    bench.provider.delete(&vm.id.clone().into()).await?;
    assert_eq!(bench.provider.vm(&vm.id).await?, None);
    bench.provider.delete(&vm.id.into()).await?;
    assert_eq!(bench.found().await?.len(), 1, "only the volume is left");
    Ok(())
}

async fn vm_starts(bench: Bench<'_>) -> Result<()> {
    let vm = bench.vm().await?;
    bench.provider.start_vm(&vm.id, &bench.silent).await?;
    if bench.fixture.guest == GuestBehaviour::StaysOn {
        bench.provider.start_vm(&vm.id, &bench.silent).await?;
        let vm = exists(bench.provider.vm(&vm.id).await?, &vm.id);
        assert_eq!(vm.state, PowerState::Running);
    }
    bench.provider.stop_vm(&vm.id).await?;
    let vm = exists(bench.provider.vm(&vm.id).await?, &vm.id);
    assert_eq!(vm.state, PowerState::Off);
    Ok(())
}

async fn vanished_vm(bench: Bench<'_>) -> Result<()> {
    let vm = bench.vm().await?;
    bench.provider.delete(&vm.id.clone().into()).await?;
    let waited = bench.provider.wait_vm_off(&vm.id).await;
    expect_kind("waiting for a deleted VM", waited, ErrorKind::Gone);
    Ok(())
}

async fn image_life(bench: Bench<'_>) -> Result<()> {
    let vm = bench.vm_that_ran().await?;
    let image = bench.provider.create_image(&vm.id, &bench.image_spec(), &bench.silent).await?;
    let id = ResourceId::from(image.id.clone());
    assert!(bench.found().await?.contains(&id), "the image is not found by its label");
    let image = bench.provider.wait_image(&image.id, &bench.silent).await?;
    assert_eq!(image.status, ImageStatus::Available);
    assert_eq!(image.labels.get(keys::BUILD), Some(bench.build.as_str()));
    assert!(image.disk_size >= bench.fixture.requirements.volume_size, "{image:?}");
    bench.provider.delete(&vm.id.into()).await?;
    assert!(bench.provider.image(&image.id).await?.is_some(), "the image went with its VM");
    bench.provider.delete(&id).await?;
    assert_eq!(bench.provider.image(&image.id).await?, None);
    bench.provider.delete(&id).await
}

async fn no_image_of_running_vm(bench: Bench<'_>) -> Result<()> {
    if bench.fixture.guest == GuestBehaviour::PowersOff {
        return Ok(()); // it might be off by then
    }
    let vm = bench.vm().await?;
    bench.provider.start_vm(&vm.id, &bench.silent).await?;
    let refused = bench.provider.create_image(&vm.id, &bench.image_spec(), &bench.silent).await;
    expect_kind("an image of a running VM", refused, ErrorKind::Busy);
    Ok(())
}

async fn was_started(bench: Bench<'_>) -> Result<()> {
    let vm = bench.vm().await?;
    assert_ne!(bench.provider.was_started(&vm.id).await?, Some(true), "before its first start");
    Ok(())
}

fn exists(vm: Option<Vm>, id: &VmId) -> Vm {
    let Some(vm) = vm else { panic!("VM {id} does not exist") };
    vm
}

fn expect_kind<T: std::fmt::Debug>(what: &str, result: Result<T>, kind: ErrorKind) {
    match result {
        Err(error) if error.kind() == kind => {}
        other => panic!("{what} gave {other:?}, expected an error of kind {kind:?}"),
    }
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::new(ErrorKind::Internal, "run the contract suite").with_source(error)
}
