//! A pool that fills up: a named error, not a hang.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cloudd_core::provider::{ErrorKind, PowerState, Provider, Report, Reporter, Size};
use cloudd_libvirt::BaseImage;

use crate::support::{Bench, FILLS, as_root, builder, soon, unique, virsh, with_provider};

/// A pool of its own on a file system of 24 MiB, gone when it is dropped.
struct SmallPool {
    name: String,
    dir: PathBuf,
}

impl SmallPool {
    fn make() -> Self {
        let name = format!("cloudd-small-{}", unique());
        let dir = Path::new("/var/tmp").join(&name);
        std::fs::create_dir(&dir).unwrap();
        let pool = Self { name, dir };
        as_root("mount", &["-t", "tmpfs", "-o", "size=24m,mode=0711", "tmpfs", pool.path()]);
        virsh(&["pool-define-as", &pool.name, "dir", "--target", pool.path()]);
        virsh(&["pool-start", &pool.name]);
        pool
    }

    fn path(&self) -> &str {
        self.dir.to_str().unwrap()
    }
}

impl Drop for SmallPool {
    fn drop(&mut self) {
        for action in ["pool-destroy", "pool-undefine"] {
            virsh(&[action, &self.name]);
        }
        as_root("umount", &[self.path()]);
        std::fs::remove_dir(&self.dir).unwrap();
    }
}

/// The free space of a pool in bytes.
fn available(pool: &str) -> u64 {
    let info = virsh(&["pool-info", "--bytes", pool]);
    let line = info.lines().find_map(|line| line.strip_prefix("Available:"));
    line.unwrap().trim().parse().unwrap()
}

async fn with_small_pool<F, Fut>(test: F)
where
    F: FnOnce(Arc<Bench>) -> Fut,
    Fut: Future<Output = ()> + Send + 'static,
{
    let pool = SmallPool::make();
    let dir = tempfile::tempdir().unwrap();
    let base = BaseImage::path(FILLS.disk(dir.path()));
    let provider = builder().pool(&pool.name).base_image(base).connect().await.unwrap();
    with_provider(dir, provider, test).await;
}

#[tokio::test]
async fn a_guest_that_fills_the_pool_is_stuck_with_that_reason() {
    with_small_pool(|bench| async move {
        let mut spec = bench.spec().await;
        spec.requirements.volume_size = Size::mib(64);
        spec.resolved.root_size = Size::mib(64);
        let vm = bench.create(&spec).await.vm;
        bench.provider.start_vm(&vm.id, &Reporter::silent()).await.unwrap();
        let error = soon(bench.provider.wait_vm_off(&vm.id)).await.unwrap_err();
        assert!(error.to_string().contains("pool is full"), "{error}");
        let state = bench.provider.vm(&vm.id).await.unwrap().unwrap().state;
        assert!(matches!(state, PowerState::Error(_)), "{state:?}");
        bench.provider.delete(&vm.id.into()).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_base_image_that_does_not_fit_leaves_nothing_and_a_part_of_the_free_space() {
    with_small_pool(|bench| async move {
        // No two MiB of it are equal or zero.
        let large = bench.dir.path().join("large.img");
        let bytes: Vec<u8> =
            (0..32u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        std::fs::write(&large, bytes).unwrap();
        let pool = bench.provider.to_string().rsplit(' ').next().unwrap().to_owned();
        let provider =
            builder().pool(&pool).base_image(BaseImage::path(large)).connect().await.unwrap();
        let requirements = bench.requirements();
        let resolved = provider.resolve(&requirements).await.unwrap();
        let (written, free) = (Arc::new(AtomicU64::new(0)), available(&pool));
        let most = Arc::clone(&written);
        let reporter = Reporter::new(move |report| {
            if let Report::Progress { done, .. } = report {
                most.fetch_max(done.as_bytes(), Ordering::Relaxed);
            }
        });
        let ensured = provider.ensure_base_image(&requirements, &resolved, &reporter).await;
        let error = ensured.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull, "{error:?}");
        let written = written.load(Ordering::Relaxed);
        assert!(written > free / 2 && written <= free - free / 16, "{written} of {free} bytes");
        assert_eq!(virsh(&["vol-list", &pool]).trim(), "");
    })
    .await;
}
