//! The install container of the end-to-end tests, and the image that must come of it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use cloudd_core::provider::Size;

use crate::boot_sector::boot_sector;
use crate::containers::{Context, noise};
use crate::lab::assert_same_disk;

/// An operating system of a boot sector and noise, and the container that installs it.
///
/// The container writes at the start, in the middle and at the very end of the volume, as real
/// installers do (a partition table, a file system, the backup of the table), and plants a marker
/// on the builder's root disk.
#[derive(Debug, Clone)]
pub struct Installer {
    nonce: String,
    marker: String,
    start: Vec<u8>,
    middle: Vec<u8>,
    end: Vec<u8>,
}

/// Where the middle begins: not on a boundary of anything larger than a sector.
const MIDDLE: u64 = 300 * 1024 * 1024 + 512;

impl Installer {
    /// An installer of so many MiB, with a nonce of its own.
    #[must_use]
    pub fn new(mebibytes: usize) -> Self {
        let nonce = cloudd_core::provider::BuildId::random();
        let noise = noise((mebibytes + 1) << 20);
        let (mut start, middle) = (noise[..mebibytes << 20].to_vec(), &noise[mebibytes << 20..]);
        start[..512].copy_from_slice(&boot_sector(&format!("nonce {nonce}\r\n")));
        Self {
            nonce: format!("nonce {nonce}"),
            marker: format!("marker-of-{nonce}"),
            start,
            middle: middle.to_vec(),
            end: b"EFI PART, or something like it at the end".repeat(100)[..512].to_vec(),
        }
    }

    /// What a VM started from the image prints.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// How many bytes the container writes.
    #[must_use]
    pub fn written(&self) -> u64 {
        (self.start.len() + self.middle.len() + self.end.len()) as u64
    }

    /// The build context. The container waits for `$PAUSE` seconds after its first line.
    ///
    /// # Panics
    /// When there is no static busybox: `make setup` installs it.
    #[must_use]
    pub fn context(&self) -> Context {
        let script = format!(
            "set -eu\n\
             volume=$1\n\
             sectors=$(blockdev --getsz \"$volume\")\n\
             echo \"writing to $volume of $sectors sectors: $ARGUMENT, $VARIABLE\"\n\
             sleep \"${{PAUSE:-0}}\"\n\
             dd if=/start of=\"$volume\" bs=1M conv=notrunc\n\
             dd if=/middle of=\"$volume\" bs=512 seek={} conv=notrunc\n\
             dd if=/end of=\"$volume\" bs=512 seek=$((sectors - 1)) conv=notrunc\n\
             for copy in 1 2 3 4; do echo {} >\"/host/var/tmp/marker$copy\"; done\n\
             sync\n",
            MIDDLE / 512,
            self.marker
        );
        shell_container(&script)
            .file("start", &self.start)
            .file("middle", &self.middle)
            .file("end", &self.end)
    }

    /// Writes the disk that must come of it: a sparse file.
    fn write_expected(&self, path: &Path, disk: u64, volume: u64) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(disk)?;
        file.write_all_at(&self.start, 0)?;
        file.write_all_at(&self.middle, MIDDLE)?;
        file.write_all_at(&self.end, volume - 512)
    }

    /// Holds the file of an image against what the container wrote: the same bytes, nothing of the
    /// builder, and no larger than it needs to be.
    ///
    /// # Panics
    /// When it is anything else.
    pub fn assert_exact(&self, image: &Path, disk: Size, volume: Size) {
        let expected = tempfile::NamedTempFile::new().expect("a temporary file");
        self.write_expected(expected.path(), disk.as_bytes(), volume.as_bytes())
            .expect("room for a sparse file");
        assert_same_disk(image, expected.path());
        let bytes = fs::read(image).expect("the file of an image");
        let marker = self.marker.as_bytes();
        assert!(
            !bytes.windows(marker.len()).any(|window| window == marker),
            "the image holds what stood on the builder's root disk"
        );
        let compact = self.written() * 2;
        assert!(bytes.len() as u64 <= compact, "{} bytes for an image", bytes.len());
    }
}

/// A container without any base image whose entrypoint is this script, run by a static busybox,
/// whose shell knows its other commands without any path.
/// It sees the builder's root file system at `/host`.
///
/// # Panics
/// When there is no static busybox: `make setup` installs it.
#[must_use]
pub fn shell_container(script: &str) -> Context {
    shell_container_with("", script)
}

/// The same with further options of `podman run`.
///
/// # Panics
/// The same.
#[must_use]
pub fn shell_container_with(options: &str, script: &str) -> Context {
    let busybox = fs::read("/bin/busybox").expect("a static busybox, which `make setup` installs");
    let context = Context::new(&format!(
        "FROM scratch\n\
         ARG ARGUMENT\n\
         ENV ARGUMENT=$ARGUMENT VARIABLE=overridden\n\
         COPY . /\n\
         LABEL RUN=\"podman run {options} --rm --privileged --network=host -v /dev:/dev -v /:/host IMAGE\"\n\
         ENTRYPOINT [\"/bin/busybox\", \"sh\", \"/install\"]\n",
    ));
    fs::create_dir(context.path().join("bin")).expect("a writable temporary directory");
    let context = context.file("bin/busybox", busybox).file("install", script);
    make_executable(&context.path().join("bin/busybox"));
    context
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a file of our own");
}
