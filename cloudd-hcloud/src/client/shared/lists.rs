//! What is read for all.

use std::sync::Arc;
use std::time::Duration;

use super::super::core::Core;
use super::super::filter::{ImageFilter, ServerFilter, SshKeyFilter, VolumeFilter};
use super::super::{Client, calls};
use super::{Question, Shared};
use crate::Error;
use crate::schema::{Image, Location, Pricing, Server, ServerType, SshKey, Volume};

/// Everything that is read for all.
#[derive(Debug)]
pub(in crate::client) struct Lists {
    servers: Shared<ServerFilter>,
    volumes: Shared<VolumeFilter>,
    images: Shared<ImageFilter>,
    ssh_keys: Shared<SshKeyFilter>,
    server_types: Shared<AllServerTypes>,
    locations: Shared<AllLocations>,
    pricing: Shared<AllPrices>,
}

impl Lists {
    pub(in crate::client) fn new(core: &Arc<Core>) -> Self {
        Self {
            servers: Shared::new(Arc::clone(core)),
            volumes: Shared::new(Arc::clone(core)),
            images: Shared::new(Arc::clone(core)),
            ssh_keys: Shared::new(Arc::clone(core)),
            server_types: Shared::new(Arc::clone(core)),
            locations: Shared::new(Arc::clone(core)),
            pricing: Shared::new(Arc::clone(core)),
        }
    }
}

/// Lists that are read once for all who want them at the same time.
///
/// `max_age` is how old the answer may be. With [`Duration::ZERO`] it tells everything that had
/// happened before the call, like a list that is read for one caller alone.
impl Client {
    /// Servers, oldest first; see [`servers`](Self::servers).
    ///
    /// # Errors
    /// Those of every request.
    pub async fn shared_servers(
        &self,
        filter: &ServerFilter,
        max_age: Duration,
    ) -> Result<Arc<Vec<Server>>, Error> {
        self.shared.lists.servers.read(filter, max_age).await
    }

    /// Volumes, oldest first; see [`volumes`](Self::volumes).
    ///
    /// # Errors
    /// Those of every request.
    pub async fn shared_volumes(
        &self,
        filter: &VolumeFilter,
        max_age: Duration,
    ) -> Result<Arc<Vec<Volume>>, Error> {
        self.shared.lists.volumes.read(filter, max_age).await
    }

    /// Images, oldest id first; see [`images`](Self::images).
    ///
    /// # Errors
    /// Those of every request.
    pub async fn shared_images(
        &self,
        filter: &ImageFilter,
        max_age: Duration,
    ) -> Result<Arc<Vec<Image>>, Error> {
        self.shared.lists.images.read(filter, max_age).await
    }

    /// SSH keys, oldest first; see [`ssh_keys`](Self::ssh_keys).
    ///
    /// # Errors
    /// Those of every request.
    pub async fn shared_ssh_keys(
        &self,
        filter: &SshKeyFilter,
        max_age: Duration,
    ) -> Result<Arc<Vec<SshKey>>, Error> {
        self.shared.lists.ssh_keys.read(filter, max_age).await
    }

    /// All server types; see [`server_types`](Self::server_types).
    ///
    /// # Errors
    /// Those of every request.
    pub async fn shared_server_types(
        &self,
        max_age: Duration,
    ) -> Result<Arc<Vec<ServerType>>, Error> {
        self.shared.lists.server_types.read(&AllServerTypes, max_age).await
    }

    /// All locations; see [`locations`](Self::locations).
    ///
    /// # Errors
    /// Those of every request.
    pub async fn shared_locations(&self, max_age: Duration) -> Result<Arc<Vec<Location>>, Error> {
        self.shared.lists.locations.read(&AllLocations, max_age).await
    }

    /// All prices; see [`pricing`](Self::pricing).
    ///
    /// # Errors
    /// Those of every request.
    pub async fn shared_pricing(&self, max_age: Duration) -> Result<Arc<Pricing>, Error> {
        self.shared.lists.pricing.read(&AllPrices, max_age).await
    }
}

/// Declares what is asked, and how it is read.
macro_rules! question {
    ($question:ty => $answer:ty, |$self:ident, $core:ident| $read:expr) => {
        impl Question for $question {
            type Answer = $answer;

            async fn read(&$self, $core: &Core) -> Result<$answer, Error> {
                $read.await
            }
        }
    };
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AllServerTypes;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AllLocations;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AllPrices;

question!(ServerFilter => Vec<Server>, |self, core| core.all(|page| calls::servers::list(self, page)));
question!(VolumeFilter => Vec<Volume>, |self, core| core.all(|page| calls::volumes::list(self, page)));
question!(ImageFilter => Vec<Image>, |self, core| core.all(|page| calls::images::list(self, page)));
question!(SshKeyFilter => Vec<SshKey>, |self, core| core.all(|page| calls::ssh_keys::list(self, page)));
question!(AllServerTypes => Vec<ServerType>, |self, core| core.all(calls::catalog::server_types));
question!(AllLocations => Vec<Location>, |self, core| core.all(calls::catalog::locations));
question!(AllPrices => Pricing, |self, core| core.run(&calls::catalog::pricing()));
