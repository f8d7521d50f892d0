//! A provider that keeps every rule of the contract but one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cloudd_core::guest::GuestChannel;
use cloudd_core::memory::Memory;
use cloudd_core::provider::{
    BootSpec, BuildRequirements, BuilderSpec, BuilderVm, Capabilities, Error, ErrorKind, Image,
    ImageId, ImageSpec, ImageStatus, Labels, LeaseId, LeaseSpec, PowerState, Provider, Reporter,
    ResolvedBuilder, Resource, ResourceId, Result, Selector, Size, Vm, VmId,
};

/// The rule that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    LeaseKeepsItsId,
    NamesAreNotFound,
    VolumeIsRoundedDown,
    UserDataLimitIsMeasuredAfterBase64,
    RepeatedCreateFails,
    MissingVmIsNotCreatedAgain,
    HalfMadeVmIsHidden,
    AttachedVolumeIsDeleted,
    VmDoesNotStartAgain,
    ChannelIsMissing,
    ChannelEndsBeforeTheStart,
    ChannelNeverEnds,
    ChannelForgetsWhatWasSent,
    ConsoleIsEmpty,
    CreateImageDeletesTheVm,
    WaitImageDeletesTheVm,
    WaitImageDoesNotWait,
    ProtectedImageIsDeleted,
    ProtectedImageIsBusy,
    ProtectionIsNotShown,
}

impl Rule {
    pub(crate) const ALL: &[Self] = &[
        Self::LeaseKeepsItsId,
        Self::NamesAreNotFound,
        Self::VolumeIsRoundedDown,
        Self::UserDataLimitIsMeasuredAfterBase64,
        Self::RepeatedCreateFails,
        Self::MissingVmIsNotCreatedAgain,
        Self::HalfMadeVmIsHidden,
        Self::AttachedVolumeIsDeleted,
        Self::VmDoesNotStartAgain,
        Self::ChannelIsMissing,
        Self::ChannelEndsBeforeTheStart,
        Self::ChannelNeverEnds,
        Self::ChannelForgetsWhatWasSent,
        Self::ConsoleIsEmpty,
        Self::CreateImageDeletesTheVm,
        Self::WaitImageDeletesTheVm,
        Self::WaitImageDoesNotWait,
        Self::ProtectedImageIsDeleted,
        Self::ProtectedImageIsBusy,
        Self::ProtectionIsNotShown,
    ];

    /// The check that has to fail.
    pub(crate) fn check(self) -> &'static str {
        match self {
            Self::LeaseKeepsItsId => "a lease that is created again has another id",
            Self::NamesAreNotFound => "resources are found with their names",
            Self::VolumeIsRoundedDown => "the size of a volume is rounded up",
            Self::UserDataLimitIsMeasuredAfterBase64 => {
                "user data as large as the limit are accepted"
            }
            Self::RepeatedCreateFails | Self::MissingVmIsNotCreatedAgain => {
                "a taken name is adopted by its own build only"
            }
            Self::HalfMadeVmIsHidden => "a half-made builder is found by its labels",
            Self::AttachedVolumeIsDeleted => "an attached volume is not deleted",
            Self::VmDoesNotStartAgain => "a VM that went off starts again",
            Self::ChannelIsMissing => "open_channel agrees with the capabilities",
            Self::ChannelEndsBeforeTheStart => "receive waits before the first start",
            Self::ChannelNeverEnds | Self::ChannelForgetsWhatWasSent => {
                "receive ends after power-off"
            }
            Self::ConsoleIsEmpty => "the console of a guest is shown",
            Self::CreateImageDeletesTheVm | Self::WaitImageDeletesTheVm => {
                "an image does not take its VM away"
            }
            Self::WaitImageDoesNotWait => "an image is made of a VM that is off",
            Self::ProtectedImageIsDeleted
            | Self::ProtectedImageIsBusy
            | Self::ProtectionIsNotShown => "a protected image is not deleted",
        }
    }

    /// Checks that run earlier and fail, too.
    pub(crate) fn found_earlier_by(self) -> &'static [&'static str] {
        match self {
            Self::LeaseKeepsItsId => &["a lease is labelled until it is deleted"],
            _ => &[],
        }
    }
}

/// A [`Memory`] that breaks one rule.
#[derive(Debug)]
pub(crate) struct Broken {
    memory: Memory,
    rule: Rule,
    records: Mutex<Records>,
}

/// What [`Broken`] remembers of earlier calls.
#[derive(Debug, Default)]
struct Records {
    /// The names of leases, which it returns as their ids, and the ids that they have.
    leases: BTreeMap<String, LeaseId>,
    builders: BTreeMap<String, BuilderVm>,
    hidden: Vec<ResourceId>,
}

impl Broken {
    pub(crate) fn new(memory: Memory, rule: Rule) -> Self {
        Self { memory, rule, records: Mutex::default() }
    }

    fn is(&self, rule: Rule) -> bool {
        self.rule == rule
    }

    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The id in memory of a resource.
    fn inner(&self, id: &ResourceId) -> ResourceId {
        match id {
            ResourceId::Lease(name) => {
                let inner = self.records().leases.get(name.as_str()).cloned();
                inner.unwrap_or_else(|| name.clone()).into()
            }
            other => other.clone(),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.rule)
    }
}

#[async_trait]
impl Provider for Broken {
    fn capabilities(&self) -> &Capabilities {
        self.memory.capabilities()
    }

    async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        self.memory.resolve(requirements).await
    }

    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        let id = self.memory.create_lease(spec).await?;
        if !self.is(Rule::LeaseKeepsItsId) {
            return Ok(id);
        }
        self.records().leases.insert(spec.name.clone(), id);
        Ok(LeaseId::new(&spec.name))
    }

    async fn create_builder(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm> {
        let mut spec = spec.clone();
        let known = self.records().builders.get(&spec.name).cloned();
        match self.rule {
            Rule::RepeatedCreateFails if known.is_some() => {
                return Err(Error::new(ErrorKind::AlreadyExists, "create").with_resource(spec.name));
            }
            Rule::MissingVmIsNotCreatedAgain => {
                if let Some(known) = known.filter(|known| known.vm.labels == spec.labels) {
                    return Ok(known);
                }
            }
            Rule::VolumeIsRoundedDown => {
                let mib = spec.requirements.volume_size.as_bytes() >> 20;
                spec.requirements.volume_size = Size::mib(mib);
            }
            Rule::UserDataLimitIsMeasuredAfterBase64 => {
                let user_data = spec.user_data.render(Path::new("/dev/disk/by-id/volume"))?;
                if user_data.len() * 4 / 3 > self.capabilities().user_data.max_bytes {
                    return Err(Error::new(ErrorKind::InvalidInput, "create"));
                }
            }
            Rule::HalfMadeVmIsHidden => {
                let builder = self.memory.create_builder(&spec, &Reporter::silent()).await?;
                let id = ResourceId::from(builder.vm.id.clone());
                self.records().hidden.push(id.clone());
                reporter.created(builder.volume.id.clone());
                reporter.created(id);
                tokio::task::yield_now().await;
                self.records().hidden.clear();
                return Ok(builder);
            }
            _ => {}
        }
        let builder = self.memory.create_builder(&spec, reporter).await?;
        self.records().builders.insert(spec.name.clone(), builder.clone());
        Ok(builder)
    }

    async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()> {
        let started = self.vm(vm).await?.and_then(|vm| vm.started);
        if self.is(Rule::VmDoesNotStartAgain) && started == Some(true) {
            return Ok(());
        }
        self.memory.start_vm(vm, reporter).await
    }

    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        self.memory.vm(vm).await
    }

    async fn open_channel(&self, vm: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
        if self.is(Rule::ChannelIsMissing) {
            return Ok(None);
        }
        let Some(inner) = self.memory.open_channel(vm).await? else { return Ok(None) };
        let found = self.vm(vm).await?;
        let was_off = found.as_ref().is_some_and(|vm| vm.state == PowerState::Off);
        let started = found.is_some_and(|vm| vm.started == Some(true));
        let empty = match self.rule {
            Rule::ChannelEndsBeforeTheStart => !started,
            Rule::ChannelForgetsWhatWasSent => started && was_off,
            _ => false,
        };
        Ok(Some(Box::new(BrokenChannel { inner, empty, endless: self.is(Rule::ChannelNeverEnds) })))
    }

    async fn create_image(
        &self,
        vm: &VmId,
        spec: &ImageSpec,
        reporter: &Reporter,
    ) -> Result<Image> {
        let image = self.memory.create_image(vm, spec, reporter).await?;
        if self.is(Rule::CreateImageDeletesTheVm) {
            self.delete(&vm.clone().into()).await?;
        }
        Ok(image)
    }

    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        let mut found = self.memory.image(image).await?;
        if self.is(Rule::ProtectionIsNotShown)
            && let Some(image) = &mut found
        {
            image.protected = false;
        }
        Ok(found)
    }

    async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
        if self.is(Rule::WaitImageDoesNotWait) {
            return Ok(Image::new(image.clone(), ImageStatus::Creating, Size::gib(40)));
        }
        let image = self.memory.wait_image(image, reporter).await?;
        if self.is(Rule::WaitImageDeletesTheVm) {
            for resource in self.memory.find(&Selector::all()).await? {
                if matches!(resource.id, ResourceId::Vm(_)) {
                    self.memory.delete(&resource.id).await?;
                }
            }
        }
        Ok(image)
    }

    async fn create_vm_from_image(&self, spec: &BootSpec, reporter: &Reporter) -> Result<Vm> {
        self.memory.create_vm_from_image(spec, reporter).await
    }

    async fn console(&self, vm: &VmId) -> Result<Vec<u8>> {
        if self.is(Rule::ConsoleIsEmpty) {
            return Ok(Vec::new());
        }
        self.memory.console(vm).await
    }

    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        self.memory.set_labels(&self.inner(resource), labels).await
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let mut found = self.memory.find(selector).await?;
        let records = self.records();
        found.retain(|resource| !records.hidden.contains(&resource.id));
        for resource in &mut found {
            if self.is(Rule::NamesAreNotFound) {
                resource.name.clear();
            }
            let name = records.leases.iter().find(|(_, id)| resource.id == (*id).clone().into());
            if let Some((name, _)) = name {
                resource.id = LeaseId::new(name).into();
            }
        }
        Ok(found)
    }

    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        let inner = self.inner(resource);
        let deleted = self.memory.delete(&inner).await;
        let refused = deleted.as_ref().err().map(Error::kind);
        match (self.rule, refused) {
            (Rule::AttachedVolumeIsDeleted, Some(ErrorKind::Busy))
            | (Rule::ProtectedImageIsDeleted, Some(ErrorKind::Protected)) => {
                self.memory.lose(&inner);
                Ok(())
            }
            (Rule::ProtectedImageIsBusy, Some(ErrorKind::Protected)) => {
                Err(Error::new(ErrorKind::Busy, "delete image").with_resource(resource))
            }
            _ => deleted,
        }
    }
}

/// A channel that ends too early or never.
struct BrokenChannel {
    inner: Box<dyn GuestChannel>,
    /// It ends at once.
    empty: bool,
    endless: bool,
}

#[async_trait]
impl GuestChannel for BrokenChannel {
    async fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        if self.empty {
            return Ok(None);
        }
        let received = self.inner.receive().await?;
        if received.is_none() && self.endless {
            std::future::pending::<()>().await;
        }
        Ok(received)
    }
}
