use super::Phase;
use super::error::{Cause, InvalidInput};
use super::plan::Planned;
use super::run::Run;
use crate::guest::{Access, ContainerDelivery};
use crate::install::ContextArchive;
use crate::provider::{ErrorKind, Media, ResourceId, Vm, VmSpec, Volume, VolumeSpec};

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
        loop {
            let volume = self.create_volume(run).await?;
            let id = ResourceId::from(volume.id.clone());
            match self.create_vm(run, volume).await {
                Ok(vm) => {
                    return Ok(Provisioned::new(self, vm, false));
                }
                Err(Cause::Provider(error)) if error.kind() == ErrorKind::NoRoom => {
                    run.sink.note(format!("trying elsewhere: {error}"));
                    run.delete_found(&id).await?;
                }
                Err(cause) => return Err(cause),
            }
        }
    }

    async fn create_volume(&self, run: &Run<'_>) -> Result<Volume, Cause> {
        let name = name(run);
        let spec =
            VolumeSpec::new(&name, self.requirements.volume_size, self.labels(run, &run.build()));
        let reporter = run.sink.reporter();
        let create = run.provider.create_volume(&spec, &reporter);
        let volume = run.call("create volume", &name, create).await?;
        run.created(volume.id.clone());
        Ok(volume)
    }

    async fn create_vm(&self, run: &Run<'_>, volume: Volume) -> Result<Vm, Cause> {
        let name = name(run);
        let user_data = self
            .user_data(run, &volume.device)
            .map_err(|error| Cause::Input(InvalidInput::UserData(error)))?;
        let mut spec = VmSpec::new(
            &name,
            self.labels(run, &run.build()),
            self.requirements.clone(),
            self.offer.clone(),
            volume,
            user_data,
        );
        if let ContainerDelivery::Media(archive, _) = &self.delivery {
            spec.media = Some(Media::new(archive.clone()));
        }
        spec.lease = run.claim().map(|lease| lease.id.clone());
        let reporter = run.sink.reporter();
        let create = run.provider.create_vm(&spec, &reporter);
        let vm = run.call("create VM", &name, create).await?;
        run.created(vm.id.clone());
        Ok(vm)
    }
}

/// Unique, and a valid host name on every cloud.
fn name(run: &Run<'_>) -> String {
    format!("cloudd-{}", run.build())
}
