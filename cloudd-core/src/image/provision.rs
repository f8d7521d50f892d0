use super::Phase;
use super::error::{Cause, InvalidInput};
use super::plan::Planned;
use super::run::Run;
use crate::guest::{Access, ContainerDelivery};
use crate::install::ContextArchive;
use crate::provider::{ErrorKind, Media, ResourceId, Vm, VmSpec, Volume, VolumeSpec};

/// VM and volume exist, labelled; the VM was never started.
pub(super) struct Provisioned {
    pub(super) planned: Planned,
    pub(super) vm: Vm,
    /// What has to be uploaded once the guest can be reached.
    pub(super) upload: Option<ContextArchive>,
    /// How the VM is reached over SSH. Of a VM that another process has created nobody knows the
    /// keys any more.
    pub(super) access: Option<Access>,
}

impl Planned {
    /// Creates volume and VM, both elsewhere as long as the provider has no room for the VM where
    /// the volume is.
    pub(super) async fn provision(mut self, run: &Run<'_>) -> Result<Provisioned, Cause> {
        run.enter(Phase::Provision);
        loop {
            let volume = self.create_volume(run).await?;
            let id = ResourceId::from(volume.id.clone());
            match self.create_vm(run, volume).await {
                Ok(vm) => {
                    let upload = match &self.delivery {
                        ContainerDelivery::Upload(archive, _) => Some(archive.clone()),
                        _ => None,
                    };
                    let access = self.access.take();
                    return Ok(Provisioned { planned: self, vm, upload, access });
                }
                Err(Cause::Provider(error)) if error.kind() == ErrorKind::NoRoom => {
                    run.sink.note(format!("trying elsewhere: {error}"));
                    run.call("delete", &id, run.provider.delete(&id)).await?;
                    run.deleted(&id);
                }
                Err(cause) => return Err(cause),
            }
        }
    }

    async fn create_volume(&self, run: &Run<'_>) -> Result<Volume, Cause> {
        let name = name(run);
        let spec = VolumeSpec::new(&name, self.requirements.volume_size, self.labels.clone());
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
            self.labels.clone(),
            self.requirements.clone(),
            self.offer.clone(),
            volume,
            user_data,
        );
        if let ContainerDelivery::Media(archive, _) = &self.delivery {
            spec.media = Some(Media::new(archive.clone()));
        }
        spec.ssh_key = self.access.as_ref().map(|access| access.public_key().to_owned());
        let reporter = run.sink.reporter();
        let create = run.provider.create_vm(&spec, &reporter);
        let vm = run.call("create VM", &name, create).await?;
        run.created(vm.id.clone());
        Ok(vm)
    }
}

/// Unique, and a valid host name on every cloud.
fn name(run: &Run<'_>) -> String {
    format!("cloudd-{}", run.build)
}
