//! What a builder VM printed, kept where it can be read after the VM is gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Copies the logs of a VM to `target/boot-logs` again and again while it lives, since teardown
/// deletes them with the VM.
#[derive(Debug)]
pub struct BootLog {
    stop: Arc<AtomicBool>,
    copies: Vec<PathBuf>,
    copier: Option<JoinHandle<()>>,
}

impl BootLog {
    /// Follows these log files.
    ///
    /// # Panics
    /// When the folder for the copies cannot be made.
    #[must_use]
    pub fn follow(logs: Vec<PathBuf>) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/boot-logs");
        fs::create_dir_all(&folder).expect("a writable target directory");
        // With its folder's name: each simulator numbers its servers from the same number on.
        let copy = |log: &PathBuf| {
            let of = log.parent().and_then(Path::file_name).unwrap_or_default();
            let file = log.file_name().unwrap_or_default();
            folder.join(format!("{}.{}", of.display(), file.display()))
        };
        let copies: Vec<_> = logs.iter().map(copy).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let copier = {
            let (stop, copies) = (stop.clone(), copies.clone());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    for (log, copy) in logs.iter().zip(&copies) {
                        let _ = fs::copy(log, copy); // it may not be there yet, or any more
                    }
                    std::thread::sleep(Duration::from_millis(500));
                }
            })
        };
        Self { stop, copies, copier: Some(copier) }
    }

    /// Ends the following. Keeps the copies of a build that failed and says where they are.
    pub fn finish(mut self, failed: bool) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.copier.take().map(JoinHandle::join);
        for copy in &self.copies {
            if failed {
                println!("kept: {}", copy.display());
            } else {
                let _ = fs::remove_file(copy);
            }
        }
    }
}
