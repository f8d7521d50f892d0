//! Which process holds a claim, and whether it still lives.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};

use crate::provider::BuildId;

/// The nonces of the claims that this process holds. A claim whose future was dropped is not among
/// them: nobody goes on with its build.
static HELD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// The holder of one claim, a label value that no other holder ever has:
/// `MACHINE.PROCESS.START.NONCE`.
///
/// A process is known by its id and its start time, its machine by the kernel's boot id and the
/// namespace in which process ids count. So a process on the same machine knows at once whether
/// another one is dead, and need not wait for a lease to run out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Owner {
    label: String,
    nonce: String,
}

/// What is known of the life of a claim's owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// It is there, which does not say that it does anything.
    Alive,
    Dead,
    /// It is, or was, on another machine.
    Unknown,
}

impl Owner {
    /// This process, for one claim, until dropped.
    pub(super) fn new() -> Self {
        let nonce = BuildId::random().to_string();
        let process = std::process::id();
        let start = start_time(process).unwrap_or(0);
        held().insert(nonce.clone());
        Self { label: format!("{}.{process}.{start}.{nonce}", machine()), nonce }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        held().remove(&self.nonce);
    }
}

/// What can be told of an owner by its label alone.
pub(crate) fn life(label: &str) -> Life {
    let parts: Vec<_> = label.split('.').collect();
    let [of_machine, process, start, nonce] = parts[..] else { return Life::Unknown };
    let (Ok(process), Ok(start)) = (process.parse::<u32>(), start.parse::<u64>()) else {
        return Life::Unknown;
    };
    if of_machine == NOWHERE || of_machine != machine() {
        return Life::Unknown;
    }
    if process == std::process::id() && start_time(process).unwrap_or(0) == start {
        return if held().contains(nonce) { Life::Alive } else { Life::Dead };
    }
    match start_time(process) {
        Some(started) if started == start => Life::Alive,
        Some(_) => Life::Dead,
        // Processes of others can be hidden (proc(5), hidepid); the first one is always there.
        None if start_time(1).is_some() => Life::Dead,
        None => Life::Unknown,
    }
}

fn held() -> MutexGuard<'static, BTreeSet<String>> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The machine of a process that cannot tell where it is.
const NOWHERE: &str = "0";

/// Where this process is: the same text for all processes that can see each other.
fn machine() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let namespace = fs::read_link("/proc/self/ns/pid");
    let (Ok(boot), Ok(namespace)) = (boot, namespace) else { return NOWHERE.to_owned() };
    let digest = Sha256::digest(format!("{} {}", boot.trim(), namespace.display()));
    digest[..8].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// When a process was started, in clock ticks since the boot: field 22 of `/proc/PID/stat`
/// (proc(5)). `None` where there is no such process, or no such file system. One that has ended and
/// that nobody has waited for does nothing any more, for as long as its parent likes.
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
    fn an_owner_is_a_label_and_alive_until_it_is_dropped() {
        let owner = Owner::new();
        let label = owner.label().to_owned();
        assert!(validate_value(&label), "{label}");
        assert_ne!(Owner::new().label(), label);
        assert_eq!(life(&label), Life::Alive);
        drop(owner);
        assert_eq!(life(&label), Life::Dead);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_process_of_this_machine_that_has_ended_is_dead_and_one_elsewhere_unknown() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_time(child.id()).unwrap();
        let label = format!("{}.{}.{start}.nonce", machine(), child.id());
        assert_eq!(life(&label), Life::Alive);
        // Another process that got the same number.
        assert_eq!(life(&format!("{}.{}.{}.nonce", machine(), child.id(), start + 1)), Life::Dead);
        child.kill().unwrap();
        // In a container nobody may ever wait for it.
        while life(&label) == Life::Alive {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert_eq!(life(&label), Life::Dead);
        assert_eq!(life(&format!("feedfeedfeedfeed.1.{start}.nonce")), Life::Unknown);
        assert_eq!(life("edited by hand"), Life::Unknown);
    }
}
