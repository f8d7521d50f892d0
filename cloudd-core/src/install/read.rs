//! Opens and reads files of a build context: never blocks on a pipe or device, and reads no more than
//! a limit.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::error::InstallError;
use super::scan::read_error;

/// The largest Containerfile and the largest ignore file in bytes: 256 KiB.
pub(super) const MAX_CONTROL_FILE: u64 = 256 << 10;

/// Opens a file for reading. Does not wait, whatever the path has become since it was listed:
/// `O_NONBLOCK` (open(2)) keeps the opening of a named pipe from waiting for a writer.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
}

/// Reads the Containerfile or ignore file `path`, at most [`MAX_CONTROL_FILE`] bytes.
///
/// # Errors
/// [`InstallError::FileNotRegular`] and [`InstallError::FileTooLarge`], found before anything is read.
pub(super) fn read_control_file(path: &Path) -> Result<Vec<u8>, InstallError> {
    let failed = |error| read_error(path, error);
    let too_large =
        |size| InstallError::FileTooLarge { path: path.to_owned(), size, limit: MAX_CONTROL_FILE };
    // Before opening: opening some devices has effects.
    let listed = std::fs::metadata(path).map_err(failed)?;
    if !listed.is_file() {
        return Err(InstallError::FileNotRegular { path: path.to_owned() });
    }
    let file = open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(InstallError::FileNotRegular { path: path.to_owned() });
    }
    if metadata.len() > MAX_CONTROL_FILE {
        return Err(too_large(metadata.len()));
    }
    let mut bytes = Vec::new();
    file.take(MAX_CONTROL_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    let size = bytes.len() as u64;
    // The file grew, or its file system does not know its size.
    if size > MAX_CONTROL_FILE { Err(too_large(size)) } else { Ok(bytes) }
}
