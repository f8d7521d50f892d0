//! How a builder VM lets the builder in.

#[cfg(feature = "ssh")]
pub(crate) use over_ssh::Access;

/// Without the feature `ssh` there is none.
#[cfg(not(feature = "ssh"))]
pub(crate) enum Access {}

#[cfg(feature = "ssh")]
mod over_ssh {
    use crate::cloud_init::{CloudConfig, Login};
    use crate::guest::GuestChannel;
    use crate::provider::{Capabilities, Result, Vm};
    use crate::ssh::{SshChannel, SshKeys};

    /// The keys of one build, and where its guest listens. Private keys go into user data and into
    /// the channel, and end with the process.
    pub(crate) struct Access {
        keys: SshKeys,
        port: u16,
    }

    impl Access {
        /// New keys, where guests are reached over SSH.
        pub(crate) fn new(capabilities: &Capabilities) -> Result<Option<Self>> {
            let access = |port| Ok(Self { keys: SshKeys::generate()?, port });
            capabilities.ssh.map(access).transpose()
        }

        /// Has the guest install its host key and let the builder in, by key only.
        pub(crate) fn admit(&self, config: CloudConfig) -> CloudConfig {
            config
                .ssh_host_key(self.keys.host_key())
                .root_login(Login::Allowed)
                .ssh_authorized_key(self.public_key())
        }

        pub(crate) fn public_key(&self) -> &str {
            self.keys.client_public()
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
    use crate::provider::{Capabilities, Result, Vm};

    impl Access {
        #[expect(clippy::unnecessary_wraps, reason = "keys are made where there is SSH")]
        pub(crate) fn new(_: &Capabilities) -> Result<Option<Self>> {
            Ok(None)
        }

        pub(crate) fn admit(&self, _: CloudConfig) -> CloudConfig {
            match *self {}
        }

        pub(crate) fn public_key(&self) -> &str {
            match *self {}
        }

        pub(crate) fn open(&self, _: &Vm) -> Result<Box<dyn GuestChannel>> {
            match *self {}
        }
    }
}
