//! podman, used as by `assets/stage1.sh`.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use cloudd_core::install::{InstallContainer, LoadedContainer};
use tempfile::TempDir;

use crate::disk::Disk;
use crate::server::CERTIFICATE;

/// The name of the base image of all containers.
fn base() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("containers/raw_image/Containerfile");
    let text = fs::read_to_string(file).unwrap();
    text.lines().find_map(|line| line.strip_prefix("ARG BASE=")).unwrap().to_owned()
}

/// The base image without one of its packages, tagged with this name.
pub(crate) fn base_without(package: &str, name: &str) {
    let context = TempDir::new().unwrap();
    let text = format!("FROM {}\nRUN dpkg --purge --force-depends {package}\n", base());
    fs::write(context.path().join("Containerfile"), text).unwrap();
    run(podman().args(["build", "-q", "--isolation=chroot", "-t", name]).arg(context.path()));
}

/// The result of a container.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    /// The output of the container.
    pub(crate) output: String,
}

impl Ended {
    #[track_caller]
    pub(crate) fn well(&self) -> &Self {
        assert_eq!(self.code, 0, "{}", self.output);
        self
    }

    /// Checks the exit code, and that a line of the output starts with the reason.
    #[track_caller]
    pub(crate) fn badly(&self, code: i32, line: &str) -> &Self {
        let named = self.output.lines().any(|shown| shown.starts_with(line));
        assert!(named && self.code == code, "expected {code} {line:?}: {self:#?}");
        self
    }
}

/// Builds the container and runs it on the disk.
pub(crate) fn install(container: impl Into<InstallContainer>, disk: &Disk) -> Ended {
    Image::of(&container.into().load().unwrap()).run(disk)
}

/// Like [`install`], in a container that trusts the certificate of [`Server::tls`].
///
/// [`Server::tls`]: crate::server::Server::tls
pub(crate) fn install_trusting(container: impl Into<InstallContainer>, disk: &Disk) -> Ended {
    const NAME: &str = "localhost/trusting-test-server";
    static BASE: OnceLock<()> = OnceLock::new();
    BASE.get_or_init(|| {
        let context = TempDir::new().unwrap();
        fs::write(context.path().join("certificate.pem"), CERTIFICATE).unwrap();
        let text = format!(
            "FROM {}\nCOPY certificate.pem /\n\
             RUN cat /certificate.pem >>/etc/ssl/certs/ca-certificates.crt\n",
            base()
        );
        fs::write(context.path().join("Containerfile"), text).unwrap();
        run(podman().args(["build", "-q", "--isolation=chroot", "-t", NAME]).arg(context.path()));
    });
    install(container.into().build_arg("BASE", NAME), disk)
}

/// Builds a container from the folder and runs it with variables, without cloudd.
pub(crate) fn by_hand(name: &str, variables: &[(&str, &str)], disk: &Disk) -> Ended {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("containers");
    let image = Image::build(&folder.join(name).join("Containerfile"), &folder, "");
    let mut command = podman();
    command.args(["run", "--rm", "--privileged", "--network=host", "-v", "/dev:/dev"]);
    command.args(variables.iter().map(|(name, value)| format!("--env={name}={value}")));
    let output = command.arg(&image.name).arg(disk.device()).output().unwrap();
    Ended { code: output.status.code().unwrap(), output: text(&output) }
}

/// A container image, deleted when dropped.
struct Image {
    name: String,
}

impl Image {
    /// Builds the image as in the builder VM. Containers that differ only in their environment share a
    /// build.
    fn of(loaded: &LoadedContainer) -> Self {
        static BUILT: Mutex<BTreeMap<String, Image>> = Mutex::new(BTreeMap::new());
        let (context, arguments) = (loaded.context().unwrap(), loaded.build_args_file());
        let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{} {arguments}", context.archive().sha256());
        let image = built.entry(key).or_insert_with(|| {
            let directory = unpacked(loaded);
            let containerfile = directory.path().join(context.containerfile());
            Self::build(&containerfile, directory.path(), &arguments)
        });
        let name = image.name.clone();
        drop(built);
        let layer = loaded.env_containerfile(&name).unwrap_or(format!("FROM {name}\n"));
        let empty = TempDir::new().unwrap();
        let containerfile = empty.path().join("Containerfile");
        fs::write(&containerfile, layer).unwrap();
        Self::build(&containerfile, empty.path(), "")
    }

    fn build(containerfile: &Path, context: &Path, arguments: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let image = Self { name: format!("localhost/test-{}-{number}", std::process::id()) };
        let mut command = podman();
        command.args(["build", "-q", "--isolation=chroot", "-t", &image.name, "-f"]);
        command.arg(containerfile);
        for argument in arguments.lines() {
            command.args(["--build-arg", argument]);
        }
        run(command.arg(context));
        image
    }

    fn run(&self, disk: &Disk) -> Ended {
        let mut command = podman();
        command.args(["container", "runlabel", "run", &self.name]).arg(disk.device());
        let ended = command.output().unwrap();
        let output = text(&ended);
        // The exit code of podman is always 125; its last line has that of the container.
        let last = output.lines().last().unwrap_or_default();
        let code = match (ended.status.success(), last.rsplit_once("exit status ")) {
            (true, _) => 0,
            (false, Some((_, code))) => code.trim().parse().unwrap(),
            (false, None) => panic!("no exit code: {output}"),
        };
        Ended { code, output }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = podman().args(["rmi", "--no-prune", "--force", &self.name]).output();
    }
}

fn text(output: &Output) -> String {
    let text = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    text.concat()
}

/// The unpacked build context.
fn unpacked(loaded: &LoadedContainer) -> TempDir {
    let directory = TempDir::new().unwrap();
    let mut tar = Command::new("tar");
    tar.args(["-xzp", "-C"]).arg(directory.path()).stdin(Stdio::piped());
    let mut tar = tar.spawn().unwrap();
    let archive = loaded.context().unwrap().archive().read_all().unwrap();
    tar.stdin.take().unwrap().write_all(&archive).unwrap();
    assert!(tar.wait().unwrap().success());
    directory
}

/// podman with a storage for the base image of all containers, which is kept between runs.
fn podman() -> Command {
    static STORAGE: OnceLock<PathBuf> = OnceLock::new();
    let storage = STORAGE.get_or_init(|| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/machine/container-base.sh");
        run(&mut Command::new(script)).lines().last().unwrap().into()
    });
    // crun rejects machines that use cgroups v1 and v2 together, so podman gets a private mount of
    // cgroups v2.
    let script = "mount -t cgroup2 none /sys/fs/cgroup && exec podman \"$@\"";
    let mut command = as_root("env");
    // Set by the environment, because `runlabel` starts another podman without the options of the first.
    for (name, file) in
        [("CONTAINERS_STORAGE_CONF", "storage.conf"), ("CONTAINERS_CONF", "containers.conf")]
    {
        command.arg(format!("{name}={}", storage.join(file).display()));
    }
    command.args(["unshare", "--mount", "sh", "-c", script, "podman"]);
    command
}

/// A command that runs as root.
pub(crate) fn as_root(program: impl AsRef<OsStr>) -> Command {
    let uid = fs::metadata("/proc/self").map(|it| std::os::unix::fs::MetadataExt::uid(&it));
    if uid.unwrap() == 0 {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.arg(program);
    command
}

/// Runs a command and returns its output.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `make setup` installs what the tests need")
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
