//! The base image: the disk that builder VMs start from, shared by all of them.
//!
//! It is uploaded to the pool once, under the hash of its content; root disks are overlays of it.
//! This happens before any VM exists, so that a wrong checksum or an unusable file is found before
//! anything of the build is created.

mod cache;
mod head;
mod list;
mod prune;
mod source;

use std::fmt;
use std::sync::Arc;

use cloudd_core::provider::{
    BuildRequirements, Error, ErrorKind, Reporter, ResolvedBuilder, Result, Size,
};

use crate::connection::{Host, Session};
use crate::error::invalid;
use crate::labels::{Metadata, MetadataKind};
use crate::settings::BaseImage;
use crate::vm::RootDisk;
use crate::xml::volume::{Format, VolumeDescription};
use head::CHECK;
pub(crate) use head::MAX_SIZE;
pub use list::CachedBaseImage;
pub(crate) use source::FileHashes;

/// The content of a base image. The details of a [`ResolvedBuilder`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The SHA-256 of the file.
    Content(String),
    /// A volume of the user, which cloudd does not read, and the time of its last write.
    Volume { name: String, modified: String },
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Content(sha256) => write!(f, "sha256:{sha256}"),
            Self::Volume { name, modified } => write!(f, "volume:{modified}:{name}"),
        }
    }
}

/// Inspects the configured base image, wherever it is, and chooses the size of the root disk.
pub(crate) async fn resolve(
    host: &Arc<Host>,
    hashes: &FileHashes,
    requirements: &BuildRequirements,
) -> Result<ResolvedBuilder> {
    let base = host.config.base.as_ref().ok_or_else(|| {
        invalid(CHECK, "no base image is configured")
            .with_hint("Libvirt::builder(…).base_image(BaseImage::path(…))")
    })?;
    let (identity, size) = inspect(host, hashes, base).await?;
    let volume_size = requirements.volume_size;
    let root = requirements.root_size.unwrap_or(volume_size.max(size));
    if root < size {
        let message = format!("a root disk of {root} is smaller than the base image of {size}");
        return Err(invalid(CHECK, message).with_resource(base));
    }
    if root < volume_size {
        let message = format!("a root disk of {root} is smaller than the volume of {volume_size}");
        return Err(invalid(CHECK, message));
    }
    Ok(ResolvedBuilder::new(identity.to_string(), root).with_details(identity))
}

/// The content of a base image and the virtual size of its disk.
async fn inspect(
    host: &Arc<Host>,
    hashes: &FileHashes,
    base: &BaseImage,
) -> Result<(Identity, Size)> {
    match base {
        BaseImage::Path(path) => {
            let (sha256, head) = hashes.of(path).await?;
            Ok((Identity::Content(sha256), head.size))
        }
        BaseImage::Url { url, sha256 } => {
            let sha256 = sha256.to_ascii_lowercase();
            let name = cache::metadata_name(&sha256);
            let cached =
                host.call(move |session| session.metadata(MetadataKind::Base, &name)).await?;
            let size = match cached.filter(Metadata::is_ready) {
                Some(cached) => cached.size,
                None => source::remote_head(url).await?.size,
            };
            Ok((Identity::Content(sha256), size))
        }
        BaseImage::Volume(name) => {
            let name = name.clone();
            host.call(move |session| {
                let (volume, _) = session.base_volume(&name)?;
                let identity = Identity::Volume { modified: modified(&volume), name: name.clone() };
                Ok((identity, volume.capacity))
            })
            .await
        }
    }
}

/// Uploads the base image to the pool if it is not there.
pub(crate) async fn ensure(
    host: &Arc<Host>,
    resolved: &ResolvedBuilder,
    reporter: &Reporter,
) -> Result<()> {
    match (&host.config.base, identity(resolved)?) {
        (Some(base), Identity::Content(sha256)) => cache::fill(host, base, sha256, reporter).await,
        _ => Ok(()),
    }
}

/// The base image that [`resolve`] has chosen.
pub(crate) fn identity(resolved: &ResolvedBuilder) -> Result<&Identity> {
    resolved.details().ok_or_else(|| {
        invalid(CHECK, "it was resolved by another provider").with_resource(&resolved.base_image)
    })
}

fn modified(volume: &VolumeDescription) -> String {
    volume.modified.clone().unwrap_or_else(|| "unknown".to_owned())
}

impl Session {
    /// The root disk of a VM that starts from this base image.
    pub(crate) fn root_disk(&self, base: &Identity, size: Size) -> Result<RootDisk> {
        match base {
            Identity::Content(sha256) => {
                let name = cache::metadata_name(sha256);
                let metadata = self.metadata(MetadataKind::Base, &name)?;
                let metadata = metadata.filter(Metadata::is_ready).ok_or_else(|| {
                    Error::new(ErrorKind::NotFound, "find base image")
                        .with_resource(base)
                        .with_message("it is not in the pool")
                })?;
                let raw = metadata.format.as_deref() == Some(Format::Raw.as_str());
                Ok(RootDisk {
                    backing: metadata.data,
                    format: if raw { Format::Raw } else { Format::Qcow2 },
                    size,
                    metadata: Some((MetadataKind::Base, name)),
                })
            }
            Identity::Volume { name, modified: then } => {
                let (volume, format) = self.base_volume(name)?;
                if modified(&volume) != *then {
                    return Err(Error::new(ErrorKind::Gone, CHECK)
                        .with_resource(name)
                        .with_message("the volume was written to since the build began"));
                }
                Ok(RootDisk { backing: name.clone(), format, size, metadata: None })
            }
        }
    }

    fn base_volume(&self, name: &str) -> Result<(VolumeDescription, Format)> {
        let (_, volume) = self.described_volume(name)?.ok_or_else(|| {
            invalid(CHECK, format_args!("there is no such volume in pool {}", self.pool_name))
                .with_resource(name)
        })?;
        match volume.format.as_str() {
            "raw" => Ok((volume, Format::Raw)),
            "qcow2" => Ok((volume, Format::Qcow2)),
            other => {
                let message = format!("the volume has the format {other}, expected raw or qcow2");
                Err(invalid(CHECK, message).with_resource(name))
            }
        }
    }
}
