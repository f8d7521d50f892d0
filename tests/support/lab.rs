//! A real libvirt to build on, set up by `tests/machine`, and what can be seen of it from outside.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::build::{BuildError, BuildEvent, BuiltImage, CancelHandle, ImageBuilder};
use cloudd_core::install::InstallContainer;
use cloudd_core::provider::{BuildId, ImageId, Provider, Size, VmId};
use cloudd_libvirt::{BaseImage, Libvirt, VmOptions};

use crate::story::{self, Story};

/// libvirt, as the environment describes it.
#[derive(Debug)]
pub struct Lab {
    /// The provider under test.
    pub libvirt: Arc<Libvirt>,
    uri: String,
    pool: String,
}

impl Lab {
    /// Connects.
    ///
    /// # Panics
    /// When the environment is not that of `make e2e`, or libvirt cannot be reached.
    pub async fn new() -> Self {
        Self::with_base("CLOUDD_TEST_BASE").await
    }

    /// Connects, with the builder base image that this environment variable names.
    ///
    /// # Panics
    /// As [`Lab::new`].
    pub async fn with_base(variable: &str) -> Self {
        let uri = environment("CLOUDD_TEST_URI");
        let pool = environment("CLOUDD_TEST_POOL");
        let libvirt = Libvirt::builder(&uri)
            .pool(&pool)
            .base_image(BaseImage::path(environment(variable)))
            .connect()
            .await
            .unwrap_or_else(|error| panic!("{error:?}"));
        Self { libvirt: Arc::new(libvirt), uri, pool }
    }

    /// A build with a small volume, for tests that do not look at sizes.
    pub fn builder(&self, name: &str, container: InstallContainer) -> ImageBuilder {
        ImageBuilder::new(name, container).volume_size(Size::gib(1))
    }

    /// Builds, prints the story as it happens, and gives it with the outcome.
    pub async fn build(&self, builder: &ImageBuilder) -> (Result<BuiltImage, BuildError>, Story) {
        self.build_watched(&*self.libvirt, builder, |_, _| {}).await
    }

    /// Builds on this libvirt through any wrapper of it; `watch` sees each event as it comes. The
    /// logs of a guest whose build fails are kept.
    pub async fn build_watched<P: Provider + Clone>(
        &self,
        provider: &P,
        builder: &ImageBuilder,
        watch: impl FnMut(&BuildEvent, &CancelHandle),
    ) -> (Result<BuiltImage, BuildError>, Story) {
        story::of_build(provider, builder, |vm| self.logs(vm), watch).await
    }

    /// The files that collect what a VM prints and what its agent sends. The VM may be gone already.
    ///
    /// # Panics
    /// If virsh fails.
    #[must_use]
    pub fn logs(&self, vm: &VmId) -> Vec<PathBuf> {
        let pool = self.virsh(&["pool-dumpxml", &self.pool]);
        let path = pool.split_once("<path>").and_then(|(_, rest)| rest.split_once("</path>"));
        let (path, _) = path.unwrap_or_else(|| panic!("no path in\n{pool}"));
        ["console", "events"].map(|kind| Path::new(path).join(format!("{vm}.{kind}.log"))).into()
    }

    /// The events that the agent in a VM has sent so far, received or not.
    ///
    /// # Panics
    /// When virsh fails, or there is no such VM.
    #[must_use]
    pub fn said(&self, vm: &VmId) -> String {
        let log = format!("{vm}.events.log");
        self.virsh(&["vol-download", "--pool", &self.pool, &log, "/dev/stdout"])
    }

    /// The processes in which libvirt copies the root disk of a build.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    #[must_use]
    pub fn exports_of(&self, build: &BuildId) -> Vec<u32> {
        let source = format!("{build}.root.qcow2");
        let is = |process: &u32| {
            let command =
                fs::read_to_string(format!("/proc/{process}/cmdline")).unwrap_or_default();
            let mut words = command.split('\0');
            words.next().is_some_and(|program| program.ends_with("qemu-img"))
                && words.next() == Some("convert")
                && words.any(|word| word.ends_with(&source))
        };
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        processes.filter_map(|it| it.file_name().to_str()?.parse().ok()).filter(is).collect()
    }

    /// Waits for the process in which libvirt copies the root disk of a build.
    pub async fn export_of(&self, build: &BuildId) -> u32 {
        loop {
            if let [export] = self.exports_of(build)[..] {
                return export;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Starts a VM from an image, waits until its system powers it off, and returns its console output.
    ///
    /// # Panics
    /// When it cannot be started, or is not off within two minutes.
    pub async fn boot(&self, image: &ImageId) -> String {
        let vm = self.libvirt.start_vm_from(image, VmOptions::new()).await;
        let vm = vm.unwrap_or_else(|error| panic!("{error:?}"));
        let off = self.libvirt.wait_vm_off(&vm.id);
        let off = tokio::time::timeout(Duration::from_secs(120), off).await;
        let console = self.libvirt.console(&vm.id).await;
        let deleted = self.libvirt.delete(&vm.id.into()).await;
        let console = String::from_utf8_lossy(&console.expect("a console")).into_owned();
        assert!(matches!(off, Ok(Ok(()))), "{off:?}; the console says {console:?}");
        deleted.expect("a VM that is off can be deleted");
        console
    }

    /// What libvirt itself lists of a build: volumes with its id in their names, and domains that
    /// have it anywhere, since a lease's name does not say of which build it is.
    ///
    /// # Panics
    /// When virsh fails.
    #[must_use]
    pub fn resources_of(&self, build: &BuildId) -> Vec<String> {
        let domains = self.virsh(&["list", "--all", "--name"]);
        let volumes = self.virsh(&["vol-list", "--pool", &self.pool]);
        let observer = self.observer();
        let of_build = |text: &str| text.contains(build.as_str());
        // Domains of others come and go.
        let xml = |domain: &&str| observer.try_virsh(&["dumpxml", domain]).unwrap_or_default();
        let domains = domains.lines().filter_map(first_word).filter(|it| of_build(&xml(it)));
        let volumes = volumes.lines().filter_map(first_word).filter(|it| of_build(it));
        domains.chain(volumes).map(str::to_owned).collect()
    }

    /// The same libvirt for a thread that only looks.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer { uri: self.uri.clone() }
    }

    /// Where the disk of an image lies.
    ///
    /// # Panics
    /// When virsh fails, or there is no such disk.
    #[must_use]
    pub fn image_path(&self, image: &ImageId) -> PathBuf {
        let volumes = self.virsh(&["vol-list", "--pool", &self.pool]);
        let mut names = volumes.lines().filter_map(first_word);
        let disk = names.find(|name| name.contains(image.as_str()) && name.ends_with(".qcow2"));
        let disk = disk.unwrap_or_else(|| panic!("no disk of image {image} in\n{volumes}"));
        self.volume_path(disk)
    }

    fn volume_path(&self, volume: &str) -> PathBuf {
        self.virsh(&["vol-path", "--pool", &self.pool, volume]).trim().into()
    }

    /// Runs virsh, the view from outside.
    ///
    /// # Panics
    /// When it fails.
    #[must_use]
    pub fn virsh(&self, arguments: &[&str]) -> String {
        run(Command::new("virsh").args(["-q", "-c", &self.uri]).args(arguments))
    }
}

/// Looks at domains from outside.
#[derive(Debug)]
pub struct Observer {
    uri: String,
}

impl Observer {
    /// Bytes that the guest of a domain has read from the volume so far.
    #[must_use]
    pub fn volume_bytes_read(&self, domain: &str) -> Option<u64> {
        let stats = self.try_virsh(&["domstats", "--block", domain])?;
        let of = |key: &str| -> BTreeMap<String, String> {
            let fields = stats.lines().filter_map(|line| line.trim().split_once('='));
            fields
                .filter_map(|(name, value)| {
                    let number = name.strip_prefix("block.")?.strip_suffix(key)?;
                    Some((number.to_owned(), value.to_owned()))
                })
                .collect()
        };
        let (paths, read) = (of(".path"), of(".rd.bytes"));
        let (number, _) = paths.iter().find(|(_, path)| path.contains("volume"))?;
        read.get(number)?.parse().ok()
    }

    fn try_virsh(&self, arguments: &[&str]) -> Option<String> {
        let output =
            Command::new("virsh").args(["-q", "-c", &self.uri]).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// Whether two disk images hold the same, zeros after the end of the shorter included.
///
/// # Panics
/// With qemu-img's words, when they differ.
pub fn assert_same_disk(image: &Path, expected: &Path) {
    run(Command::new("qemu-img")
        .args(["compare", "-f", "qcow2", "-F", "raw"])
        .args([image, expected]));
}

/// Runs a command to its end and gives what it printed.
///
/// # Panics
/// With all it printed, when it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; `make setup` installs what the tests need")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{text}{errors}", output.status);
    text
}

/// A variable that `make e2e` sets.
///
/// # Panics
/// When it is not set.
#[must_use]
pub fn environment(variable: &str) -> String {
    std::env::var(variable)
        .unwrap_or_else(|_| panic!("{variable} is not set: run this test by `make e2e`"))
}

fn first_word(line: &str) -> Option<&str> {
    line.split_whitespace().next()
}
