//! A provider whose calls wait until the scheduler lets them go, and a record of what they did.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use async_trait::async_trait;
use cloudd_core::guest::GuestChannel;
use cloudd_core::memory::Memory;
use cloudd_core::provider::{
    BuildId, BuildRequirements, BuildSecret, BuilderSpec, BuilderVm, Capabilities, Error,
    ErrorKind, Image, ImageId, ImageSpec, Labels, LeaseId, LeaseSpec, PowerState, Provider,
    Reporter, ResolvedBuilder, Resource, ResourceId, Result, Selector, UserDataLimits,
    UserDataTemplate, Vm, VmId, keys,
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
struct Inner {
    waiting: Vec<(Call, oneshot::Sender<Decision>)>,
    names: HashMap<String, String>,
    given: BTreeMap<(char, usize), usize>,
    histories: BTreeMap<usize, History>,
    changes: u64,
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

    fn describe_write(&self, resource: &ResourceId, labels: &Labels) -> String {
        let inner = self.inner();
        format!("label {}{}", inner.id(resource), inner.labels(labels))
    }

    fn vm(&self, id: &VmId) -> Option<Vm> {
        ready(self.memory.vm(id))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
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
fn ready<T>(answer: impl Future<Output = Result<T>>) -> T {
    answer.now_or_never().unwrap().unwrap()
}

impl Inner {
    /// Names what has appeared by the last call, a change by `holder`: ids and nonces are random, or
    /// depend on the order of unrelated calls.
    fn learn(&mut self, holder: usize, found: &[Resource]) {
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

    fn id(&self, id: &ResourceId) -> String {
        self.name(&id.to_string()).to_owned()
    }

    fn labels(&self, labels: &Labels) -> String {
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

    fn resource(&self, resource: &Resource) -> String {
        format!("{}{}", self.id(&resource.id), self.labels(&resource.labels))
    }

    fn selector(&self, selector: &Selector) -> String {
        let labels = selector.labels.iter().cloned().collect();
        let kind = selector.kind.map(|kind| kind.to_string()).unwrap_or_default();
        format!("{kind}{}", self.labels(&labels))
    }

    /// Adds a call with its answer to the history of its holder. A list that was read again unchanged
    /// changes nothing in the holder but how long it has waited.
    fn record(&mut self, call: &Call, answer: &str) {
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

/// The provider of one holder.
#[derive(Clone)]
pub(crate) struct Gated {
    world: Arc<World>,
    holder: usize,
    /// Whether the holders run on other machines than this one, so that it does not know whether their
    /// processes live.
    remote: bool,
}

impl Gated {
    pub(crate) fn new(world: &Arc<World>, holder: usize, remote: bool) -> Self {
        Self { world: Arc::clone(world), holder, remote }
    }

    /// Waits at the gate, takes effect, and answers as the scheduler decides.
    async fn call<T>(
        &self,
        access: Access,
        text: String,
        effect: impl Future<Output = Result<T>>,
        answer: impl FnOnce(&Inner, &T) -> String,
    ) -> Result<T> {
        let call = Call { holder: self.holder, text, access };
        let (sender, decision) = oneshot::channel();
        self.world.inner().waiting.push((call.clone(), sender));
        let Ok(decision) = decision.await else { return pending().await };
        let result = effect.await;
        let result = self.record(&call, decision, result, answer);
        if decision == Decision::NoAnswer {
            return pending().await;
        }
        result
    }

    /// Records what the call has done, and gives the caller its answer.
    fn record<T>(
        &self,
        call: &Call,
        decision: Decision,
        result: Result<T>,
        answer: impl FnOnce(&Inner, &T) -> String,
    ) -> Result<T> {
        let found = ready(self.world.memory.find(&Selector::all()));
        let mut inner = self.world.inner();
        if call.access == Access::Changes {
            inner.changes += 1;
            inner.learn(self.holder, &found);
        }
        let result = match decision {
            Decision::LoseAnswer(kind) => {
                Err(Error::new(kind, "call").with_message("the answer was lost"))
            }
            Decision::Answer | Decision::NoAnswer => result,
        };
        let text = match &result {
            Ok(result) => answer(&inner, result),
            Err(error) => format!("{:?}", error.kind()),
        };
        inner.record(call, &text);
        result
    }

    /// The holder label as the cloud has it.
    fn to_cloud(&self, label: &str) -> String {
        if self.remote { format!("{ELSEWHERE}{label}") } else { label.to_owned() }
    }

    /// The holder label as this holder reads it.
    fn label_of_cloud(&self, label: &str) -> String {
        let label = label.strip_prefix(ELSEWHERE).unwrap_or(label);
        self.to_cloud(label)
    }
}

/// Makes a holder label that of a process on another machine.
const ELSEWHERE: &str = "elsewhere.";

impl fmt::Debug for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gated({})", self.holder)
    }
}

impl fmt::Display for Gated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "holder {}", self.holder)
    }
}

fn done<T>(_: &Inner, _: &T) -> String {
    "ok".to_owned()
}

fn listed(inner: &Inner, found: &[Resource]) -> String {
    let mut lines: Vec<_> = found.iter().map(|resource| inner.resource(resource)).collect();
    lines.sort_unstable();
    format!("[{}]", lines.join("; "))
}

#[async_trait]
impl Provider for Gated {
    fn capabilities(&self) -> &Capabilities {
        self.world.memory.capabilities()
    }

    async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        let effect = self.world.memory.resolve(requirements);
        self.call(Access::Nothing, "resolve".to_owned(), effect, done).await
    }

    async fn ensure_base_image(
        &self,
        requirements: &BuildRequirements,
        resolved: &ResolvedBuilder,
        reporter: &Reporter,
    ) -> Result<()> {
        let effect = self.world.memory.ensure_base_image(requirements, resolved, reporter);
        self.call(Access::Nothing, "ensure base image".to_owned(), effect, done).await
    }

    fn build_secret(&self, build: &BuildId) -> Option<BuildSecret> {
        self.world.memory.build_secret(build)
    }

    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        let mut spec = spec.clone();
        let holder = self.to_cloud(spec.labels.get(keys::HOLDER).unwrap_or_default());
        spec.labels = spec.labels.merged(&Labels::from_iter([(keys::HOLDER, holder)]));
        let text = format!("create lease{}", self.world.inner().labels(&spec.labels));
        let effect = self.world.memory.create_lease(&spec);
        self.call(Access::Changes, text, effect, |inner, id| inner.id(&id.clone().into())).await
    }

    async fn create_builder(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm> {
        let labels = self.world.inner().labels(&spec.labels);
        // The guest does not read them, and to render them takes long.
        let mut spec = spec.clone();
        spec.user_data = UserDataTemplate::fixed("");
        let mut create = pin!(self.world.memory.create_builder(&spec, reporter));
        // The in-memory provider yields once between the volume and the VM.
        let volume = poll_fn(|context| match create.as_mut().poll(context) {
            Poll::Pending => Poll::Ready(Ok(())),
            Poll::Ready(result) => Poll::Ready(result.map(drop)),
        });
        self.call(Access::Changes, format!("create volume{labels}"), volume, done).await?;
        self.call(Access::Changes, format!("create VM{labels}"), create, |inner, builder| {
            inner.id(&builder.vm.id.clone().into())
        })
        .await
    }

    async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()> {
        let text = format!("start {}", self.world.inner().id(&vm.clone().into()));
        let effect = self.world.memory.start_vm(vm, reporter);
        self.call(Access::Changes, text, effect, done).await
    }

    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        let text = format!("get {}", self.world.inner().id(&vm.clone().into()));
        self.call(Access::Reads, text, self.world.memory.vm(vm), |_, vm| match vm {
            Some(vm) => format!("{:?} {:?}", vm.state, vm.started),
            None => "none".to_owned(),
        })
        .await
    }

    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        let text = format!("wait for power-off of {}", self.world.inner().id(&vm.clone().into()));
        let effect = self.world.memory.wait_vm_off(vm);
        self.call(Access::WaitsFor(vm.clone()), text, effect, done).await
    }

    async fn open_channel(&self, vm: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
        let effect = self.world.memory.open_channel(vm);
        self.call(Access::Nothing, "open channel".to_owned(), effect, done).await
    }

    async fn create_image(
        &self,
        vm: &VmId,
        spec: &ImageSpec,
        reporter: &Reporter,
    ) -> Result<Image> {
        let text = format!("make image of {}", self.world.inner().id(&vm.clone().into()));
        let effect = self.world.memory.create_image(vm, spec, reporter);
        self.call(Access::Changes, text, effect, |inner, image| inner.id(&image.id.clone().into()))
            .await
    }

    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        let text = format!("get {}", self.world.inner().id(&image.clone().into()));
        let effect = self.world.memory.image(image);
        self.call(Access::Reads, text, effect, |_, image| {
            image.as_ref().map_or("none".to_owned(), |image| format!("{:?}", image.status))
        })
        .await
    }

    async fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
        let text = format!("list images{}", self.world.inner().selector(selector));
        let effect = self.world.memory.images(selector);
        self.call(Access::Reads, text, effect, |inner, images| {
            let mut names: Vec<_> =
                images.iter().map(|image| inner.id(&image.id.clone().into())).collect();
            names.sort_unstable();
            format!("{names:?}")
        })
        .await
    }

    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        let text = self.world.describe_write(resource, labels);
        let effect = self.world.memory.set_labels(resource, labels);
        self.call(Access::Changes, text, effect, done).await
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
        let mut selector = selector.clone();
        for (key, value) in &mut selector.labels {
            if key == keys::HOLDER {
                *value = self.to_cloud(value);
            }
        }
        let text = format!("list {}", self.world.inner().selector(&selector));
        let effect = self.world.memory.find(&selector);
        let mut found =
            self.call(Access::Reads, text, effect, |inner, found| listed(inner, found)).await?;
        for resource in &mut found {
            if let Some(label) = resource.labels.get(keys::HOLDER) {
                let label = Labels::from_iter([(keys::HOLDER, self.label_of_cloud(label))]);
                resource.labels = std::mem::take(&mut resource.labels).merged(&label);
            }
        }
        Ok(found)
    }

    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        let text = format!("delete {}", self.world.inner().id(resource));
        self.call(Access::Changes, text, self.world.memory.delete(resource), done).await
    }
}
