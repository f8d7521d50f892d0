//! Install containers that tests build images from.

use std::fs;
use std::path::{Path, PathBuf};

use cloudd_core::install::InstallContainer;
use tempfile::TempDir;

/// A build context in a directory that is deleted with it.
#[derive(Debug)]
pub struct Context {
    directory: TempDir,
}

impl Context {
    /// A context with nothing but this Containerfile.
    ///
    /// # Panics
    /// When the file system refuses.
    #[must_use]
    pub fn new(containerfile: &str) -> Self {
        let context = Self { directory: TempDir::new().expect("a temporary directory") };
        context.file("Containerfile", containerfile)
    }

    /// A context that passes every check made before a builder exists.
    #[must_use]
    pub fn plausible() -> Self {
        Self::new("FROM scratch\nENTRYPOINT [\"/install\"]\nLABEL RUN=\"podman run IMAGE\"\n")
    }

    /// Adds a file.
    ///
    /// # Panics
    /// When the file system refuses.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        fs::write(self.path().join(name), content).expect("a writable temporary directory");
        self
    }

    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The install container.
    #[must_use]
    pub fn container(&self) -> InstallContainer {
        InstallContainer::directory(self.path())
    }
}

/// Copies the example container `hello` below `directory`, with an empty file in place of busybox: that
/// is enough for a simulator whose servers are not VMs. Returns the path of the copy.
///
/// # Panics
/// When the file system refuses.
#[must_use]
pub fn hello(directory: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/containers/hello");
    let copy = directory.join("examples/containers/hello");
    fs::create_dir_all(&copy).expect("a writable directory");
    for file in ["Containerfile", "install"] {
        fs::copy(source.join(file), copy.join(file)).expect(file);
    }
    fs::write(copy.join("busybox"), "").expect("a writable directory");
    copy
}

/// Bytes that do not compress: xorshift64, the same each time.
#[must_use]
pub fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}
