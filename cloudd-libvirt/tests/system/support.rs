//! A provider with a minimal guest, and the cleanup after each test.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::provider::{
    Architecture, BuildId, BuildRequirements, BuilderSpec, BuilderVm, ImageSpec, Labels, Provider,
    Reporter, Selector, Size, UserDataTemplate, Vm, Volume, keys,
};
use cloudd_libvirt::{Accel, BaseImage, DiskCache, Libvirt, LibvirtBuilder};

/// The disk that guests begin with, and how much of it the boot sector needs.
pub(crate) const BASE_SIZE: usize = 4 << 20;

/// The event that the guest sends at each boot; see `guest.S`.
pub(crate) const HELLO: &str =
    r#"{"cloudd":1,"build":"any","from":"stage1","seq":1,"event":"hello"}"#;

pub(crate) fn uri() -> String {
    std::env::var("CLOUDD_TEST_URI").unwrap_or_else(|_| "qemu:///system".to_owned())
}

pub(crate) fn pool() -> String {
    std::env::var("CLOUDD_TEST_POOL").unwrap_or_else(|_| "cloudd-tests".to_owned())
}

/// The options of a guest, which always prints a greeting; see `guest.S`.
pub(crate) struct Guest(pub(crate) &'static [&'static str]);

pub(crate) const POWERS_OFF: Guest = Guest(&[]);
pub(crate) const STAYS_ON: Guest = Guest(&["STAY=1"]);
/// Writes 48 MiB to its disk.
pub(crate) const FILLS: Guest = Guest(&["FILL=1"]);

impl Guest {
    /// The boot sector, assembled.
    pub(crate) fn assemble(&self, dir: &Path) -> Vec<u8> {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/system/guest.S");
        let (object, binary) = (dir.join("guest.o"), dir.join("guest.bin"));
        let mut assembler = Command::new("as");
        assembler.arg("--32").arg(source).arg("-o").arg(&object);
        for symbol in self.0 {
            assembler.args(["--defsym", symbol]);
        }
        assert!(assembler.status().unwrap().success());
        let linked = Command::new("ld")
            .args(["-m", "elf_i386", "-Ttext", "0x7c00", "--oformat", "binary", "-o"])
            .args([&binary, &object])
            .status();
        assert!(linked.unwrap().success());
        let bytes = std::fs::read(binary).unwrap();
        assert_eq!(bytes.len(), 512);
        bytes
    }

    /// A raw disk that begins with it.
    pub(crate) fn disk(&self, dir: &Path) -> PathBuf {
        let mut disk = self.assemble(dir);
        disk.resize(BASE_SIZE, 0);
        let path = dir.join("base.img");
        std::fs::write(&path, disk).unwrap();
        path
    }
}

/// The provider and the build id of one test.
pub(crate) struct Bench {
    pub(crate) provider: Arc<Libvirt>,
    pub(crate) build: BuildId,
    pub(crate) dir: tempfile::TempDir,
}

pub(crate) fn builder() -> LibvirtBuilder {
    builder_at(&uri())
}

pub(crate) fn builder_at(uri: &str) -> LibvirtBuilder {
    Libvirt::builder(uri)
        .pool(pool())
        .accel(Accel::Tcg)
        .memory(Size::mib(32))
        .cpus(1)
        .disk_cache(DiskCache::Unsafe)
}

/// Runs a test and deletes everything it created, whether it succeeds or not.
pub(crate) async fn with_guest<F, Fut>(guest: Guest, test: F)
where
    F: FnOnce(Arc<Bench>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let dir = tempfile::tempdir().unwrap();
    let base = guest.disk(dir.path());
    let provider = builder()
        .base_image(BaseImage::path(base))
        .connect()
        .await
        .unwrap_or_else(|error| panic!("{error}\nset up by tests/machine/libvirtd.sh start"));
    with_provider(dir, provider, test).await;
}

pub(crate) async fn with_provider<F, Fut>(dir: tempfile::TempDir, provider: Libvirt, test: F)
where
    F: FnOnce(Arc<Bench>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let _ = tracing_subscriber::fmt().with_test_writer().try_init();
    let bench = Arc::new(Bench { provider: Arc::new(provider), build: BuildId::random(), dir });
    let outcome = tokio::spawn(test(Arc::clone(&bench))).await;
    bench.clean_up().await;
    if let Err(error) = outcome {
        std::panic::resume_unwind(error.into_panic());
    }
}

impl Bench {
    pub(crate) fn name(&self) -> String {
        format!("cloudd-{}", self.build)
    }

    pub(crate) fn labels(&self) -> Labels {
        Labels::from_iter([(keys::BUILD, self.build.as_str()), (keys::NAME, "system-test")])
    }

    pub(crate) fn requirements(&self) -> BuildRequirements {
        BuildRequirements::new(Architecture::X86_64, Size::mib(16))
    }

    /// The specification of a builder VM and its volume.
    pub(crate) async fn spec(&self) -> BuilderSpec {
        let requirements = self.requirements();
        let resolved = self.provider.resolve(&requirements).await.unwrap();
        let silent = Reporter::silent();
        self.provider.ensure_base_image(&requirements, &resolved, &silent).await.unwrap();
        let user_data = UserDataTemplate::fixed(*b"#cloud-config\n{}\n");
        BuilderSpec::new(self.name(), self.labels(), requirements, resolved, user_data)
    }

    pub(crate) async fn create(&self, spec: &BuilderSpec) -> BuilderVm {
        self.provider.create_builder(spec, &Reporter::silent()).await.unwrap()
    }

    pub(crate) async fn vm(&self) -> Vm {
        self.create(&self.spec().await).await.vm
    }

    /// A volume whose VM is deleted.
    pub(crate) async fn volume(&self) -> Volume {
        let BuilderVm { vm, volume, .. } = self.create(&self.spec().await).await;
        self.provider.delete(&vm.id.into()).await.unwrap();
        volume
    }

    pub(crate) async fn started_vm(&self) -> Vm {
        let vm = self.vm().await;
        self.provider.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
        vm
    }

    /// A VM that has run and is off again.
    pub(crate) async fn vm_that_ran(&self) -> Vm {
        let vm = self.started_vm().await;
        soon(self.provider.wait_vm_off(&vm.id)).await.unwrap();
        vm
    }

    pub(crate) fn image_spec(&self) -> ImageSpec {
        ImageSpec::new("system-test", "of a test", self.labels(), Architecture::X86_64)
    }

    async fn clean_up(&self) {
        let mut found = self.provider.find(&Selector::build(&self.build)).await.unwrap_or_default();
        found.sort_by_key(|resource| resource.id.delete_order());
        for resource in found {
            if let Err(error) = self.provider.delete(&resource.id).await {
                eprintln!("left behind: {error}");
            }
        }
    }

    /// The names of the volumes in the pool that have this build's id in them.
    pub(crate) fn volumes(&self) -> Vec<String> {
        let listed = virsh(&["vol-list", &pool()]);
        let names = listed.lines().filter_map(|line| line.split_whitespace().next());
        names.filter(|name| name.contains(self.build.as_str())).map(str::to_owned).collect()
    }
}

/// A unique text.
pub(crate) fn unique() -> String {
    BuildId::random().to_string()
}

/// Runs virsh and returns its output.
pub(crate) fn virsh(arguments: &[&str]) -> String {
    let output = virsh_output(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "virsh {arguments:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs virsh until it succeeds; other tests may keep the pool busy.
pub(crate) async fn eventually_virsh(arguments: &[&str]) {
    soon(async {
        while !virsh_output(arguments).status.success() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    })
    .await;
}

fn virsh_output(arguments: &[&str]) -> Output {
    Command::new("virsh").args(["-q", "-c", &uri()]).args(arguments).output().unwrap()
}

/// Runs a program as root.
pub(crate) fn as_root(program: &str, arguments: &[&str]) {
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0);
    let mut command = if is_root {
        Command::new(program)
    } else {
        let mut sudo = Command::new("sudo");
        sudo.args(["-n", program]);
        sudo
    };
    let output = command.args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A timeout of two minutes, for operations that normally take seconds.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(120);
    tokio::time::timeout(limit, future).await.expect("not done within two minutes")
}

/// A second process, as far as libvirt can tell: a connection of its own.
pub(crate) async fn another(bench: &Bench) -> Libvirt {
    let base = BaseImage::path(bench.dir.path().join("base.img"));
    builder().base_image(base).connect().await.unwrap()
}

pub(crate) async fn join_all<T>(futures: Vec<impl Future<Output = T>>) -> Vec<T> {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut results: Vec<Option<T>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, result) in pinned.iter_mut().zip(&mut results) {
            if result.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    results.into_iter().flatten().collect()
}
