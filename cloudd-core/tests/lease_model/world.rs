//! The cloud of an execution, the calls that wait, and what each holder has done and learned.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cloudd_core::memory::Memory;
use cloudd_core::provider::{
    ErrorKind, ImageId, Labels, PowerState, Provider as _, Resource, ResourceId, Result, Selector,
    UserDataLimits, Vm, VmId, keys,
};
use futures_util::FutureExt as _;
use tokio::sync::oneshot;

/// What a call of the provider does with the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Access {
    /// It neither reads nor changes what another process changes: it commutes with every other call.
    Nothing,
    Reads,
    Changes,
    /// It completes when this VM does not run.
    WaitsFor(VmId),
}

/// A call that waits at the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) holder: usize,
    /// Its name and its arguments, with canonical names.
    pub(crate) text: String,
    pub(crate) access: Access,
}

/// What happens to a call that is let go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    /// It takes effect and is answered.
    Answer,
    /// It takes effect, and the caller gets this error.
    LoseAnswer(ErrorKind),
    /// It takes effect, and is never answered.
    NoAnswer,
}

/// The cloud, the calls that wait, and what each holder knows.
pub(crate) struct World {
    pub(crate) memory: Memory,
    inner: Mutex<Inner>,
}

#[derive(Default)]
pub(crate) struct Inner {
    pub(crate) waiting: Vec<(Call, oneshot::Sender<Decision>)>,
    names: HashMap<String, String>,
    given: BTreeMap<(char, usize), usize>,
    histories: BTreeMap<usize, History>,
    pub(crate) changes: u64,
    epoch: u64,
    trace: Vec<String>,
}

/// What a holder has done and learned. Its local state is a function of this.
#[derive(Default)]
struct History {
    hash: u64,
    /// The hash if holders 0 and 1 had each other's number.
    mirrored: u64,
    last: Option<String>,
    /// How often the cloud had been changed after the last call.
    changes: u64,
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        // Without a channel, the power-off of the VM is the only event of the guest, and the scheduler
        // owns it.
        let memory = Memory::new()
            .guests(cloudd_core::memory::GuestScript::Silent)
            .with_capabilities(|capabilities| {
                capabilities.channel = false;
                // So that no time is spent on their compression.
                capabilities.user_data = UserDataLimits::new(1024 * 1024, false);
            });
        Arc::new(Self { memory, inner: Mutex::default() })
    }

    /// The calls that wait, in an order that does not depend on their arrival.
    pub(crate) fn waiting(&self) -> Vec<Call> {
        let mut inner = self.inner();
        inner.waiting.retain(|(_, decision)| !decision.is_closed());
        let mut calls: Vec<_> = inner.waiting.iter().map(|(call, _)| call.clone()).collect();
        calls.sort_by(|a, b| (a.holder, &a.text).cmp(&(b.holder, &b.text)));
        calls
    }

    /// Lets a waiting call go.
    pub(crate) fn release(&self, call: &Call, decision: Decision) {
        let mut inner = self.inner();
        let at = inner
            .waiting
            .iter()
            .position(|(waiting, sender)| waiting == call && !sender.is_closed())
            .unwrap_or_else(|| panic!("not deterministic: {call:?} does not wait"));
        let (_, sender) = inner.waiting.remove(at);
        sender.send(decision).unwrap();
    }

    /// Whether the call would do anything: a wait is over, or a list may have changed since the same
    /// holder has read it in its last call.
    pub(crate) fn is_enabled(&self, call: &Call) -> bool {
        match &call.access {
            Access::Nothing | Access::Changes => true,
            Access::WaitsFor(vm) => self.vm(vm).is_none_or(|vm| vm.state != PowerState::Running),
            Access::Reads => {
                let inner = self.inner();
                let prefix = format!("@{} {} ->", inner.epoch, call.text);
                inner.histories.get(&call.holder).is_none_or(|history| {
                    history.changes != inner.changes
                        || !history.last.as_ref().is_some_and(|last| last.starts_with(&prefix))
                })
            }
        }
    }

    /// The VMs that run.
    pub(crate) fn running(&self) -> Vec<VmId> {
        self.vms()
            .into_iter()
            .filter(|vm| vm.state == PowerState::Running)
            .map(|vm| vm.id)
            .collect()
    }

    pub(crate) fn vms(&self) -> Vec<Vm> {
        let ids = self.memory.resources().into_iter();
        ids.filter_map(|id| if let ResourceId::Vm(id) = id { self.vm(&id) } else { None }).collect()
    }

    /// The guest completes its work and powers off.
    pub(crate) fn power_off(&self, vm: &VmId) {
        self.memory.tamper(vm, |vm| vm.state = PowerState::Off);
        let mut inner = self.inner();
        inner.changes += 1;
        inner.trace.push("guest: powers off".to_owned());
    }

    /// More time than the duration of the lease has passed.
    pub(crate) fn next_epoch(&self) {
        let mut inner = self.inner();
        inner.epoch += 1;
        inner.trace.push("time: more than the duration of the lease passes".to_owned());
    }

    pub(crate) fn note(&self, text: String) {
        self.inner().trace.push(text);
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.inner().trace.clone()
    }

    /// The state of the cloud, with canonical names.
    pub(crate) fn describe_cloud(&self) -> Vec<String> {
        let found = ready(self.memory.find(&Selector::all()));
        let vms = self.vms();
        let inner = self.inner();
        found
            .iter()
            .map(|resource| {
                let vm = vms.iter().find(|vm| ResourceId::from(vm.id.clone()) == resource.id);
                let power = vm.map(|vm| format!(" {:?} {:?}", vm.state, vm.started));
                format!("{}{}", inner.resource(resource), power.unwrap_or_default())
            })
            .collect()
    }

    /// What the local state of a holder depends on.
    pub(crate) fn history(&self, holder: usize, mirrored: bool) -> u64 {
        let inner = self.inner();
        let hash = |history: &History| if mirrored { history.mirrored } else { history.hash };
        inner.histories.get(&holder).map_or(0, hash)
    }

    /// The canonical name of an image.
    pub(crate) fn image_name(&self, id: &ImageId) -> String {
        self.inner().id(&id.clone().into())
    }

    pub(crate) fn describe_write(&self, resource: &ResourceId, labels: &Labels) -> String {
        let inner = self.inner();
        format!("label {}{}", inner.id(resource), inner.labels(labels))
    }

    fn vm(&self, id: &VmId) -> Option<Vm> {
        ready(self.memory.vm(id))
    }

    pub(crate) fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The same text with the names that holders 0 and 1 have given exchanged.
pub(crate) fn mirror(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for at in 0..bytes.len().saturating_sub(2) {
        if let [b'b' | b'h', digit @ (b'0' | b'1'), b'.'] = &mut bytes[at..at + 3] {
            *digit ^= 1;
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// The answer of the in-memory provider, which never waits.
pub(crate) fn ready<T>(answer: impl Future<Output = Result<T>>) -> T {
    answer.now_or_never().unwrap().unwrap()
}

impl Inner {
    /// Names what has appeared by the last call, a change by `holder`: ids and nonces are random, or
    /// depend on the order of unrelated calls.
    pub(crate) fn learn(&mut self, holder: usize, found: &[Resource]) {
        for resource in found {
            let id = resource.id.to_string();
            if self.names.contains_key(&id) {
                continue;
            }
            let mut name = resource.id.kind().to_string();
            for (key, kind) in [(keys::BUILD, 'b'), (keys::HOLDER, 'h')] {
                let Some(label) = resource.labels.get(key) else { continue };
                if !self.names.contains_key(label) {
                    let count = self.given.entry((kind, holder)).or_default();
                    *count += 1;
                    let fresh = format!("{kind}{holder}.{count}");
                    self.names.insert(label.to_owned(), fresh);
                }
                name = format!("{name} {}", self.names[label]);
            }
            self.names.insert(id, name);
        }
    }

    fn name<'a>(&'a self, raw: &'a str) -> &'a str {
        self.names.get(raw).map_or("new", String::as_str)
    }

    pub(crate) fn id(&self, id: &ResourceId) -> String {
        self.name(&id.to_string()).to_owned()
    }

    pub(crate) fn labels(&self, labels: &Labels) -> String {
        let mut text = String::new();
        for (key, value) in labels {
            let value = match key.as_str() {
                keys::BUILD | keys::HOLDER => self.name(value),
                keys::LEASE | keys::FENCING_TOKEN | keys::PHASE => value,
                // The same for all, or the time of day.
                _ => continue,
            };
            let key = key.strip_prefix(keys::PREFIX).unwrap_or(key);
            text.push_str(&format!(" {key}={value}"));
        }
        text
    }

    pub(crate) fn resource(&self, resource: &Resource) -> String {
        format!("{}{}", self.id(&resource.id), self.labels(&resource.labels))
    }

    pub(crate) fn selector(&self, selector: &Selector) -> String {
        let labels = selector.labels.iter().cloned().collect();
        let kind = selector.kind.map(|kind| kind.to_string()).unwrap_or_default();
        format!("{kind}{}", self.labels(&labels))
    }

    /// Adds a call with its answer to the history of its holder. A list that was read again unchanged
    /// changes nothing in the holder but how long it has waited.
    pub(crate) fn record(&mut self, call: &Call, answer: &str) {
        let line = format!("@{} {} -> {answer}", self.epoch, call.text);
        self.trace.push(format!("holder {}: {} -> {answer}", call.holder, call.text));
        let changes = self.changes;
        let history = self.histories.entry(call.holder).or_default();
        history.changes = changes;
        if call.access == Access::Reads && history.last.as_ref() == Some(&line) {
            return;
        }
        history.hash = super::hash64(&(history.hash, &line));
        history.mirrored = super::hash64(&(history.mirrored, &mirror(&line)));
        history.last = Some(line);
    }
}
