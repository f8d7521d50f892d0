//! A provider for a cloud that this workspace has never heard of, outside of it: the made-up Acme
//! Cloud, with its client, its ids and its way to write labels. Runs the contract suite against it
//! and then builds an image.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cloudd_core::build::ImageBuilder;
use cloudd_core::guest::GuestChannel;
use cloudd_core::install::InstallContainer;
use cloudd_core::provider::{
    Architecture, BuildRequirements, Capabilities, Error, ErrorKind, Image, ImageId, ImageSpec,
    ImageStatus, Labels, LeaseId, LeaseSpec, PowerState, Provider, Reporter, ResolvedBuilder,
    Resource, ResourceId, Result, Selector, Size, UserDataLimits, Vm, VmId, VmSpec, Volume,
    VolumeId, VolumeSpec, keys,
};
use cloudd_core::testing::{Fixture, GuestBehaviour, run_all};

/// What Acme sells, in place of HTTP: things with a number, a kind, a name and labels.
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
    /// A machine's volume.
    uses: Option<u64>,
    /// Machines of Acme's run for two looks, and then are off: their guests are quick.
    looks_until_off: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Machine,
    Disk,
    Snapshot,
    /// Acme's tags for nothing in particular: free, and with a unique name like all that it sells.
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
        // No channel, no media: the power state alone tells. It is enough.
        let mut capabilities = Capabilities::new(UserDataLimits::new(64 * 1024, true));
        capabilities.min_volume = Size::gib(1);
        Self { capabilities, things: Mutex::default() }
    }

    fn things(&self) -> MutexGuard<'_, Things> {
        self.things.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Creates a thing, or finds that an earlier call has: of the same build, or for a note, of the
    /// same owner.
    fn create(&self, operation: &str, thing: Thing) -> Result<u64> {
        let mut things = self.things();
        let same = |it: &Thing| it.kind == thing.kind && it.name == thing.name;
        if let Some((number, found)) = things.all.iter().find(|(_, it)| same(it)) {
            let key = if thing.kind == Kind::Note { keys::HOLDER } else { keys::BUILD };
            return match found.labels.get(key) == thing.labels.get(key) {
                true => Ok(*number),
                false => {
                    Err(Error::new(ErrorKind::AlreadyExists, operation).with_resource(&thing.name))
                }
            };
        }
        Ok(things.add(thing))
    }

    fn machine(&self, vm: &VmId) -> Option<Vm> {
        let mut things = self.things();
        let machine = things.all.get_mut(&number(vm.as_str())?)?;
        let mut found = Vm::new(vm.clone(), &machine.name);
        found.labels = machine.labels.clone();
        if let Some(looks @ 1..) = &mut machine.looks_until_off {
            *looks -= 1;
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

    async fn check(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        if requirements.architecture != Architecture::X86_64 {
            return Err(Error::new(ErrorKind::InvalidInput, "choose machine")
                .with_message("Acme has x86_64 machines only"));
        }
        let wanted = requirements.root_size.unwrap_or(Self::ROOT).max(requirements.volume_size);
        if wanted > Self::ROOT {
            return Err(Error::new(ErrorKind::InvalidInput, "choose machine").with_message(
                format_args!("Acme's disks have {}, wanted is {wanted}", Self::ROOT),
            ));
        }
        Ok(ResolvedBuilder::new("acme-linux-7", Self::ROOT))
    }

    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        let (name, labels, size) = (spec.name.clone(), spec.labels.clone(), Size::bytes(0));
        let kind = Kind::Note;
        let thing = Thing { kind, name, labels, size, uses: None, looks_until_off: None };
        Ok(LeaseId::new(self.create("create note", thing)?.to_string()))
    }

    async fn create_volume(&self, spec: &VolumeSpec, _: &Reporter) -> Result<Volume> {
        let (name, labels, size) = (spec.name.clone(), spec.labels.clone(), spec.size);
        let kind = Kind::Disk;
        let thing = Thing { kind, name, labels, size, uses: None, looks_until_off: None };
        let number = self.create("create disk", thing)?;
        let device = format!("/dev/disk/by-id/virtio-acme-{number}").into();
        let mut volume = Volume::new(VolumeId::new(number.to_string()), &spec.name, size, device);
        volume.labels = spec.labels.clone();
        Ok(volume)
    }

    async fn create_vm(&self, spec: &VmSpec, _: &Reporter) -> Result<Vm> {
        let uses = number(spec.volume.id.as_str());
        let (name, labels, size) = (spec.name.clone(), spec.labels.clone(), spec.offer.root_size);
        let kind = Kind::Machine;
        let thing = Thing { kind, name, labels, size, uses, looks_until_off: None };
        let id = VmId::new(self.create("create machine", thing)?.to_string());
        self.machine(&id).ok_or_else(|| missing("create machine", &id))
    }

    async fn start_vm(&self, vm: &VmId, _: &Reporter) -> Result<()> {
        let mut things = self.things();
        let machine = number(vm.as_str()).and_then(|number| things.all.get_mut(&number));
        machine.ok_or_else(|| missing("start machine", vm))?.looks_until_off.get_or_insert(2);
        Ok(())
    }

    async fn stop_vm(&self, vm: &VmId) -> Result<()> {
        let mut things = self.things();
        let machine = number(vm.as_str()).and_then(|number| things.all.get_mut(&number));
        machine.ok_or_else(|| missing("stop machine", vm))?.looks_until_off = Some(0);
        Ok(())
    }

    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        Ok(self.machine(vm))
    }

    async fn open_channel(&self, _: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
        Ok(None)
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
        let (kind, labels) = (Kind::Snapshot, spec.labels.clone());
        let thing = Thing { kind, name, labels, size, uses: None, looks_until_off: None };
        let id = ImageId::new(self.create("create snapshot", thing)?.to_string());
        self.image(&id).await?.ok_or_else(|| missing("create snapshot", &id))
    }

    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        let things = self.things();
        let found = number(image.as_str()).and_then(|number| things.all.get(&number));
        Ok(found.map(|thing| {
            let mut found = Image::new(image.clone(), ImageStatus::Available, thing.size);
            found.labels = thing.labels.clone();
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
        let all = all.map(|(number, it)| Resource::new(id(*number, it), it.labels.clone()));
        Ok(all.filter(|resource| selector.selects(resource)).collect())
    }

    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        let mut things = self.things();
        let Some(number) = number(text(resource)) else { return Ok(()) };
        if things.all.values().any(|thing| thing.uses == Some(number)) {
            return Err(Error::new(ErrorKind::Busy, "delete disk")
                .with_resource(resource)
                .with_message("a machine uses it"));
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
    let acme = Acme::new();
    let mut fixture = Fixture::new(Architecture::X86_64, Size::gib(10), GuestBehaviour::PowersOff);
    fixture.patience = Duration::from_secs(60);
    for check in run_all(&acme, &fixture).await {
        println!("kept: {check}");
    }

    let container = InstallContainer::reference("registry.example/installer:1");
    let image = ImageBuilder::new("hello", container).build(&acme).await?;
    println!("image: {}", image.id);
    let left = acme.find(&Selector::all()).await?;
    println!("in the cloud afterwards: {} resource", left.len());
    Ok(())
}
