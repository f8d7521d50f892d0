//! A provider that keeps everything in memory: the reference semantics of the contract, an example
//! of an implementation, and a test double for programs that use cloudd.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use cloudd_core::memory::Memory;
//! use cloudd_core::{ImageBuilder, InstallContainer};
//!
//! let provider = Memory::new();
//! let container = InstallContainer::reference("registry.example/installer:1");
//! let built = ImageBuilder::new("demo", container).build(&provider).await?;
//! assert_eq!(provider.resources().len(), 1, "only image {} exists", built.image.id);
//! # Ok(())
//! # }
//! ```

mod guest;
mod provider;
mod state;

pub use guest::GuestScript;

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::guest::Reachability;
use crate::provider::{
    BuilderSpec, Capabilities, ContextDelivery, Image, ImageId, Labels, ResourceId, Size,
    UserDataLimits, Vm, VmId,
};
use state::State;

/// A cloud in memory. Clones share it.
#[derive(Clone)]
pub struct Memory {
    capabilities: Capabilities,
    root_size: Size,
    script: GuestScript,
    pace: Duration,
    image_time: Duration,
    prints: String,
    reachability: Option<Reachability>,
    state: Arc<Mutex<State>>,
    /// Ticks with every change of the state.
    changed: watch::Sender<u64>,
}

impl Memory {
    /// An empty cloud whose guests succeed. Context media, an event port, root disks of 40 GiB.
    #[must_use]
    pub fn new() -> Self {
        let mut capabilities = Capabilities::new(UserDataLimits::new(32 * 1024, true));
        capabilities.context =
            vec![ContextDelivery::Media { device: "/dev/disk/by-id/memory-context".into() }];
        capabilities.event_port = Some(PathBuf::from("/dev/ttyS1"));
        capabilities.channel = true;
        capabilities.boots_images = true;
        capabilities.console = true;
        capabilities.addresses = true;
        Self {
            capabilities,
            root_size: Size::gib(40),
            script: GuestScript::Succeeds,
            pace: Duration::ZERO,
            image_time: Duration::ZERO,
            prints: "memory login: ".to_owned(),
            reachability: None,
            state: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// What its guests do.
    #[must_use]
    pub fn guests(mut self, script: GuestScript) -> Self {
        self.script = script;
        self
    }

    /// How long each event of a guest takes; default: no time.
    #[must_use]
    pub fn pace(mut self, pace: Duration) -> Self {
        self.pace = pace;
        self
    }

    /// What is in the way of its guests: as long as something stands there, nothing is heard of them
    /// and nothing reaches them. Default: they need no route.
    #[must_use]
    pub fn behind(mut self, reachability: &Reachability) -> Self {
        self.reachability = Some(reachability.clone());
        self
    }

    /// The size of its root disks; default 40 GiB.
    #[must_use]
    pub fn root_size(mut self, size: Size) -> Self {
        self.root_size = size;
        self
    }

    /// Its capabilities, to try what a cloud with others would do.
    #[must_use]
    pub fn with_capabilities(mut self, change: impl FnOnce(&mut Capabilities)) -> Self {
        change(&mut self.capabilities);
        self
    }

    /// Everything that exists.
    #[must_use]
    pub fn resources(&self) -> Vec<ResourceId> {
        self.state().resources().into_iter().map(|resource| resource.id).collect()
    }

    /// The labels of all leases.
    #[must_use]
    pub fn leases(&self) -> Vec<Labels> {
        self.state().leases.values().map(|lease| lease.labels.clone()).collect()
    }

    /// What a builder VM was created from.
    #[must_use]
    pub fn spec(&self, vm: &VmId) -> Option<BuilderSpec> {
        self.state().vms.get(vm).and_then(|vm| vm.builder.as_ref()).map(|it| it.spec.clone())
    }

    /// The user data of a builder VM.
    #[must_use]
    pub fn user_data(&self, vm: &VmId) -> Option<Vec<u8>> {
        self.state().vms.get(vm).and_then(|vm| vm.builder.as_ref()).map(|it| it.user_data.clone())
    }

    /// How many VMs were ever created.
    #[must_use]
    pub fn vms_ever_created(&self) -> usize {
        self.state().vms_ever_created
    }

    /// How many images were ever made.
    #[must_use]
    pub fn images_ever_made(&self) -> usize {
        self.state().images_ever_made
    }

    /// How long an image is being made before it is available; default: no time.
    #[must_use]
    pub fn image_time(mut self, time: Duration) -> Self {
        self.image_time = time;
        self
    }

    /// What VMs print on their consoles that are started from an image; default: a login prompt.
    #[must_use]
    pub fn prints(mut self, console: impl Into<String>) -> Self {
        self.prints = console.into();
        self
    }

    /// Does to an image what somebody at a console might do.
    pub fn tamper_image(&self, image: &ImageId, change: impl FnOnce(&mut Image)) {
        self.change(|state| {
            if let Some(image) = state.images.get_mut(image) {
                change(image);
            }
        });
    }

    /// Sets the labels of a resource, as somebody at a console might do.
    pub fn relabel(&self, resource: &ResourceId, change: impl FnOnce(&mut Labels)) {
        self.change(|state| {
            if let Some(labels) = state.labels_of(resource) {
                change(labels);
            }
        });
    }

    /// Deletes a resource without asking, as somebody at a console might do.
    pub fn lose(&self, resource: &ResourceId) {
        self.change(|state| match resource {
            ResourceId::Vm(id) => drop(state.vms.remove(id)),
            ResourceId::Volume(id) => drop(state.volumes.remove(id)),
            ResourceId::Image(id) => drop(state.images.remove(id)),
            ResourceId::Lease(id) => drop(state.leases.remove(id)),
        });
    }

    /// Does to a VM what somebody at a console might do.
    pub fn tamper(&self, vm: &VmId, change: impl FnOnce(&mut Vm)) {
        self.change(|state| {
            if let Some(record) = state.vms.get_mut(vm) {
                change(&mut record.vm);
            }
        });
    }

    /// Waits until nothing is in the way of its guests.
    async fn reached(&self) {
        if let Some(reachability) = &self.reachability {
            reachability.reachable().await;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes who waits for it.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.state());
        self.changed.send_modify(|ticks| *ticks += 1);
        result
    }
}

impl Default for Memory {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("resources", &self.resources()).finish_non_exhaustive()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("memory")
    }
}
