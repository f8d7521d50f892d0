use super::{SshChannel, SshKeys};
use crate::cloud_init::{CloudConfig, Login};
use crate::guest::{Access, GuestChannel};
use crate::provider::{BuildSecret, Result, Vm};

/// Access of one build to its builder VM over SSH. The private keys are in the VM's user data and
/// in this process, and nowhere else.
pub(crate) struct SshAccess {
    keys: SshKeys,
    port: u16,
}

impl SshAccess {
    /// Derives the keys from the secret of the build, so that another process can derive them, too;
    /// without a secret, generates them.
    ///
    /// # Errors
    /// [`Internal`](crate::provider::ErrorKind::Internal) when the keys cannot be encoded.
    pub(crate) fn new(secret: Option<&BuildSecret>, port: u16) -> Result<Self> {
        let keys = secret.map_or_else(SshKeys::generate, SshKeys::of_build)?;
        Ok(Self { keys, port })
    }
}

impl Access for SshAccess {
    /// Installs the host key, and allows root to log in with the client's key.
    fn authorize_in(&self, config: CloudConfig) -> CloudConfig {
        config
            .ssh_host_key(self.keys.host_key())
            .root_login(Login::Allowed)
            .ssh_authorized_key(self.keys.client_public())
    }

    fn open(&self, vm: &Vm) -> Result<Box<dyn GuestChannel>> {
        let channel = SshChannel::new(&self.keys, vm.addresses.iter().copied())?;
        Ok(Box::new(channel.port(self.port)))
    }
}
