use super::Phase;
use super::error::Cause;
use super::plan::Planned;
use super::run::Run;
use crate::guest::{Access, ContainerDelivery};
use crate::install::ContextArchive;
use crate::provider::{BuilderSpec, Media, Vm};

/// VM and volume exist, labelled.
pub(super) struct Provisioned {
    pub(super) planned: Planned,
    pub(super) vm: Vm,
    /// The VM was started, by a process that died.
    pub(super) started: bool,
    /// What has to be uploaded once the guest can be reached.
    pub(super) upload: Option<ContextArchive>,
    /// How the VM is reached over SSH.
    pub(super) access: Option<Access>,
}

impl Provisioned {
    /// The VM of a process that died, which was started.
    pub(super) fn adopted(planned: Planned, vm: Vm) -> Self {
        Self::new(planned, vm, true)
    }

    fn new(mut planned: Planned, vm: Vm, started: bool) -> Self {
        let upload = match &planned.delivery {
            ContainerDelivery::Upload(archive, _) => Some(archive.clone()),
            _ => None,
        };
        let access = planned.access.take();
        Self { planned, vm, started, upload, access }
    }
}

impl Planned {
    /// Creates volume and VM, both elsewhere as long as the provider has no room for the VM where
    /// the volume is.
    pub(super) async fn provision(self, run: &Run<'_>) -> Result<Provisioned, Cause> {
        self.prepare(run).await?;
        run.enter(Phase::Provision);
        let name = name(run);
        let user_data = self.user_data_template(run);
        let mut spec = BuilderSpec::new(
            &name,
            self.labels(run, &run.build()),
            self.requirements.clone(),
            self.offer.clone(),
            user_data,
        );
        if let ContainerDelivery::Media(archive, _) = &self.delivery {
            spec.media = Some(Media::new(archive.clone()));
        }
        spec.lease = run.claim().map(|claim| claim.id.clone());
        let reporter = run.sink.reporter();
        let create = run.provider.create_builder(&spec, &reporter);
        let builder = run.call("create builder VM", &name, create).await?;
        run.remember([builder.volume.id.clone().into(), builder.vm.id.clone().into()]);
        Ok(Provisioned::new(self, builder.vm, false))
    }
}

/// Unique, and a valid host name on every cloud.
fn name(run: &Run<'_>) -> String {
    format!("cloudd-{}", run.build())
}
