use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use crate::guest::GuestChannel;
use crate::provider::{
    BootSpec, BuildId, BuildRequirements, BuildSecret, Capabilities, Cost, Error, ErrorKind, Image,
    ImageId, ImageSpec, Labels, LeaseId, LeaseSpec, Provider, Reporter, ResolvedBuilder, Resource,
    ResourceId, Result, Selector, Size, Vm, VmId, VmSpec, Volume, VolumeSpec,
};

/// What goes wrong at one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// The call fails and has no effect.
    Fails(ErrorKind),
    /// The call has its effect and its answer is lost.
    AnswerLost(ErrorKind),
    /// The call has no effect and never ends.
    NeverArrives,
    /// The call has its effect and never ends.
    NeverAnswered,
}

/// A provider that fails at call `k`, counted from 0, so that a test can walk every `k`.
///
/// Calls that only ask or wait count too: every method of [`Provider`] that can fail does.
pub struct Faulty<P> {
    inner: P,
    at: usize,
    fault: Fault,
    calls: AtomicUsize,
    observe: Box<dyn Fn(usize, &'static str) + Send + Sync>,
    alter_spec: Box<dyn Fn(&mut VolumeSpec) + Send + Sync>,
    alter_volume: Box<dyn Fn(&mut Volume) + Send + Sync>,
}

impl<P> Faulty<P> {
    /// `inner`, with `fault` at call `at`.
    #[must_use]
    pub fn new(inner: P, at: usize, fault: Fault) -> Self {
        Self {
            inner,
            at,
            fault,
            calls: AtomicUsize::new(0),
            observe: Box::new(|_, _| {}),
            alter_spec: Box::new(|_| {}),
            alter_volume: Box::new(|_| {}),
        }
    }

    /// `inner` without any fault, to count calls.
    #[must_use]
    pub fn never(inner: P) -> Self {
        Self::new(inner, usize::MAX, Fault::Fails(ErrorKind::Failed))
    }

    /// Calls `observe` with number and name before each call: to cancel a build there, say.
    #[must_use]
    pub fn observed(
        mut self,
        observe: impl Fn(usize, &'static str) + Send + Sync + 'static,
    ) -> Self {
        self.observe = Box::new(observe);
        self
    }

    /// Creates other volumes than it was asked for, such as larger ones.
    #[must_use]
    pub fn altering_spec(
        mut self,
        alter: impl Fn(&mut VolumeSpec) + Send + Sync + 'static,
    ) -> Self {
        self.alter_spec = Box::new(alter);
        self
    }

    /// Says something else of a volume than is true, such as another device.
    #[must_use]
    pub fn altering_volume(mut self, alter: impl Fn(&mut Volume) + Send + Sync + 'static) -> Self {
        self.alter_volume = Box::new(alter);
        self
    }

    /// How many calls there were.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    /// Makes a call, or the fault if it is its turn.
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
    async fn check(&self, requirements: &BuildRequirements) -> Result<ResolvedBuilder> {
        self.call("check", self.inner.check(requirements)).await
    }
    async fn prepare(
        &self,
        requirements: &BuildRequirements,
        offer: &ResolvedBuilder,
        reporter: &Reporter,
    ) -> Result<()> {
        self.call("prepare", self.inner.prepare(requirements, offer, reporter)).await
    }
    async fn cost(
        &self,
        requirements: &BuildRequirements,
        offer: &ResolvedBuilder,
        run_time: Duration,
        image: Size,
    ) -> Result<Option<Cost>> {
        self.call("cost", self.inner.cost(requirements, offer, run_time, image)).await
    }
    fn secret(&self, build: &BuildId) -> Option<BuildSecret> {
        self.inner.secret(build)
    }
    async fn create_lease(&self, spec: &LeaseSpec) -> Result<LeaseId> {
        self.call("create_lease", self.inner.create_lease(spec)).await
    }
    async fn create_volume(&self, spec: &VolumeSpec, reporter: &Reporter) -> Result<Volume> {
        let mut spec = spec.clone();
        (self.alter_spec)(&mut spec);
        let create = self.inner.create_volume(&spec, reporter);
        let mut volume = self.call("create_volume", create).await?;
        (self.alter_volume)(&mut volume);
        Ok(volume)
    }
    async fn create_vm(&self, spec: &VmSpec, reporter: &Reporter) -> Result<Vm> {
        self.call("create_vm", self.inner.create_vm(spec, reporter)).await
    }
    async fn start_vm(&self, vm: &VmId, reporter: &Reporter) -> Result<()> {
        self.call("start_vm", self.inner.start_vm(vm, reporter)).await
    }
    async fn stop_vm(&self, vm: &VmId) -> Result<()> {
        self.call("stop_vm", self.inner.stop_vm(vm)).await
    }
    async fn vm(&self, vm: &VmId) -> Result<Option<Vm>> {
        self.call("vm", self.inner.vm(vm)).await
    }
    async fn was_started(&self, vm: &VmId) -> Result<Option<bool>> {
        self.call("was_started", self.inner.was_started(vm)).await
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
