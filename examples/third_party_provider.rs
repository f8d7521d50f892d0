//! A provider outside of this workspace, for the made-up Acme Cloud. Runs the contract suite against
//! it and then builds an image.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloudd_core::provider::{
    Architecture, BuildRequirements, BuilderSpec, BuilderVm, Capabilities, Error, ErrorKind, Image,
    ImageId, ImageSpec, ImageStatus, Labels, LeaseId, LeaseSpec, PowerState, Provider, Reporter,
    ResolvedBuilder, Resource, ResourceId, Result, Selector, Size, UserDataLimits, Vm, VmId,
    Volume, VolumeId, keys,
};
use cloudd_core::testing::{Fixture, GuestBehaviour, run_all};
use cloudd_core::{ImageBuilder, InstallContainer};

/// The resources of Acme, which a real provider would reach over HTTP. Each has a number.
#[derive(Debug, Default)]
struct Things {
    last: u64,
    all: BTreeMap<u64, Thing>,
}

impl Things {
    fn add(&mut self, thing: Thing) -> u64 {
        self.last += 1;
        self.all.insert(self.last, thing);
        self.last
    }
}

#[derive(Debug, Clone)]
struct Thing {
    kind: Kind,
    name: String,
    labels: Labels,
    size: Size,
    /// The number of the disk that is attached to a machine.
    disk: Option<u64>,
    /// For how many more queries a machine runs before its guest powers it off; `None`: it was never
    /// started.
    queries_until_off: Option<u32>,
    /// Whether a person has protected a snapshot against deletion.
    protected: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Machine,
    Disk,
    Snapshot,
    /// Free of charge, and with a unique name like all resources of Acme.
    Note,
}

/// The provider.
#[derive(Debug)]
struct Acme {
    capabilities: Capabilities,
    things: Mutex<Things>,
}

impl Acme {
    const ROOT: Size = Size::gib(20);

    fn new() -> Self {
        // No channel and no media: the power state alone is enough for a build that trusts it.
        let mut capabilities = Capabilities::new(UserDataLimits::new(64 * 1024, true));
        capabilities.min_volume = Size::gib(1);
        Self { capabilities, things: Mutex::default() }
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a resource, or adopts one of the same kind and name if it belongs to the same build, or
    /// for a note, to the same holder.
    fn create(
        &self,
        kind: Kind,
        (name, labels): (&str, &Labels),
        size: Size,
        disk: Option<u64>,
    ) -> Result<u64> {
        let mut things = self.things();
        let thing = Thing {
            kind,
            name: name.to_owned(),
            labels: labels.clone(),
            size,
            disk,
            queries_until_off: None,
            protected: false,
        };
        let same = |it: &Thing| it.kind == thing.kind && it.name == thing.name;
        if let Some((number, found)) = things.all.iter().find(|(_, it)| same(it)) {
            let key = if thing.kind == Kind::Note { keys::HOLDER } else { keys::BUILD };
            return match found.labels.get(key) == thing.labels.get(key) {
                true => Ok(*number),
                false => Err(Error::new(ErrorKind::AlreadyExists, format!("create {kind:?}"))
                    .with_resource(name)),
            };
        }
        Ok(things.add(thing))
    }

    fn machine(&self, vm: &VmId) -> Option<Vm> {
        let mut things = self.things();
        let machine = things.all.get_mut(&number(vm.as_str())?)?;
        let mut found = Vm::new(vm.clone(), &machine.name);
        found.labels = machine.labels.clone();
        found.started = Some(machine.queries_until_off.is_some());
        if let Some(queries @ 1..) = &mut machine.queries_until_off {
            *queries -= 1;
            found.state = PowerState::Running;
        }
        Some(found)
    }
}

impl fmt::Display for Acme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Acme Cloud")
    }
}

fn number(id: &str) -> Option<u64> {
    id.parse().ok()
}

fn missing(operation: &str, id: impl fmt::Display) -> Error {
    Error::new(ErrorKind::NotFound, operation).with_resource(id)
}

#[async_trait]
impl Provider for Acme {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        if requirements.architecture != Architecture::X86_64 {
            return Err(Error::new(ErrorKind::InvalidInput, "choose machine")
                .with_message("Acme has x86_64 machines only"));
        }
        let wanted = requirements.root_size.unwrap_or(Self::ROOT).max(requirements.volume_size);
        if wanted > Self::ROOT {
            return Err(Error::new(ErrorKind::InvalidInput, "choose machine").with_message(
                format_args!("a root disk of {wanted}, expected at most {}", Self::ROOT),
            ));
        }
        Ok(ResolvedBuilder::new("acme-linux-7", Self::ROOT))
    }

    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        let labelled = (spec.name.as_str(), &spec.labels);
        let number = self.create(Kind::Note, labelled, Size::bytes(0), None)?;
        Ok(LeaseId::new(number.to_string()))
    }

    async fn create_builder(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm> {
        let labelled = (spec.name.as_str(), &spec.labels);
        // Acme sells disks in whole GiB.
        let gib = spec.requirements.volume_size.as_bytes().div_ceil(1 << 30);
        let disk = self.create(Kind::Disk, labelled, Size::gib(gib), None)?;
        let id = VolumeId::new(disk.to_string());
        reporter.created(id.clone());

        let device = format!("/dev/disk/by-id/virtio-acme-{disk}").into();
        let mut volume = Volume::new(id, &spec.name, Size::gib(gib), device);
        volume.labels = spec.labels.clone();
        // A real machine is created with these.
        let _user_data = spec.user_data.render(&volume.device)?;
        let machine = self.create(Kind::Machine, labelled, spec.resolved.root_size, Some(disk))?;
        let id = VmId::new(machine.to_string());
        reporter.created(id.clone());
        let vm = self.machine(&id).ok_or_else(|| missing("create machine", &id))?;
        Ok(BuilderVm::new(vm, volume))
    }

    async fn start_vm(&self, vm: &VmId, _: &Reporter) -> Result<()> {
        let mut things = self.things();
        let machine = number(vm.as_str()).and_then(|number| things.all.get_mut(&number));
        let machine = machine.ok_or_else(|| missing("start machine", vm))?;
        machine.queries_until_off = Some(2);
        Ok(())
    }

    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        Ok(self.machine(vm))
    }

    async fn create_image(&self, vm: &VmId, spec: &ImageSpec, _: &Reporter) -> Result<Image> {
        let size = match self.machine(vm) {
            None => return Err(missing("create snapshot", vm)),
            Some(vm) if vm.state != PowerState::Off => {
                return Err(Error::new(ErrorKind::Busy, "create snapshot").with_resource(&vm.id));
            }
            Some(_) => Self::ROOT,
        };
        // The name is not unique, so the build is part of it: then one build makes one snapshot.
        let name = format!("{} {}", spec.name, spec.labels.get(keys::BUILD).unwrap_or_default());
        let number = self.create(Kind::Snapshot, (&name, &spec.labels), size, None)?;
        let id = ImageId::new(number.to_string());
        self.image(&id).await?.ok_or_else(|| missing("create snapshot", &id))
    }

    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        let things = self.things();
        let found = number(image.as_str()).and_then(|number| things.all.get(&number));
        Ok(found.map(|thing| {
            let mut found = Image::new(image.clone(), ImageStatus::Available, thing.size);
            found.labels = thing.labels.clone();
            found.protected = thing.protected;
            found
        }))
    }

    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        let mut things = self.things();
        let thing = number(text(resource)).and_then(|number| things.all.get_mut(&number));
        let thing = thing.ok_or_else(|| missing("label", resource))?;
        thing.labels = std::mem::take(&mut thing.labels).merged(labels);
        Ok(())
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let things = self.things();
        let all = things.all.iter();
        let all =
            all.map(|(number, it)| Resource::new(id(*number, it), &it.name, it.labels.clone()));
        Ok(all.filter(|resource| selector.selects(resource)).collect())
    }

    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        let mut things = self.things();
        let Some(number) = number(text(resource)) else { return Ok(()) };
        if things.all.values().any(|thing| thing.disk == Some(number)) {
            return Err(Error::new(ErrorKind::Busy, "delete disk")
                .with_resource(resource)
                .with_message("it is attached to a machine"));
        }
        if things.all.get(&number).is_some_and(|thing| thing.protected) {
            return Err(Error::new(ErrorKind::Protected, "delete snapshot").with_resource(resource));
        }
        things.all.remove(&number);
        Ok(())
    }
}

fn id(number: u64, thing: &Thing) -> ResourceId {
    let number = number.to_string();
    match thing.kind {
        Kind::Machine => VmId::new(number).into(),
        Kind::Disk => VolumeId::new(number).into(),
        Kind::Snapshot => ImageId::new(number).into(),
        Kind::Note => LeaseId::new(number).into(),
    }
}

fn text(resource: &ResourceId) -> &str {
    match resource {
        ResourceId::Vm(id) => id.as_str(),
        ResourceId::Volume(id) => id.as_str(),
        ResourceId::Image(id) => id.as_str(),
        ResourceId::Lease(id) => id.as_str(),
        _ => "",
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::result::Result<(), Box<dyn StdError>> {
    let acme = Arc::new(Acme::new());
    let console = Arc::clone(&acme);
    let mut fixture = Fixture::new(Architecture::X86_64, Size::gib(10), GuestBehaviour::PowersOff)
        .protect_image(move |image, on| {
            if let Some(number) = number(image.as_str())
                && let Some(thing) = console.things().all.get_mut(&number)
            {
                thing.protected = on;
            }
            Box::pin(async { Ok(()) })
        });
    fixture.timeout = Duration::from_secs(60);
    println!("{}", run_all(&acme, &fixture).await);

    let container = InstallContainer::reference("registry.example/installer:1");
    let built = ImageBuilder::new("hello", container).trust_power_off().build(&acme).await?;
    println!("image: {}", built.image.id);
    let left = acme.find(&Selector::all()).await?;
    println!("in the cloud afterwards: {} resource", left.len());
    Ok(())
}
