use super::Phase;
use super::capture::PoweredOff;
use super::claim::phase;
use super::error::Cause;
use super::listen::{Listener, Uploaded};
use super::provision::Provisioned;
use super::run::Run;
use crate::guest::{Access, GuestChannel};
use crate::provider::{Error, ErrorKind, Vm};

impl Provisioned {
    /// Starts the VM and follows it through both stages until it is off.
    ///
    /// A guest that failed never powers off, so *off* without a word is success where nothing can
    /// be heard. Where something can, it has to fit:
    ///
    /// | channel | off is success |
    /// |---|---|
    /// | that hears both stages | after the last event of stage 2 |
    /// | that ends with stage 1, as SSH does | once stage 1 has said that it is done |
    /// | whose guest was never reached | always |
    /// | whose guest was out of reach for [`Deadlines::route`](super::Deadlines::route), until the end | always |
    /// | none | always |
    ///
    /// So a guest that was heard must have been lost for long, and this have been told, before its
    /// silence counts for it: losing its connection is also what a VM does whose power is cut.
    pub(super) async fn follow(self, run: &Run<'_>) -> Result<PoweredOff, Cause> {
        let Self { planned, vm, started, upload, access } = self;
        run.enter(Phase::Boot);
        if !started {
            // Written before the step: "off" says nothing of a VM that may not have run.
            run.mark(phase::START).await?;
            let reporter = run.sink.reporter();
            let start = run.provider.start_vm(&vm.id, &reporter);
            run.wait("start of the VM", run.builder.deadlines.call, start).await?;
        }
        let open = open(run, &vm, access.as_ref());
        match run.wait("channel to the guest", run.builder.deadlines.boot, open).await? {
            Some(channel) => {
                let off = run.provider.wait_vm_off(&vm.id);
                tokio::pin!(off);
                let mut listener = Listener::new(run, &planned, channel);
                let uploaded = match upload {
                    Some(archive) => listener.upload(&archive, off.as_mut(), started).await?,
                    None => Uploaded::Running,
                };
                match uploaded {
                    Uploaded::Running => listener.listen(off).await?,
                    Uploaded::Off => listener.judge().await?,
                }
            }
            None => {
                if upload.is_some() && !started {
                    return Err(Cause::Provider(
                        Error::new(ErrorKind::Unsupported, "upload build context")
                            .with_resource(&vm.id)
                            .with_message("there is no channel to it"),
                    ));
                }
                run.sink.note(
                    "no channel to the guest: only its power-off tells that it is done, and a \
                     failure shows as a deadline",
                );
                let longest = run.builder.deadlines.longest_run();
                run.wait("power-off of the VM", longest, run.provider.wait_vm_off(&vm.id)).await?;
            }
        }
        Ok(PoweredOff { planned, vm })
    }
}

/// The provider's own channel, else the one over SSH.
async fn open(
    run: &Run<'_>,
    vm: &Vm,
    access: Option<&Access>,
) -> crate::provider::Result<Option<Box<dyn GuestChannel>>> {
    if let Some(channel) = run.provider.open_channel(&vm.id).await? {
        return Ok(Some(channel));
    }
    let Some(access) = access else { return Ok(None) };
    if !vm.addresses.is_empty() {
        return access.open(vm).map(Some);
    }
    // Some clouds give addresses only to what runs.
    match run.provider.vm(&vm.id).await? {
        Some(vm) if !vm.addresses.is_empty() => access.open(&vm).map(Some),
        _ => Ok(None),
    }
}
