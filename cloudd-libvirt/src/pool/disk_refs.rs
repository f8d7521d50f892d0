//! References to a disk. libvirt does not prevent deleting, overwriting or copying the disks of
//! running VMs, or the backing file of an overlay.
//!
//! Two processes that share a pool avoid conflicts without a lock. A process that wants to *use* a
//! disk first makes its use visible (it defines the domain or creates the overlay) and then checks
//! that the metadata of the disk are still ready. A process that wants to *delete* a disk first marks
//! its metadata as deleting and then checks for references. libvirt serializes these calls, so at
//! least one of the two sees the other and stops. A process that dies in between leaves metadata or
//! a domain that any other process can clean up.
//!
//! A disk counts as used if a domain or one of its snapshots names it in any way, if it is a layer
//! under a disk of a domain, or if a volume of an active pool is an overlay of it. What cannot be
//! determined is an error, and nothing is deleted.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use cloudd_core::provider::{Error, ErrorKind, Result};
use virt::domain::Domain;

use super::backing::Storage;
use crate::connection::Session;
use crate::error::{ResultExt, optional};
use crate::xml::references::{References, contains_path};

const FIND: &str = "find references to disk";

/// The largest number of backing files that are followed. A chain that is longer is a loop.
const MAX_LAYERS: usize = 200;

impl Session {
    /// Fails with [`ErrorKind::Busy`] if one of these files is used by a domain other than `own`, or
    /// is the backing file of a volume, and with [`ErrorKind::Failed`] if this cannot be determined.
    pub(crate) fn ensure_unused(
        &self,
        operation: &str,
        paths: &[String],
        own: Option<&str>,
    ) -> Result<()> {
        match self.user_of(paths, own)? {
            None => Ok(()),
            Some((path, user)) => Err(Error::new(ErrorKind::Busy, operation)
                .with_resource(path)
                .with_message(format_args!("in use by {user}"))),
        }
    }

    /// The first of these files that is used by a domain other than `own`, or is the backing file of a
    /// volume, and what uses it, for people. Fails with [`ErrorKind::Failed`] if this cannot be
    /// determined.
    pub(crate) fn user_of(
        &self,
        paths: &[String],
        own: Option<&str>,
    ) -> Result<Option<(String, String)>> {
        if paths.is_empty() {
            return Ok(None);
        }
        let disks: Vec<_> = paths.iter().map(|path| DiskFile::new(path, self.is_local)).collect();
        let storage = Storage::read(self)?;
        for (volume, backing) in storage.overlays() {
            if let Some((disk, how)) = used_by(&disks, &[backing]) {
                let user = format!("volume {volume}, which is an overlay of it{how}");
                return Ok(Some((disk.path.clone(), user)));
            }
        }
        for domain in self.connection.list_all_domains(0).context(FIND, &paths[0])? {
            let Some(name) = optional(domain.get_name()).context(FIND, &paths[0])? else {
                continue;
            };
            if Some(name.as_str()) == own {
                continue;
            }
            for references in all_references(&domain, &name)? {
                if let Some((disk, how)) = storage.user_of(&references, &disks, &name)? {
                    return Ok(Some((disk.path.clone(), format!("VM {name}{how}"))));
                }
            }
        }
        Ok(None)
    }

    /// The name of a domain, running or not, that has this file as a disk.
    pub(crate) fn domain_with_disk(
        &self,
        path: &str,
        except: Option<&str>,
    ) -> Result<Option<String>> {
        for domain in self.connection.list_all_domains(0).context(FIND, path)? {
            let Some(name) = optional(domain.get_name()).context(FIND, path)? else { continue };
            if Some(name.as_str()) == except {
                continue;
            }
            for references in all_references(&domain, &name)? {
                let volumes = self.paths_of_volumes(&references)?;
                if references.mention(path) || volumes.iter().any(|volume| volume == path) {
                    return Ok(Some(name));
                }
            }
        }
        Ok(None)
    }

    /// The paths of the volumes that are named by pool and name.
    fn paths_of_volumes(&self, references: &References) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        for (pool, name) in &references.volumes {
            paths.extend(self.path_in_pool(pool, name)?);
        }
        Ok(paths)
    }
}

impl Storage<'_> {
    /// The disk that a document refers to, and a remark for the message.
    fn user_of<'a>(
        &self,
        references: &References,
        disks: &'a [DiskFile],
        domain: &str,
    ) -> Result<Option<(&'a DiskFile, &'static str)>> {
        if let Some(disk) = disks.iter().find(|disk| references.mention(&disk.path)) {
            return Ok(Some((disk, "")));
        }
        let volumes = self.session.paths_of_volumes(references)?;
        let named: Vec<_> = references.paths().chain(volumes.iter().map(String::as_str)).collect();
        if let Some(used) = used_by(disks, &named) {
            return Ok(Some(used));
        }
        for layer in &references.open_chains {
            let mut layer = self.path_of(layer)?;
            for _ in 0..MAX_LAYERS {
                let Some(path) = layer else { break };
                if let Some(used) = used_by(disks, &[&path]) {
                    return Ok(Some(used));
                }
                layer = self.backing_of(&path).map_err(|error| in_doubt(domain, &path, error))?;
            }
            if let Some(path) = layer {
                let error = Error::new(ErrorKind::Failed, FIND).with_message("a loop");
                return Err(in_doubt(domain, &path, error));
            }
        }
        Ok(None)
    }
}

/// The error for a VM of which it is not known whether it uses a disk.
fn in_doubt(domain: &str, path: &str, error: Error) -> Error {
    if error.kind().is_transient() {
        return error;
    }
    Error::new(ErrorKind::Failed, FIND)
        .with_resource(format_args!("VM {domain}"))
        .with_message(format_args!(
            "the backing file of {path} cannot be determined, so that it is not known whether the \
             VM uses the disk; nothing was deleted"
        ))
        .with_source(error)
}

/// The running domain, its persistent definition, which can differ, and its snapshots.
fn all_references(domain: &Domain, name: &str) -> Result<Vec<References>> {
    let mut documents = Vec::new();
    for flags in [0, virt_sys::VIR_DOMAIN_XML_INACTIVE] {
        match optional(domain.get_xml_desc(flags)).context(FIND, name)? {
            Some(xml) => documents.push(xml),
            None => return Ok(Vec::new()),
        }
    }
    match optional(domain.list_all_snapshots(0)).context(FIND, name) {
        Ok(snapshots) => {
            for snapshot in snapshots.into_iter().flatten() {
                match snapshot.get_xml_desc(0) {
                    Ok(xml) => documents.push(xml),
                    // Deleted since.
                    Err(error) if error.code() == virt::error::ErrorNumber::NoDomainSnapshot => {}
                    Err(error) => return Err(error).context(FIND, name),
                }
            }
        }
        Err(error) if error.kind() == ErrorKind::Unsupported => {}
        Err(error) => return Err(error),
    }
    documents.iter().map(|xml| references(xml, name)).collect()
}

fn references(xml: &str, domain: &str) -> Result<References> {
    References::read(xml).map_err(|error| {
        Error::new(ErrorKind::Failed, FIND)
            .with_resource(format_args!("VM {domain}"))
            .with_message(
                "the definition of the VM cannot be parsed, so that it is not known which disks it \
                 uses; nothing was deleted",
            )
            .with_source(error)
    })
}

/// A file that is to be deleted.
struct DiskFile {
    path: String,
    /// Device and inode, if libvirt is on this machine.
    inode: Option<(u64, u64)>,
    is_local: bool,
}

impl DiskFile {
    fn new(path: &str, is_local: bool) -> Self {
        let inode = if is_local { inode(path) } else { None };
        Self { path: path.to_owned(), inode, is_local }
    }

    /// Whether another path names this file, or may name it.
    fn is_named_by(&self, path: &str) -> Option<&'static str> {
        if contains_path(path, &self.path) {
            return Some("");
        }
        if !path.starts_with('/') {
            return None;
        }
        match (self.inode, if self.is_local { inode(path) } else { None }) {
            (Some(own), Some(other)) => (own == other).then_some(", under another path"),
            // The file names contain the id of a build. A file of the same name in another directory
            // is a copy, or the same file behind a symbolic link.
            _ => (Path::new(path).file_name() == Path::new(&self.path).file_name())
                .then_some(", which uses a file of the same name that may be the same file"),
        }
    }
}

fn inode(path: &str) -> Option<(u64, u64)> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// The disk that one of the paths names.
fn used_by<'a>(disks: &'a [DiskFile], paths: &[&str]) -> Option<(&'a DiskFile, &'static str)> {
    disks.iter().find_map(|disk| {
        paths.iter().find_map(|path| disk.is_named_by(path)).map(|how| (disk, how))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_that_cannot_be_parsed_is_an_error_that_names_the_vm() {
        let error = references("<domain><devices>", "odd").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains("VM odd"), "{error}");
    }

    #[test]
    fn a_file_is_recognized_under_other_paths() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(dir.path().join("copies")).unwrap();
        for name in ["image", "copies/image"] {
            std::fs::write(path(name), name).unwrap();
        }
        std::os::unix::fs::symlink(path("image"), path("current")).unwrap();
        let local = DiskFile::new(&path("image"), true);
        assert_eq!(local.is_named_by(&path("image")), Some(""));
        assert_eq!(local.is_named_by(&path("current")), Some(", under another path"));
        assert_eq!(local.is_named_by(&path("copies/image")), None);
        // On another machine a link cannot be told from a copy.
        let remote = DiskFile::new(&path("image"), false);
        assert!(remote.is_named_by(&path("copies/image")).is_some());
        assert_eq!(remote.is_named_by(&path("other")), None);
        assert_eq!(remote.is_named_by("nbd://host/image"), None);
    }
}
