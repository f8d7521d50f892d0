//! A provider in memory: the reference implementation of the contract, an example for authors of
//! providers, and a test double for programs that use cloudd.
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
    BootSpec, BuilderSpec, Capabilities, ContextDelivery, Image, ImageId, Labels, ResourceId, Size,
    UserDataLimits, Vm, VmId,
};
use state::State;

/// A cloud in memory. Clones share its state.
#[derive(Clone)]
pub struct Memory {
    capabilities: Capabilities,
    root_size: Size,
    script: GuestScript,
    pace: Duration,
    image_time: Duration,
    prints: String,
    builder_prints: String,
    reachability: Option<Reachability>,
    state: Arc<Mutex<State>>,
    /// Incremented with every change of the state.
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
            builder_prints: "memory builder\n".to_owned(),
            reachability: None,
            state: Arc::default(),
            changed: watch::Sender::new(0),
        }
    }

    /// Sets the behaviour of its guests.
    #[must_use]
    pub fn guests(mut self, script: GuestScript) -> Self {
        self.script = script;
        self
    }

    /// Sets how long each event of a guest takes; default: zero.
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

    /// Sets the size of its root disks; default 40 GiB.
    #[must_use]
    pub fn root_size(mut self, size: Size) -> Self {
        self.root_size = size;
        self
    }

    /// Sets its capabilities.
    #[must_use]
    pub fn with_capabilities(mut self, change: impl FnOnce(&mut Capabilities)) -> Self {
        change(&mut self.capabilities);
        self
    }

    /// Returns all existing resources.
    #[must_use]
    pub fn resources(&self) -> Vec<ResourceId> {
        self.state().resources().into_iter().map(|resource| resource.id).collect()
    }

    /// Returns the labels of all leases.
    #[must_use]
    pub fn leases(&self) -> Vec<Labels> {
        self.state().leases.values().map(|lease| lease.labels.clone()).collect()
    }

    /// Returns the spec of a builder VM.
    #[must_use]
    pub fn spec(&self, vm: &VmId) -> Option<BuilderSpec> {
        self.state().vms.get(vm).and_then(|vm| vm.builder.as_ref()).map(|it| it.spec.clone())
    }

    /// Returns the user data of a builder VM.
    #[must_use]
    pub fn user_data(&self, vm: &VmId) -> Option<Vec<u8>> {
        self.state().vms.get(vm).and_then(|vm| vm.builder.as_ref()).map(|it| it.user_data.clone())
    }

    /// Returns the number of VMs that were created, deleted ones included.
    #[must_use]
    pub fn vms_ever_created(&self) -> usize {
        self.state().vms_ever_created
    }

    /// Returns the number of images that were created, deleted ones included.
    #[must_use]
    pub fn images_ever_made(&self) -> usize {
        self.state().images_ever_made
    }

    /// Sets how long the creation of an image takes; default: zero.
    #[must_use]
    pub fn image_time(mut self, time: Duration) -> Self {
        self.image_time = time;
        self
    }

    /// Sets the console output of VMs that are started from an image; default: a login prompt.
    #[must_use]
    pub fn prints(mut self, console: impl Into<String>) -> Self {
        self.prints = console.into();
        self
    }

    /// Sets the console output of builder VMs; default: one line.
    #[must_use]
    pub fn builder_prints(mut self, console: impl Into<String>) -> Self {
        self.builder_prints = console.into();
        self
    }

    /// Changes an image without the checks of the provider, as another program could.
    pub fn tamper_image(&self, image: &ImageId, change: impl FnOnce(&mut Image)) {
        self.change(|state| {
            if let Some(image) = state.images.get_mut(image) {
                change(image);
            }
        });
    }

    /// Sets the labels of a resource without the checks of the provider, as another program could.
    pub fn relabel(&self, resource: &ResourceId, change: impl FnOnce(&mut Labels)) {
        self.change(|state| {
            if let Some(labels) = state.labels_of(resource) {
                change(labels);
            }
        });
    }

    /// Deletes a resource without the checks of the provider, as another program could.
    pub fn lose(&self, resource: &ResourceId) {
        self.change(|state| match resource {
            ResourceId::Vm(id) => drop(state.vms.remove(id)),
            ResourceId::Volume(id) => drop(state.volumes.remove(id)),
            ResourceId::Image(id) => drop(state.images.remove(id)),
            ResourceId::Lease(id) => drop(state.leases.remove(id)),
        });
    }

    /// Changes a VM without the checks of the provider, as another program could.
    pub fn tamper(&self, vm: &VmId, change: impl FnOnce(&mut Vm)) {
        self.change(|state| {
            if let Some(record) = state.vms.get_mut(vm) {
                change(&mut record.vm);
            }
        });
    }

    /// Creates a VM without the checks of the provider, as another program could.
    #[must_use]
    pub fn insert_vm(&self, spec: &BootSpec) -> Vm {
        self.change(|state| state.add_vm(&spec.name, &spec.labels, None))
    }

    /// Lets the guest of a builder VM send these bytes, in addition to what its script sends.
    pub fn send(&self, vm: &VmId, bytes: &[u8]) {
        self.change(|state| {
            if let Some(record) = state.vms.get_mut(vm) {
                record.said.extend_from_slice(bytes);
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

    /// Changes the state and wakes the waiting tasks.
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
