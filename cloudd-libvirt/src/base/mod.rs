//! The base image: the disk that builder VMs begin with, shared by all of them.
//!
//! It lies once in the pool, under the hash of its content; root disks are overlays of it. It is
//! put there before any VM exists, so a wrong checksum or an unusable file is found for nothing.

mod cache;
mod head;
mod prune;
mod source;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use cloudd_core::provider::{Error, ErrorKind, Reporter, ResolvedBuilder, Result, Size};

use crate::error::invalid;
use crate::host::Host;
use crate::record::RecordKind;
use crate::session::Session;
use crate::vm::RootDisk;
use crate::xml::volume::{Format, VolumeDescription};

pub(crate) use source::FileHashes;

const OPERATION: &str = "check base image";

/// Where the base image comes from: a disk image, raw or qcow2, of an operating system with
/// cloud-init and podman.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BaseImage {
    /// A file of the machine that this program runs on.
    Path(PathBuf),
    /// A file on a web server.
    Url {
        /// Its address.
        url: String,
        /// Its SHA-256 in hexadecimal. Without one nobody could say what an image was made from.
        sha256: String,
    },
    /// A volume that is in the pool already, by its name.
    Volume(String),
}

impl BaseImage {
    /// A file.
    #[must_use]
    pub fn path(path: impl Into<PathBuf>) -> Self {
        Self::Path(path.into())
    }

    /// A download and the SHA-256 it must have.
    #[must_use]
    pub fn url(url: impl Into<String>, sha256: impl Into<String>) -> Self {
        Self::Url { url: url.into(), sha256: sha256.into() }
    }

    /// A volume of the pool.
    #[must_use]
    pub fn volume(name: impl Into<String>) -> Self {
        Self::Volume(name.into())
    }

    /// Finds what can be wrong with it without looking at anything.
    pub(crate) fn validate(&self) -> Result<()> {
        match self {
            Self::Url { url, sha256 } => {
                if reqwest::Url::parse(url).is_err() {
                    return Err(invalid(OPERATION, "not a URL").with_resource(url));
                }
                let hex = |byte: u8| byte.is_ascii_hexdigit();
                if sha256.len() != 64 || !sha256.bytes().all(hex) {
                    return Err(invalid(
                        OPERATION,
                        format_args!("{sha256:?} is not a SHA-256: expected 64 hexadecimal digits"),
                    )
                    .with_resource(url));
                }
                Ok(())
            }
            Self::Volume(name) if name.is_empty() || name.contains(['/', '\0']) => {
                Err(invalid(OPERATION, format_args!("{name:?} is not the name of a volume")))
            }
            Self::Path(_) | Self::Volume(_) => Ok(()),
        }
    }
}

impl fmt::Display for BaseImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Url { url, .. } => f.write_str(url),
            Self::Volume(name) => write!(f, "volume {name}"),
        }
    }
}

/// What a base image is: different for different content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Identity {
    /// The SHA-256 of the file.
    Content(String),
    /// A volume of the user's, which cloudd does not read, and when it was last written.
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

/// A base image that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Resolved {
    pub(crate) identity: Identity,
    /// The size of the disk in it.
    pub(crate) size: Size,
}

/// Looks at a base image, wherever it is, without changing anything.
pub(crate) async fn resolve(
    host: &Arc<Host>,
    hashes: &FileHashes,
    base: &BaseImage,
) -> Result<Resolved> {
    match base {
        BaseImage::Path(path) => {
            let (sha256, head) = hashes.of(path).await?;
            Ok(Resolved { identity: Identity::Content(sha256), size: head.size })
        }
        BaseImage::Url { url, sha256 } => {
            let sha256 = sha256.to_ascii_lowercase();
            let name = cache::record_name(&sha256);
            let cached = host.call(move |session| session.record(RecordKind::Base, &name)).await?;
            let size = match cached.filter(crate::record::Record::is_ready) {
                Some(record) => record.size,
                None => source::remote_head(url).await?.size,
            };
            Ok(Resolved { identity: Identity::Content(sha256), size })
        }
        BaseImage::Volume(name) => {
            let name = name.clone();
            host.call(move |session| {
                let (volume, _) = session.base_volume(&name)?;
                Ok(Resolved {
                    identity: Identity::Volume { modified: modified(&volume), name: name.clone() },
                    size: volume.capacity,
                })
            })
            .await
        }
    }
}

/// Brings a base image into the pool, if it is not there.
pub(crate) async fn prepare(
    host: &Arc<Host>,
    base: &BaseImage,
    identity: &Identity,
    reporter: &Reporter,
) -> Result<()> {
    match identity {
        Identity::Content(sha256) => cache::fill(host, base, sha256, reporter).await,
        Identity::Volume { .. } => Ok(()),
    }
}

/// The base image that [`resolve`] has chosen.
pub(crate) fn identity(resolved: &ResolvedBuilder) -> Result<&Identity> {
    resolved.details().ok_or_else(|| {
        invalid(OPERATION, "it was resolved by another provider")
            .with_resource(&resolved.base_image)
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
                let name = cache::record_name(sha256);
                let record = self.record(RecordKind::Base, &name)?;
                let record = record.filter(crate::record::Record::is_ready).ok_or_else(|| {
                    Error::new(ErrorKind::NotFound, "find base image")
                        .with_resource(base)
                        .with_message("it is not in the pool (any more)")
                })?;
                let raw = record.format.as_deref() == Some(Format::Raw.as_str());
                Ok(RootDisk {
                    under: record.data,
                    format: if raw { Format::Raw } else { Format::Qcow2 },
                    size,
                    record: Some((RecordKind::Base, name)),
                })
            }
            Identity::Volume { name, modified: then } => {
                let (volume, format) = self.base_volume(name)?;
                if modified(&volume) != *then {
                    return Err(Error::new(ErrorKind::Gone, OPERATION)
                        .with_resource(name)
                        .with_message("the volume was written to since the build began"));
                }
                Ok(RootDisk { under: name.clone(), format, size, record: None })
            }
        }
    }

    fn base_volume(&self, name: &str) -> Result<(VolumeDescription, Format)> {
        let (_, volume) = self.described_volume(name)?.ok_or_else(|| {
            invalid(OPERATION, format_args!("there is no such volume in pool {}", self.pool_name))
                .with_resource(name)
        })?;
        match volume.format.as_str() {
            "raw" => Ok((volume, Format::Raw)),
            "qcow2" => Ok((volume, Format::Qcow2)),
            other => Err(invalid(
                OPERATION,
                format_args!("the volume has the format {other}, expected raw or qcow2"),
            )
            .with_resource(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_image_that_cannot_be_is_refused_by_name() {
        let bad = [
            BaseImage::url("no url", "ab".repeat(32)),
            BaseImage::url("https://example.org/a.qcow2", "abc"),
            BaseImage::url("https://example.org/a.qcow2", "xy".repeat(32)),
            BaseImage::volume("../etc"),
            BaseImage::volume(""),
        ];
        for base in bad {
            let error = base.validate().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{base}");
        }
        assert!(BaseImage::url("https://example.org/a", "AB".repeat(32)).validate().is_ok());
    }
}
