//! A file as a block device.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::podman::{as_root, run};

/// A loop device and its backing file.
pub(crate) struct Disk {
    file: NamedTempFile,
    device: PathBuf,
}

impl Disk {
    /// A disk of zeros.
    pub(crate) fn new(bytes: u64) -> Self {
        Self::holding(bytes, &[])
    }

    /// A disk that starts with these bytes.
    pub(crate) fn holding(bytes: u64, content: &[u8]) -> Self {
        let file = NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        file.as_file().write_all_at(content, 0).unwrap();
        let device = run(as_root("losetup").args(["--find", "--show"]).arg(file.path()));
        Self { device: device.trim().into(), file }
    }

    pub(crate) fn device(&self) -> &Path {
        &self.device
    }

    /// The backing file. It has what was written to the device, because the container has synced.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The content of the disk.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(self.path()).unwrap()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = as_root("losetup").arg("--detach").arg(&self.device).status();
    }
}
