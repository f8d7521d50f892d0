//! How a builder VM lets the builder in.

#[cfg(feature = "ssh")]
pub(crate) use over_ssh::Access;

/// Without the feature `ssh` there is none.
#[cfg(not(feature = "ssh"))]
#[derive(Clone)]
pub(crate) enum Access {}

#[cfg(feature = "ssh")]
mod over_ssh {
    use crate::cloud_init::{CloudConfig, Login};
    use crate::guest::GuestChannel;
    use crate::provider::{BuildSecret, Capabilities, Result, Vm};
    use crate::ssh::{SshChannel, SshKeys};

    /// The keys of one build, and where its guest listens. Private keys go into user data and into
    /// the channel, and end with the process.
    #[derive(Clone)]
    pub(crate) struct Access {
        keys: SshKeys,
        port: u16,
    }

    impl Access {
        /// The keys of a build, where guests are reached over SSH: made from its secret, so that
        /// another process can make them again, or new ones.
        pub(crate) fn new(
            capabilities: &Capabilities,
            secret: Option<&BuildSecret>,
        ) -> Result<Option<Self>> {
            let keys = || secret.map_or_else(SshKeys::generate, SshKeys::of_build);
            let access = |port| Ok(Self { keys: keys()?, port });
            capabilities.ssh.map(access).transpose()
        }

        /// Has the guest install its host key and let the builder in, by key only.
        pub(crate) fn authorize_in(&self, config: CloudConfig) -> CloudConfig {
            config
                .ssh_host_key(self.keys.host_key())
                .root_login(Login::Allowed)
                .ssh_authorized_key(self.keys.client_public())
        }

        /// The channel to a VM; connects when it is first used.
        pub(crate) fn open(&self, vm: &Vm) -> Result<Box<dyn GuestChannel>> {
            let channel = SshChannel::new(&self.keys, vm.addresses.iter().copied())?;
            Ok(Box::new(channel.port(self.port)))
        }
    }
}

#[cfg(not(feature = "ssh"))]
mod nothing {
    use super::Access;
    use crate::cloud_init::CloudConfig;
    use crate::guest::GuestChannel;
    use crate::provider::{BuildSecret, Capabilities, Result, Vm};

    impl Access {
        #[expect(clippy::unnecessary_wraps, reason = "keys are made where there is SSH")]
        pub(crate) fn new(_: &Capabilities, _: Option<&BuildSecret>) -> Result<Option<Self>> {
            Ok(None)
        }

        pub(crate) fn authorize_in(&self, _: CloudConfig) -> CloudConfig {
            match *self {}
        }

        pub(crate) fn open(&self, _: &Vm) -> Result<Box<dyn GuestChannel>> {
            match *self {}
        }
    }
}
