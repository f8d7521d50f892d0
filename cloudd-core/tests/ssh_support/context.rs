use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};

use cloudd_core::install::{ContextArchive, InstallContainer};

/// Creates a build context with incompressible content, whose archive has about `bytes` bytes.
pub(crate) fn context(bytes: usize) -> ContextArchive {
    let dir = tempfile::tempdir().unwrap();
    let text = "FROM scratch\nENTRYPOINT [\"/install\"]\nLABEL RUN=\"podman run IMAGE\"\n";
    fs::write(dir.path().join("Containerfile"), text).unwrap();
    let hashes = RandomState::new();
    let noise: Vec<u8> = (0..bytes as u64 / 8)
        .flat_map(|n| {
            let mut hasher = hashes.build_hasher();
            hasher.write_u64(n);
            hasher.finish().to_ne_bytes()
        })
        .collect();
    fs::write(dir.path().join("noise"), noise).unwrap();
    InstallContainer::directory(dir.path()).load().unwrap().context().unwrap().archive().clone()
}
