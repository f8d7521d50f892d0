//! Creation and deletion of what has a metadata file, in an order that survives the death of a
//! process: the file is written before the data and deleted after them.

use cloudd_core::provider::{ErrorKind, Result};

use super::metadata::{Metadata, MetadataKind, MetadataState, same_build};
use crate::connection::Session;
use crate::error::ResultExt;

/// The result of [`Session::create_or_adopt`].
#[derive(Debug)]
pub(crate) enum Adopted {
    /// The metadata file was created; the data do not exist yet.
    New,
    /// It exists and is complete.
    Ready(Metadata),
    /// It exists and is incomplete, or its deletion has begun.
    Resume(Metadata),
}

impl Session {
    /// Creates a metadata file, or adopts an existing one of the same name and build. Base images
    /// are shared by all builds.
    ///
    /// Fails with [`ErrorKind::AlreadyExists`] if the name is taken by another build, or was deleted
    /// between the two calls.
    pub(crate) fn create_or_adopt(&self, wanted: &Metadata) -> Result<Adopted> {
        let taken = match self.create_metadata(wanted) {
            Ok(()) => return Ok(Adopted::New),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => error,
            Err(error) => return Err(error),
        };
        let shared = wanted.kind == MetadataKind::Base;
        let existing = self.metadata(wanted.kind, &wanted.name)?;
        if let Some(existing) = &existing {
            existing.ensure_understood("create metadata")?;
        }
        match existing {
            Some(existing) if !shared && !same_build(&existing.labels, &wanted.labels) => {
                Err(taken)
            }
            Some(existing) if existing.is_ready() => Ok(Adopted::Ready(existing)),
            Some(existing) => Ok(Adopted::Resume(existing)),
            None => Err(taken),
        }
    }

    /// Deletes a volume or an image: marks its metadata as deleting, checks that nothing refers to
    /// the data, deletes the data, then the metadata. Succeeds if it does not exist.
    ///
    /// Fails with [`ErrorKind::Busy`] and restores the metadata if the data are in use, and with
    /// [`ErrorKind::Protected`] if the metadata are not understood.
    pub(crate) fn delete_with_metadata(
        &self,
        operation: &str,
        kind: MetadataKind,
        name: &str,
    ) -> Result<()> {
        let Some(metadata) = self.metadata(kind, name)? else { return Ok(()) };
        self.delete_metadata_and_data(operation, &metadata, &metadata)
    }

    /// As [`Self::delete_with_metadata`]; `restored` is written back if the data are in use.
    pub(crate) fn delete_metadata_and_data(
        &self,
        operation: &str,
        metadata: &Metadata,
        restored: &Metadata,
    ) -> Result<()> {
        let name = &metadata.name;
        metadata.ensure_deletable(operation, self.volume(&metadata.data)?.is_some())?;
        let deleting =
            Metadata { problem: None, state: MetadataState::Deleting, ..metadata.clone() };
        match self.write_metadata(&deleting) {
            // Another process has deleted it since.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            result => result?,
        }
        if let Some(data) = self.volume(&metadata.data)? {
            let path = data.get_path().context(operation, name)?;
            if let Err(error) = self.ensure_unused(operation, &[path], None) {
                self.write_metadata(restored)?;
                return Err(error);
            }
            self.delete_volume(&metadata.data)?;
        }
        self.delete_metadata(metadata.kind, name)
    }
}
