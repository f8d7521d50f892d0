//! Where the files of VMs are.

use std::path::{Path, PathBuf};

/// The files of the VMs in a directory.
#[derive(Debug, Clone)]
pub struct QemuFiles {
    directory: PathBuf,
}

impl QemuFiles {
    /// Those in this directory.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into() }
    }

    /// What a server printed on its first serial port. It stays when the server is deleted, for
    /// the analysis of failures.
    #[must_use]
    pub fn console(&self, server: u64) -> PathBuf {
        self.directory.join(format!("console-{server}.log"))
    }

    /// The disk of a snapshot: qcow2, without a backing file.
    #[must_use]
    pub fn image(&self, image: u64) -> PathBuf {
        self.directory.join(format!("image-{image}.qcow2"))
    }

    /// A volume.
    #[must_use]
    pub fn volume(&self, volume: u64) -> PathBuf {
        self.directory.join(format!("volume-{volume}.qcow2"))
    }

    /// What a server has for itself: it goes with it.
    pub(super) fn server(&self, server: u64) -> PathBuf {
        self.directory.join(format!("server-{server}"))
    }

    pub(super) fn root(&self, server: u64) -> PathBuf {
        self.server(server).join("root.qcow2")
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }
}
