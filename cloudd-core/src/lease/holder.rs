//! The process that holds a lease, and whether it is still alive.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::digest::hex;
use crate::provider::BuildId;

/// The nonces of the leases that this process holds. The lease of a task that was aborted is not
/// among them, since its holder does not run any more.
static HELD_BY_THIS_PROCESS: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The holder of one lease: a label value `MACHINE.PROCESS.START.NONCE` that no other holder has.
///
/// A process is identified by its process id and its start time, its machine by the kernel's boot id
/// and the namespace of process ids. A process on the same machine therefore detects at once that a
/// holder has died, without waiting for its lease to expire.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct HolderId {
    label: String,
    nonce: String,
}

/// Whether the holder of a lease is alive, as far as this process can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Liveness {
    /// The process exists. It may be stopped or stuck.
    Alive,
    /// The process has ended.
    Dead,
    /// The process is, or was, on another machine.
    Unknown,
}

impl HolderId {
    /// This process as the holder of one lease, until the value is dropped.
    pub(crate) fn new() -> Self {
        let nonce = BuildId::random().to_string();
        let process = std::process::id();
        let start = start_time(process).unwrap_or(0);
        held().insert(nonce.clone());
        Self { label: format!("{}.{process}.{start}.{nonce}", machine()), nonce }
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }
}

impl Drop for HolderId {
    fn drop(&mut self) {
        held().remove(&self.nonce);
    }
}

/// Whether the holder with this label is alive.
pub(crate) fn holder_liveness(label: &str) -> Liveness {
    let parts: Vec<_> = label.split('.').collect();
    let [of_machine, process, start, nonce] = parts[..] else { return Liveness::Unknown };
    let (Ok(process), Ok(start)) = (process.parse::<u32>(), start.parse::<u64>()) else {
        return Liveness::Unknown;
    };
    if of_machine == UNKNOWN_MACHINE || of_machine != machine() {
        return Liveness::Unknown;
    }
    if process == std::process::id() && start_time(process).unwrap_or(0) == start {
        return if held().contains(nonce) { Liveness::Alive } else { Liveness::Dead };
    }
    match start_time(process) {
        Some(started) if started == start => Liveness::Alive,
        Some(_) => Liveness::Dead,
        // Processes of other users can be hidden (proc(5), hidepid); process 1 always exists.
        None if start_time(1).is_some() => Liveness::Dead,
        None => Liveness::Unknown,
    }
}

fn held() -> MutexGuard<'static, BTreeSet<String>> {
    HELD_BY_THIS_PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine of a process that cannot determine where it runs.
const UNKNOWN_MACHINE: &str = "0";

/// Identifies the machine: the same text for all processes that can see each other.
fn machine() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let namespace = fs::read_link("/proc/self/ns/pid");
    let (Ok(boot), Ok(namespace)) = (boot, namespace) else { return UNKNOWN_MACHINE.to_owned() };
    let digest = Sha256::digest(format!("{} {}", boot.trim(), namespace.display()));
    hex(&digest[..8])
}

/// When a process was started, in clock ticks since the boot: field 22 of `/proc/PID/stat`
/// (proc(5)). `None` if there is no such process, or no `/proc`. A zombie (ended, not waited for)
/// counts as ended.
fn start_time(process: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the program's name, which can hold anything; it ends at the last bracket.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let has_ended = matches!(fields.next()?, "Z" | "X");
    fields.nth(18).filter(|_| !has_ended)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::validate_value;

    #[test]
    fn a_holder_is_a_label_value_and_alive_until_it_is_dropped() {
        let holder = HolderId::new();
        let label = holder.label().to_owned();
        assert!(validate_value(&label), "{label}");
        assert_ne!(HolderId::new().label(), label);
        assert_eq!(holder_liveness(&label), Liveness::Alive);
        drop(holder);
        assert_eq!(holder_liveness(&label), Liveness::Dead);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_of_this_machine_that_has_ended_is_dead_and_one_elsewhere_unknown() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_time(child.id()).unwrap();
        let label = format!("{}.{}.{start}.nonce", machine(), child.id());
        assert_eq!(holder_liveness(&label), Liveness::Alive);
        // Another process that got the same number.
        assert_eq!(
            holder_liveness(&format!("{}.{}.{}.nonce", machine(), child.id(), start + 1)),
            Liveness::Dead
        );
        child.kill().unwrap();
        // In a container without an init process zombies are never reaped.
        while holder_liveness(&label) == Liveness::Alive {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(holder_liveness(&label), Liveness::Dead);
        assert_eq!(
            holder_liveness(&format!("feedfeedfeedfeed.1.{start}.nonce")),
            Liveness::Unknown
        );
        assert_eq!(holder_liveness("edited by hand"), Liveness::Unknown);
    }
}
