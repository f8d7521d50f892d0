use super::Phase;
use super::error::{Cause, InvalidInput};
use super::plan::Planned;
use super::run::Run;
use crate::guest::ContainerDelivery;
use crate::install::ContextArchive;
use crate::provider::{Media, Vm, VmSpec, VolumeSpec};

/// VM and volume exist, labelled; the VM was never started.
pub(super) struct Provisioned {
    pub(super) planned: Planned,
    pub(super) vm: Vm,
    /// What has to be uploaded once the guest can be reached.
    pub(super) upload: Option<ContextArchive>,
}

impl Planned {
    /// Creates volume and VM.
    pub(super) async fn provision(self, run: &Run<'_>) -> Result<Provisioned, Cause> {
        run.enter(Phase::Provision);
        // Unique, and a valid host name on every cloud.
        let name = format!("cloudd-{}", run.build);
        let reporter = run.sink.reporter();
        let spec = VolumeSpec::new(&name, self.requirements.volume_size, self.labels.clone());
        let create = run.provider.create_volume(&spec, &reporter);
        let volume = run.call("create volume", &name, create).await?;
        run.created(volume.id.clone());

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
        let mut upload = None;
        match &self.delivery {
            ContainerDelivery::Media(archive, _) => spec.media = Some(Media::new(archive.clone())),
            ContainerDelivery::Upload(archive) => upload = Some(archive.clone()),
            ContainerDelivery::Reference(_) | ContainerDelivery::UserData(_) => {}
        }
        let create = run.provider.create_vm(&spec, &reporter);
        let vm = run.call("create VM", &name, create).await?;
        run.created(vm.id.clone());
        Ok(Provisioned { planned: self, vm, upload })
    }
}
