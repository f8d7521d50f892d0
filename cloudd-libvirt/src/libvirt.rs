//! The provider type.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::provider::{Architecture, Capabilities, Result};

use crate::base_image::{CachedBaseImage, FileHashes};
use crate::connection::{Host, Session};
use crate::settings::public_uri;

/// A libvirt with one storage pool, local or remote, as a provider.
///
/// All data are volumes of the pool: `NAME.volume.qcow2`, `VM.root.qcow2`, `IMAGE.qcow2`. The labels
/// of volumes and images are in JSON files next to them, those of VMs in the `<metadata>` of the
/// domain. A lease is a domain without devices, named `cloudd-FINGERPRINT-NUMBER.POOL`, that is never
/// started.
///
/// Clones share the connection.
#[derive(Debug, Clone)]
pub struct Libvirt {
    pub(crate) host: Arc<Host>,
    pub(crate) hashes: FileHashes,
    pub(crate) architecture: Architecture,
    pub(crate) capabilities: Capabilities,
}

impl Libvirt {
    /// The base images that cloudd has uploaded to the pool, by name.
    ///
    /// # Errors
    /// Errors of libvirt.
    pub async fn base_images(&self) -> Result<Vec<CachedBaseImage>> {
        self.host.call(Session::base_images).await
    }

    /// Deletes the base images that cloudd uploaded to the pool longer ago than `older_than` and that
    /// are not the backing file of a disk. Returns their names.
    ///
    /// A build creates its root disk seconds after it has looked up its base image, so an age of an
    /// hour does not affect running builds.
    ///
    /// # Errors
    /// Errors of libvirt.
    pub async fn prune_base_images(&self, older_than: Duration) -> Result<Vec<String>> {
        self.host.call(move |session| session.prune_base_images(older_than)).await
    }
}

impl fmt::Display for Libvirt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "libvirt {} pool {}", public_uri(&self.host.config.uri), self.host.config.pool)
    }
}
