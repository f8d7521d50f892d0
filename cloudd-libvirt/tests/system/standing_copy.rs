//! A copy of a volume that libvirt has begun and does not end.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use cloudd_core::provider::Size;

use crate::support::{as_root, pool, uri, virsh};

/// A volume that is being copied by the daemon, for a client that is dead. It stands still until this
/// is dropped.
pub(crate) struct StandingCopy {
    process: String,
}

impl StandingCopy {
    /// Copies volume `source` to the new qcow2 volume `file`.
    pub(crate) fn begin(dir: &Path, source: &str, file: &str, size: Size) -> Self {
        let xml = dir.join("copy.xml");
        let bytes = size.as_bytes();
        let rest = format!("<capacity>{bytes}</capacity><target><format type='qcow2'/></target>");
        std::fs::write(&xml, format!("<volume><name>{file}</name>{rest}</volume>")).unwrap();
        let create = || {
            Command::new("virsh")
                .args(["-q", "-c", &uri(), "vol-create-from", &pool(), xml.to_str().unwrap()])
                .args([source, "--inputpool", &pool()])
                .spawn()
                .unwrap()
        };
        let begun = Instant::now();
        let mut client = create();
        let process = loop {
            if let Some(process) = copying_to(file) {
                break process;
            }
            // It was over before it was seen.
            if client.try_wait().unwrap().is_some() {
                virsh(&["vol-delete", file, "--pool", &pool()]);
                client = create();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "it is never seen");
        };
        as_root("kill", &["-STOP", &process]);
        client.kill().unwrap();
        client.wait().unwrap();
        Self { process }
    }
}

/// The process in which libvirt copies a disk to this file, if there is one now. Looked for without
/// starting a program: it may live for a tenth of a second.
fn copying_to(file: &str) -> Option<String> {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let mut ids = processes.filter_map(|it| it.file_name().into_string().ok());
    ids.find(|id| {
        let command = std::fs::read_to_string(format!("/proc/{id}/cmdline")).unwrap_or_default();
        let mut words = command.split('\0');
        words.next().is_some_and(|program| program.ends_with("qemu-img"))
            && words.next() == Some("convert")
            && words.any(|word| word.ends_with(&format!("/{file}")))
    })
}

impl Drop for StandingCopy {
    fn drop(&mut self) {
        as_root("kill", &["-CONT", &self.process]);
    }
}
