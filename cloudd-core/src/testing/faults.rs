use std::fmt;
use std::future::poll_fn;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;

use crate::guest::GuestChannel;
use crate::provider::{
    BootSpec, BuildId, BuildRequirements, BuildSecret, BuilderSpec, BuilderVm, Capabilities, Cost,
    Error, ErrorKind, Image, ImageId, ImageSpec, Labels, LeaseId, LeaseSpec, Provider, Report,
    Reporter, ResolvedBuilder, Resource, ResourceId, Result, Selector, Size, UserDataTemplate, Vm,
    VmId,
};

/// A fault that is injected at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The call fails and has no effect.
    Fails(ErrorKind),
    /// The call takes effect and its answer is lost.
    AnswerLost(ErrorKind),
    /// The call has no effect and never returns.
    NeverArrives,
    /// The call takes effect and never returns.
    NeverAnswered,
}

/// A provider that fails at call `k`, counted from 0. A test can run a build for every `k`.
///
/// Every call of a method of [`Provider`] that can fail counts, reading and waiting ones included.
/// `create_builder` counts twice: the second time when the volume exists and the VM does not.
#[derive(Clone)]
pub struct Faulty<P> {
    inner: P,
    at: usize,
    fault: Fault,
    calls: Arc<AtomicUsize>,
    observe: Arc<dyn Fn(usize, &'static str) + Send + Sync>,
    alter_spec: Arc<dyn Fn(&mut BuilderSpec) + Send + Sync>,
    alter_device: Arc<dyn Fn(&Path) -> PathBuf + Send + Sync>,
}

impl<P> Faulty<P> {
    /// Wraps `inner`, with `fault` at call `at`.
    #[must_use]
    pub fn new(inner: P, at: usize, fault: Fault) -> Self {
        Self {
            inner,
            at,
            fault,
            calls: Arc::default(),
            observe: Arc::new(|_, _| {}),
            alter_spec: Arc::new(|_| {}),
            alter_device: Arc::new(Path::to_owned),
        }
    }

    /// Wraps `inner` without a fault, to count calls.
    #[must_use]
    pub fn never(inner: P) -> Self {
        Self::new(inner, usize::MAX, Fault::Fails(ErrorKind::Failed))
    }

    /// Calls `observe` with the number and the name of each call before it is made, for example to
    /// cancel a build there.
    #[must_use]
    pub fn observed(
        mut self,
        observe: impl Fn(usize, &'static str) + Send + Sync + 'static,
    ) -> Self {
        self.observe = Arc::new(observe);
        self
    }

    /// Changes the created resources, for example to a volume larger than requested.
    #[must_use]
    pub fn altering_spec(
        mut self,
        alter: impl Fn(&mut BuilderSpec) + Send + Sync + 'static,
    ) -> Self {
        self.alter_spec = Arc::new(alter);
        self
    }

    /// Renders the user data for another device than the volume's.
    #[must_use]
    pub fn altering_device(
        mut self,
        alter: impl Fn(&Path) -> PathBuf + Send + Sync + 'static,
    ) -> Self {
        self.alter_device = Arc::new(alter);
        self
    }

    /// The number of calls so far.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Makes a call, or injects the fault if this is call `at`.
    async fn call<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        (self.observe)(number, name);
        if number != self.at {
            return call.await;
        }
        let error = |kind| Error::new(kind, name).with_message("injected fault");
        match self.fault {
            Fault::Fails(kind) => Err(error(kind)),
            Fault::AnswerLost(kind) => {
                call.await?;
                Err(error(kind))
            }
            Fault::NeverArrives => std::future::pending().await,
            Fault::NeverAnswered => {
                call.await?;
                std::future::pending().await
            }
        }
    }
}

impl<P: Provider> Faulty<P> {
    /// Creates volume and VM as two calls, so that a fault can occur between them: once the volume
    /// exists, the next call is the creation of the VM.
    async fn create_both(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm> {
        let volume_exists = Arc::new(AtomicBool::new(false));
        let (exists, outer) = (Arc::clone(&volume_exists), reporter.clone());
        let watching = Reporter::new(move |report| {
            if matches!(report, Report::Created(ResourceId::Volume(_))) {
                exists.store(true, Ordering::Relaxed);
            }
            outer.report(report);
        });
        let mut create = pin!(self.inner.create_builder(spec, &watching));
        let until_volume = poll_fn(|context| match create.as_mut().poll(context) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if volume_exists.load(Ordering::Relaxed) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        match until_volume.await {
            Some(result) => result,
            None => self.call("create_vm", create).await,
        }
    }
}

impl<P: fmt::Debug> fmt::Debug for Faulty<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Faulty")
            .field("inner", &self.inner)
            .field("at", &self.at)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl<P: fmt::Display> fmt::Display for Faulty<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.inner, f)
    }
}

#[async_trait]
impl<P: Provider> Provider for Faulty<P> {
    fn capabilities(&self) -> &Capabilities {
        self.inner.capabilities()
    }
    async fn resolve(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        self.call("resolve", self.inner.resolve(requirements)).await
    }
    async fn ensure_base_image(
        &self,
        requirements: &BuildRequirements,
        resolved: &ResolvedBuilder,
        reporter: &Reporter,
    ) -> Result<()> {
        let ensure = self.inner.ensure_base_image(requirements, resolved, reporter);
        self.call("ensure_base_image", ensure).await
    }
    async fn estimate_cost(
        &self,
        requirements: &BuildRequirements,
        resolved: &ResolvedBuilder,
        run_time: Duration,
        image: Size,
    ) -> Result<Option<Cost>> {
        let estimate = self.inner.estimate_cost(requirements, resolved, run_time, image);
        self.call("estimate_cost", estimate).await
    }
    fn build_secret(&self, build: &BuildId) -> Option<BuildSecret> {
        self.inner.build_secret(build)
    }
    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        self.call("create_lease", self.inner.create_lease(spec)).await
    }
    async fn create_builder(&self, spec: &BuilderSpec, reporter: &Reporter) -> Result<BuilderVm> {
        let mut spec = spec.clone();
        (self.alter_spec)(&mut spec);
        let (user_data, alter) = (spec.user_data.clone(), Arc::clone(&self.alter_device));
        spec.user_data = UserDataTemplate::new(move |device| user_data.render(&alter(device)));
        let whole = self.call("create_builder", self.create_both(&spec, reporter));
        whole.await
    }
    async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()> {
        self.call("start_vm", self.inner.start_vm(vm, reporter)).await
    }
    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        self.call("vm", self.inner.vm(vm)).await
    }
    async fn wait_vm_off(&self, vm: &VmId) -> Result<()> {
        self.call("wait_vm_off", self.inner.wait_vm_off(vm)).await
    }
    async fn open_channel(&self, vm: &VmId) -> Result<Option<Box<dyn GuestChannel>>> {
        self.call("open_channel", self.inner.open_channel(vm)).await
    }
    async fn create_image(
        &self,
        vm: &VmId,
        spec: &ImageSpec,
        reporter: &Reporter,
    ) -> Result<Image> {
        self.call("create_image", self.inner.create_image(vm, spec, reporter)).await
    }
    async fn image(&self, image: &ImageId) -> Result<Option<Image>> {
        self.call("image", self.inner.image(image)).await
    }
    async fn images(&self, selector: &Selector) -> Result<Vec<Image>> {
        self.call("images", self.inner.images(selector)).await
    }
    async fn wait_image(&self, image: &ImageId, reporter: &Reporter) -> Result<Image> {
        self.call("wait_image", self.inner.wait_image(image, reporter)).await
    }
    async fn create_vm_from_image(&self, spec: &BootSpec, reporter: &Reporter) -> Result<Vm> {
        self.call("create_vm_from_image", self.inner.create_vm_from_image(spec, reporter)).await
    }
    async fn console(&self, vm: &VmId) -> Result<Vec<u8>> {
        self.call("console", self.inner.console(vm)).await
    }
    async fn set_labels(&self, resource: &ResourceId, labels: &Labels) -> Result<()> {
        self.call("set_labels", self.inner.set_labels(resource, labels)).await
    }
    async fn find(&self, selector: &Selector) -> Result<Vec<Resource>> {
        self.call("find", self.inner.find(selector)).await
    }
    async fn delete(&self, resource: &ResourceId) -> Result<()> {
        self.call("delete", self.inner.delete(resource)).await
    }
}
