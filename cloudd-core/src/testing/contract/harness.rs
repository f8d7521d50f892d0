use std::fmt;

use tokio::time::Instant;

use super::fixture::{Fixture, GuestBehaviour};
use crate::provider::{
    BuildId, BuilderSpec, BuilderVm, ErrorKind, Image, ImageSpec, Labels, LeaseId, LeaseSpec,
    Provider, Reporter, ResolvedBuilder, ResourceId, ResourceKind, Result, Selector,
    UserDataTemplate, Vm, VmId, keys,
};

/// The provider under test, and the builds of one check on it.
#[derive(Clone)]
pub(super) struct Harness<'a> {
    pub(super) provider: &'a dyn Provider,
    pub(super) fixture: &'a Fixture,
    pub(super) build: BuildId,
    pub(super) other_build: BuildId,
    pub(super) silent: Reporter,
    /// When a wait for the guest gives up: before the timeout of the check, so that the failure
    /// can say what was received.
    pub(super) deadline: Instant,
}

impl<'a> Harness<'a> {
    pub(super) fn new(provider: &'a dyn Provider, fixture: &'a Fixture) -> Self {
        Self {
            provider,
            fixture,
            build: BuildId::random(),
            other_build: BuildId::random(),
            silent: Reporter::silent(),
            deadline: Instant::now() + fixture.timeout * 9 / 10,
        }
    }

    pub(super) fn name(&self) -> String {
        format!("cloudd-{}", self.build)
    }

    pub(super) async fn resolve(&self) -> Result<ResolvedBuilder> {
        let requirements = &self.fixture.requirements;
        let resolved = self.provider.resolve(requirements).await?;
        self.provider.ensure_base_image(requirements, &resolved, &self.silent).await?;
        Ok(resolved)
    }

    pub(super) async fn builder_spec(&self, build: &BuildId) -> Result<BuilderSpec> {
        let port = self.provider.capabilities().event_port.as_deref();
        let user_data = UserDataTemplate::fixed(self.fixture.user_data(port, build)?);
        let (requirements, resolved) = (self.fixture.requirements.clone(), self.resolve().await?);
        let mut spec =
            BuilderSpec::new(self.name(), labels(build), requirements, resolved, user_data);
        spec.lease = Some(self.lease("holder").await?);
        Ok(spec)
    }

    pub(super) async fn builder(&self) -> Result<BuilderVm> {
        let spec = self.builder_spec(&self.build).await?;
        self.provider.create_builder(&spec, &self.silent).await
    }

    pub(super) async fn vm(&self) -> Result<Vm> {
        Ok(self.builder().await?.vm)
    }

    pub(super) async fn started_vm(&self) -> Result<Vm> {
        let vm = self.vm().await?;
        self.provider.start_vm(&vm.id, &self.silent).await?;
        Ok(vm)
    }

    /// A VM that has run and is off.
    pub(super) async fn vm_that_ran(&self) -> Result<Vm> {
        let vm = self.started_vm().await?;
        self.wait_vm_off(&vm.id).await?;
        Ok(vm)
    }

    /// Waits until a VM is off, after cutting its power if its guest stays on.
    pub(super) async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        if let Some(power_off) = &self.fixture.power_off {
            power_off.call(vm.clone()).await?;
        }
        self.provider.wait_vm_off(vm).await
    }

    pub(super) fn stays_on(&self) -> bool {
        self.fixture.guest == GuestBehaviour::StaysOn
    }

    pub(super) fn lease_spec(&self, holder: &str) -> LeaseSpec {
        let holder = Labels::from_iter([(keys::HOLDER, holder)]);
        LeaseSpec::new(format!("{}-lease", self.name()), labels(&self.build).merged(&holder))
    }

    /// The lease of this check, as this holder.
    pub(super) async fn lease(&self, holder: &str) -> Result<LeaseId> {
        self.provider.create_lease(&self.lease_spec(holder)).await
    }

    pub(super) fn image_spec(&self) -> ImageSpec {
        let architecture = self.fixture.requirements.architecture;
        ImageSpec::new("contract-suite", "made by the suite", labels(&self.build), architecture)
    }

    /// An available image of a VM that is off.
    pub(super) async fn image_of(&self, vm: &VmId) -> Result<Image> {
        let image = self.provider.create_image(vm, &self.image_spec(), &self.silent).await?;
        self.provider.wait_image(&image.id, &self.silent).await
    }

    /// The resources of this check's build, without its leases.
    pub(super) async fn found(&self) -> Result<Vec<ResourceId>> {
        let found = self.provider.find(&Selector::build(&self.build)).await?;
        let found = found.into_iter().map(|resource| resource.id);
        Ok(found.filter(|id| id.kind() != ResourceKind::Lease).collect())
    }
}

pub(super) fn labels(build: &BuildId) -> Labels {
    Labels::from_iter([(keys::BUILD, build.as_str()), (keys::NAME, "contract-suite")])
}

pub(super) fn exists(vm: Option<Vm>, id: &VmId) -> Vm {
    let Some(vm) = vm else { panic!("VM {id} does not exist") };
    vm
}

pub(super) fn expect_kind<T: fmt::Debug>(what: &str, result: Result<T>, kind: ErrorKind) {
    match result {
        Err(error) if error.kind() == kind => {}
        other => panic!("{what} gave {other:?}, expected an error of kind {kind:?}"),
    }
}
