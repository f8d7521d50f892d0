//! A provider whose calls wait until the scheduler lets them go, and record what they did.

use std::fmt;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use async_trait::async_trait;
use cloudd_core::guest::GuestChannel;
use cloudd_core::provider::{
    BuildId, BuildRequirements, BuildSecret, BuilderSpec, BuilderVm, Capabilities, Error, Image,
    ImageId, ImageSpec, Labels, LeaseId, LeaseSpec, Provider, Reporter, ResolvedBuilder, Resource,
    ResourceId, Result, Selector, UserDataTemplate, Vm, VmId, keys,
};
use tokio::sync::oneshot;

use super::world::{Access, Call, Decision, Inner, World, ready};

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
