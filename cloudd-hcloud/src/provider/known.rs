//! What this process knows without asking.
//!
//! Nothing here is needed: what is not known is asked for, so that another process can go on with
//! what this one began. It saves requests, of which a project has 3,600 an hour.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cloudd_core::provider::{Architecture, Size};
use tokio::time::Instant;

use crate::client::Origin;
use crate::schema::{
    Action, ImageId, Labels, Server, ServerId, ServerStatus, SshKey, SshKeyId, VolumeId,
};

/// How long a server's status is taken for its status.
const FRESH: Duration = Duration::from_secs(2);

#[derive(Debug, Default)]
pub(super) struct Known(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    volumes: HashMap<VolumeId, KnownVolume>,
    servers: HashMap<ServerId, KnownServer>,
    images: HashMap<ImageId, Vec<Action>>,
    leases: HashMap<SshKeyId, Labels>,
    /// By build: where it was refused, and why.
    refusals: HashMap<String, Vec<Refusal>>,
    /// What was offered for a volume of this size.
    roots: HashMap<(Architecture, Size), Size>,
}

#[derive(Debug, Clone)]
pub(super) struct KnownVolume {
    pub(super) location: String,
    /// What must end before it can be used.
    pub(super) actions: Vec<Action>,
}

#[derive(Debug, Clone)]
struct KnownServer {
    has_no_image: bool,
    labels: Labels,
    status: (Instant, ServerStatus),
    /// What must end before it can be started.
    actions: Vec<Action>,
}

/// A place that a build did not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) location: String,
    /// What was refused there, and how.
    pub(super) what: String,
}

impl Known {
    pub(super) fn note_volume(&self, id: VolumeId, location: &str, actions: Vec<Action>) {
        let volume = KnownVolume { location: location.to_owned(), actions };
        self.state().volumes.insert(id, volume);
    }

    pub(super) fn volume(&self, id: VolumeId) -> Option<KnownVolume> {
        self.state().volumes.get(&id).cloned()
    }

    /// Its actions have ended.
    pub(super) fn volume_is_ready(&self, id: VolumeId) {
        if let Some(volume) = self.state().volumes.get_mut(&id) {
            volume.actions.clear();
        }
    }

    pub(super) fn forget_volume(&self, id: VolumeId) {
        self.state().volumes.remove(&id);
    }

    /// A server that this process has, or had before, created for a build.
    pub(super) fn note_server(
        &self,
        server: &Server,
        build: &str,
        actions: Vec<Action>,
        origin: Origin,
    ) {
        let known = KnownServer {
            has_no_image: origin == Origin::Created,
            labels: server.labels.clone(),
            status: (Instant::now(), server.status.clone()),
            actions,
        };
        let mut state = self.state();
        state.refusals.remove(build);
        state.servers.insert(server.id, known);
    }

    /// The server as the API has just shown it.
    pub(super) fn saw_server(&self, server: &Server) {
        if let Some(known) = self.state().servers.get_mut(&server.id) {
            known.labels = server.labels.clone();
            known.status = (Instant::now(), server.status.clone());
        }
    }

    pub(super) fn server_actions(&self, id: ServerId) -> Vec<Action> {
        self.state().servers.get(&id).map(|known| known.actions.clone()).unwrap_or_default()
    }

    pub(super) fn server_is_ready(&self, id: ServerId) {
        if let Some(known) = self.state().servers.get_mut(&id) {
            known.actions.clear();
        }
    }

    /// The labels of a server of this process; nobody else labels a builder.
    pub(super) fn server_labels(&self, id: ServerId) -> Option<Labels> {
        self.state().servers.get(&id).map(|known| known.labels.clone())
    }

    /// The status, if the API has shown it within the last two seconds.
    pub(super) fn server_status(&self, id: ServerId) -> Option<ServerStatus> {
        let state = self.state();
        let (at, status) = &state.servers.get(&id)?.status;
        (at.elapsed() <= FRESH).then(|| status.clone())
    }

    /// Whether this process created the server and has not made an image of it: then there is none.
    /// Asked once.
    pub(super) fn has_no_image_yet(&self, id: ServerId) -> bool {
        self.state()
            .servers
            .get_mut(&id)
            .is_some_and(|known| std::mem::take(&mut known.has_no_image))
    }

    pub(super) fn forget_server(&self, id: ServerId) {
        self.state().servers.remove(&id);
    }

    pub(super) fn note_image(&self, id: ImageId, actions: Vec<Action>) {
        self.state().images.insert(id, actions);
    }

    pub(super) fn image_actions(&self, id: ImageId) -> Vec<Action> {
        self.state().images.get(&id).cloned().unwrap_or_default()
    }

    pub(super) fn forget_image(&self, id: ImageId) {
        self.state().images.remove(&id);
    }

    pub(super) fn note_lease(&self, key: &SshKey) {
        self.state().leases.insert(key.id, key.labels.clone());
    }

    /// The labels of a lease of this process; nobody else labels it.
    pub(super) fn lease_labels(&self, id: SshKeyId) -> Option<Labels> {
        self.state().leases.get(&id).cloned()
    }

    pub(super) fn forget_lease(&self, id: SshKeyId) {
        self.state().leases.remove(&id);
    }

    pub(super) fn note_refusal(&self, build: &str, refusal: Refusal) {
        self.state().refusals.entry(build.to_owned()).or_default().push(refusal);
    }

    pub(super) fn refusals(&self, build: &str) -> Vec<Refusal> {
        self.state().refusals.get(build).cloned().unwrap_or_default()
    }

    pub(super) fn forget_refusals(&self, build: &str) {
        self.state().refusals.remove(build);
    }

    pub(super) fn note_root(&self, architecture: Architecture, volume: Size, root: Size) {
        self.state().roots.insert((architecture, volume), root);
    }

    pub(super) fn root(&self, architecture: Architecture, volume: Size) -> Option<Size> {
        self.state().roots.get(&(architecture, volume)).copied()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a poisoned one would still hold good data.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
