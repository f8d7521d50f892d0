use super::GuestChannel;
use crate::cloud_init::CloudConfig;
use crate::provider::{Result, Vm};

/// How a build logs in to its builder VM: the credentials for the VM's user data, and the transport
/// that uses them. The build passes it in, so that this module depends on no transport.
pub(crate) trait Access: Send + Sync {
    /// Adds to `config` what makes the VM accept this build, and only this build, over the transport.
    fn authorize_in(&self, config: CloudConfig) -> CloudConfig;

    /// Returns a channel to the VM, which connects when it is first used.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::provider::ErrorKind::InvalidInput) when the VM has no address.
    fn open(&self, vm: &Vm) -> Result<Box<dyn GuestChannel>>;
}
