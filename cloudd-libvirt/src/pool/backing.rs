//! Backing files of disks, in all pools of the host and outside of them.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use cloudd_core::provider::{BuildId, Error, ErrorKind, Result};
use virt::error::ErrorNumber;
use virt::storage_pool::StoragePool;
use virt::storage_vol::StorageVol;

use super::volume::{for_seconds, retry_while_busy};
use crate::connection::{Driver, Session};
use crate::error::{LibvirtResult, ResultExt, optional};
use crate::xml::references::Layer;
use crate::xml::volume::VolumeDescription;
use crate::xml::{Element, Node};

const READ: &str = "read backing file";
const NO_FILE: &str = "No such file or directory";

/// The volumes of all active pools, read once.
pub(super) struct Storage<'a> {
    pub(super) session: &'a Session,
    /// By path: pool and name, and the backing file.
    volumes: BTreeMap<String, (String, Option<String>)>,
    /// Directories of the active pools.
    directories: BTreeMap<String, StoragePool>,
    refreshed: RefCell<BTreeSet<String>>,
}

impl<'a> Storage<'a> {
    pub(super) fn read(session: &'a Session) -> Result<Self> {
        const LIST: &str = "list volumes";
        let mut storage = Self {
            session,
            volumes: BTreeMap::new(),
            directories: BTreeMap::new(),
            refreshed: RefCell::default(),
        };
        for pool in session.connection.list_all_storage_pools(0).context(LIST, "all pools")? {
            // Pools can be stopped and undefined at any time.
            let Some(name) = optional(pool.get_name()).context(LIST, "pool")? else { continue };
            let Some(directory) = directory(&pool, &name)? else { continue };
            let volumes = if_active(&pool, pool.list_all_volumes(0)).context(LIST, &name)?;
            let Some(volumes) = volumes else { continue };
            storage.directories.insert(directory, pool);
            for volume in volumes {
                let Some(file) = optional(volume.get_name()).context(LIST, &name)? else {
                    continue;
                };
                if is_no_disk(&file) {
                    continue;
                }
                if let Some(volume) = describe(&volume, &format!("{name}/{file}"))? {
                    storage.volumes.insert(volume.path, (format!("{name}/{file}"), volume.backing));
                }
            }
        }
        Ok(storage)
    }

    /// The volumes that have a backing file, by pool and name, with the backing file.
    pub(super) fn overlays(&self) -> impl Iterator<Item = (&str, &str)> {
        self.volumes
            .values()
            .filter_map(|(name, backing)| Some((name.as_str(), backing.as_deref()?)))
    }

    /// The path of a layer; `None` if it does not exist.
    pub(super) fn path_of(&self, layer: &Layer) -> Result<Option<String>> {
        match layer {
            Layer::Path(path) => Ok(Some(path.clone())),
            Layer::Volume { pool, name } => self.session.path_in_pool(pool, name),
        }
    }

    /// The backing file of a file; `None` if it has none, does not exist, or is not on this host.
    pub(super) fn backing_of(&self, path: &str) -> Result<Option<String>> {
        if let Some((_, backing)) = self.volumes.get(path) {
            return Ok(backing.clone());
        }
        if !path.starts_with('/') {
            return Ok(None);
        }
        if let Some(volume) = self.lookup(path)? {
            return Ok(volume.backing);
        }
        let Some((parent, _)) = path.rsplit_once('/') else { return Ok(None) };
        let parent = if parent.is_empty() { "/" } else { parent };
        if self.session.driver == Driver::Test {
            return Ok(None);
        }
        if parent == "/dev" || parent.starts_with("/dev/") {
            return Err(Error::new(ErrorKind::Failed, READ)
                .with_resource(path)
                .with_message("it is a block device with a format that has backing files")
                .with_hint("start a storage pool that has it as a volume"));
        }
        match self.directories.get(parent) {
            Some(pool) => {
                // A file that another program has added to the pool.
                if self.refreshed.borrow_mut().insert(parent.to_owned()) {
                    retry_while_busy(for_seconds(), || {
                        if_active(pool, pool.refresh(0)).context("refresh storage pool", parent)
                    })?;
                }
                Ok(self.lookup(path)?.and_then(|volume| volume.backing))
            }
            None => self.backing_outside_of_pools(path, parent),
        }
    }

    fn lookup(&self, path: &str) -> Result<Option<VolumeDescription>> {
        let volume = StorageVol::lookup_by_path(&self.session.connection, path);
        match optional(volume).context(READ, path)? {
            Some(volume) => describe(&volume, path),
            None => Ok(None),
        }
    }

    /// libvirt reads headers of volumes only: a transient pool makes volumes of the files of the
    /// directory. It changes nothing in the directory.
    fn backing_outside_of_pools(&self, path: &str, parent: &str) -> Result<Option<String>> {
        let xml = Element::new("pool")
            .with("type", "dir")
            .child(Element::text("name", format_args!("cloudd-probe-{}", BuildId::random())))
            .child(Element::new("target").child(Element::text("path", parent)))
            .to_string();
        let pool = match StoragePool::create_xml(&self.session.connection, &xml, 0) {
            Ok(pool) => pool,
            Err(error) if error.message().contains(NO_FILE) => return Ok(None),
            Err(error) => {
                // Another process may read the same directory in this moment.
                return match self.lookup(path)? {
                    Some(volume) => Ok(volume.backing),
                    None => Err(error).context(READ, path),
                };
            }
        };
        let found = self.lookup(path);
        if let Err(error) = pool.destroy() {
            tracing::warn!(%error, directory = parent, "temporary storage pool is left behind");
        }
        Ok(found?.and_then(|volume| volume.backing))
    }
}

impl Session {
    /// The path of a volume of any pool; `None` if the pool does not exist. The pool may be inactive.
    pub(super) fn path_in_pool(&self, pool: &str, name: &str) -> Result<Option<String>> {
        let found = optional(StoragePool::lookup_by_name(&self.connection, pool));
        let Some(found) = found.context(READ, pool)? else { return Ok(None) };
        let volume = StorageVol::lookup_by_name(&found, name);
        if let Some(volume) = if_active(&found, volume).context(READ, name)? {
            return optional(volume.get_path()).context(READ, name);
        }
        Ok(directory(&found, pool)?.map(|directory| format!("{directory}/{name}")))
    }
}

/// `None` if the object does not exist or the pool is not active.
fn if_active<T>(pool: &StoragePool, result: LibvirtResult<T>) -> LibvirtResult<Option<T>> {
    match optional(result) {
        Err(error) if error.code() == ErrorNumber::OperationInvalid => {
            match optional(pool.is_active())? {
                Some(true) => Err(error),
                _ => Ok(None),
            }
        }
        result => result,
    }
}

/// The kinds of pools whose volumes are files. Only these have overlays of files.
const DIRECTORIES: [&str; 4] = ["dir", "fs", "netfs", "vstorage"];

/// The directory of a pool, if its volumes are files.
fn directory(pool: &StoragePool, name: &str) -> Result<Option<String>> {
    let Some(xml) = optional(pool.get_xml_desc(0)).context(READ, name)? else { return Ok(None) };
    let pool = Node::parse(&xml).map_err(|error| {
        Error::new(ErrorKind::Failed, READ)
            .with_resource(format_args!("pool {name}"))
            .with_message("the description of the pool cannot be parsed")
            .with_source(error)
    })?;
    if !pool.attribute("type").is_some_and(|kind| DIRECTORIES.contains(&kind)) {
        return Ok(None);
    }
    Ok(pool.at("target/path").map(|path| path.text().trim_end_matches('/').to_owned()))
}

fn describe(volume: &StorageVol, name: &str) -> Result<Option<VolumeDescription>> {
    let xml = match optional(volume.get_xml_desc(0)) {
        Ok(Some(xml)) => xml,
        // Deleted by another program, which libvirt has not noticed.
        Err(error) if error.message().contains(NO_FILE) => return Ok(None),
        Ok(None) => return Ok(None),
        Err(error) => return Err(error).context(READ, name),
    };
    VolumeDescription::read(&xml).map(Some).ok_or_else(|| {
        Error::new(ErrorKind::Failed, READ)
            .with_resource(format_args!("volume {name}"))
            .with_message(
                "the description of the volume cannot be parsed, so that it is not known whether it \
                 has a backing file; nothing was deleted",
            )
    })
}

/// Whether cloudd made the file, and not as a disk. Saves a call of libvirt for each.
fn is_no_disk(name: &str) -> bool {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('.');
    [
        ".cloudd-volume.json",
        ".cloudd-image.json",
        ".cloudd-base.json",
        ".console.log",
        ".events.log",
    ]
    .iter()
    .any(|suffix| name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_records_and_logs_are_no_disks() {
        for name in ["a.cloudd-image.json", "a.console.log", "a.events.log.0"] {
            assert!(is_no_disk(name), "{name}");
        }
        for name in ["a.img", "a.qcow2", "a.json", "a.console.log.qcow2", "a.log"] {
            assert!(!is_no_disk(name), "{name}");
        }
    }
}
