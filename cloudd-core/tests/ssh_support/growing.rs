use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// A file that grows like the agent's events.
pub(crate) struct Growing(File);

impl Growing {
    pub(crate) fn at(path: &Path) -> Self {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        Self(OpenOptions::new().append(true).create(true).open(path).unwrap())
    }

    pub(crate) fn write(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).unwrap();
    }

    /// Writes numbered lines from 1 on, in a thread, until it is stopped; some lines are incomplete for a
    /// moment. Returns the number of the last line.
    pub(crate) fn keep_writing(mut self, stop: Arc<AtomicBool>) -> JoinHandle<u32> {
        std::thread::spawn(move || {
            let mut last = 0;
            while !stop.load(Ordering::Relaxed) {
                last += 1;
                let line = numbered(last..=last);
                let (first, second) = line.split_at(line.len() / 2);
                if last % 7 == 0 {
                    self.write(first);
                    std::thread::yield_now();
                    self.write(second);
                } else {
                    self.write(line);
                }
                // About as fast as verbose output of podman; there is always a write in progress.
                std::thread::park_timeout(Duration::from_micros(200));
            }
            last
        })
    }
}

/// Returns numbered lines of different lengths.
pub(crate) fn numbered(lines: impl IntoIterator<Item = u32>) -> String {
    lines.into_iter().map(|n| format!("line {n} {}\n", "x".repeat(n as usize % 97))).collect()
}
