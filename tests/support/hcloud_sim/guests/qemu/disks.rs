//! Root disks, volumes and images as files, made by `qemu-img`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::super::Capture;
use super::files::QemuFiles;

// Hetzner does not say which gigabyte it means: a builder has to make do with the smaller one for
// the root disk and the larger one for the volume that has to fit onto it.
const ROOT_GB: u64 = 1_000_000_000;
const VOLUME_GB: u64 = 1 << 30;
/// How qcow2 files begin.
const MAGIC: &[u8] = b"QFI\xfb";

/// The disks of all servers.
#[derive(Debug)]
pub(super) struct Disks {
    base: PathBuf,
    files: QemuFiles,
}

impl Disks {
    pub(super) fn new(base: PathBuf, files: QemuFiles) -> io::Result<Self> {
        let mut magic = [0; 4];
        let base = fs::canonicalize(base)?;
        File::open(&base)?.read_exact(&mut magic)?;
        if magic != MAGIC {
            let what = format!("{} is no qcow2 image", base.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(Self { base, files })
    }

    /// Makes a server's root disk: a clone of an image, or of the base if no build made that image
    /// here.
    pub(super) fn make_root(&self, server: u64, image: u64, gb: u64) -> Result<(), String> {
        self.delete_server(server)?;
        let folder = self.files.server(server);
        fs::create_dir(&folder).map_err(on(&folder))?;
        let snapshot = self.files.image(image);
        let origin = if snapshot.exists() {
            // A name of its own, so that the clone outlives the image.
            let own = folder.join("image.qcow2");
            fs::hard_link(&snapshot, &own).map_err(on(&own))?;
            own
        } else {
            self.base.clone()
        };
        let mut create = create(&self.files.root(server), gb * ROOT_GB);
        run(create.args(["-F", "qcow2", "-b"]).arg(origin))
    }

    pub(super) fn make_volume(&self, volume: u64, gb: u64) -> Result<(), String> {
        run(&mut create(&self.files.volume(volume), gb * VOLUME_GB))
    }

    pub(super) fn resize_volume(&self, volume: u64, gb: u64) -> Result<(), String> {
        let size = (gb * VOLUME_GB).to_string();
        run(qemu_img().args(["resize", "-q"]).arg(self.files.volume(volume)).arg(size))
    }

    pub(super) fn delete_server(&self, server: u64) -> Result<(), String> {
        gone(&self.files.server(server), |path| fs::remove_dir_all(path))
    }

    pub(super) fn delete_volume(&self, volume: u64) -> Result<(), String> {
        gone(&self.files.volume(volume), |path| fs::remove_file(path))
    }

    pub(super) fn delete_image(&self, image: u64) -> Result<(), String> {
        gone(&self.files.image(image), |path| fs::remove_file(path))
    }

    /// Begins to copy a server's disk, with all that it has from the image it was made from.
    pub(super) fn export(&self, server: u64, image: u64) -> Result<Export, String> {
        let file = self.files.image(image);
        let mut convert = qemu_img();
        convert.args(["convert", "-f", "qcow2", "-O", "qcow2"]);
        convert.arg(self.files.root(server)).arg(&file);
        convert.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = convert.spawn().map_err(|error| cannot_run(&convert, &error))?;
        Ok(Export { child, file })
    }
}

/// A copy being made. Dropping it ends that.
#[derive(Debug)]
pub(super) struct Export {
    child: Child,
    file: PathBuf,
}

impl Export {
    pub(super) fn outcome(&mut self) -> Capture {
        match self.child.try_wait() {
            Ok(None) => Capture::Pending,
            Ok(Some(status)) if status.success() => match fs::metadata(&self.file) {
                Ok(file) => Capture::Done { gb: (file.blocks() * 512) as f64 / 1e9 },
                Err(error) => Capture::Failed(on(&self.file)(error)),
            },
            Ok(Some(_)) => {
                let mut words = String::new();
                let errors = self.child.stderr.as_mut();
                let read = errors.map(|errors| errors.read_to_string(&mut words));
                let why = read.and_then(Result::err).map_or(words, |error| error.to_string());
                Capture::Failed(why.trim().to_owned())
            }
            Err(error) => Capture::Failed(error.to_string()),
        }
    }
}

impl Drop for Export {
    fn drop(&mut self) {
        // An error says that it has ended already.
        self.child.kill().and_then(|()| self.child.wait()).map(drop).unwrap_or_default();
    }
}

fn qemu_img() -> Command {
    Command::new("qemu-img")
}

fn create(file: &Path, bytes: u64) -> Command {
    let mut command = qemu_img();
    command.args(["create", "-q", "-f", "qcow2"]).arg(file).arg(bytes.to_string());
    command
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| cannot_run(command, &error))?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stderr).trim().to_owned())
}

pub(super) fn cannot_run(command: &Command, error: &io::Error) -> String {
    let program = command.get_program().display();
    format!("{program}: {error}; `make setup` installs what real guests need")
}

fn gone(path: &Path, remove: impl Fn(&Path) -> io::Result<()>) -> Result<(), String> {
    match remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(on(path)(error)),
        _ => Ok(()),
    }
}

pub(super) fn on(path: &Path) -> impl Fn(io::Error) -> String {
    move |error| format!("{}: {error}", path.display())
}
