//! What this process knows about its own resources without a request.
//!
//! Hints only save requests, of which a project has 3,600 an hour. Whatever is missing here is read
//! from the API, so that another process can resume the builds of this one.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::schema::{Action, ImageId, Labels, Server, ServerId, ServerStatus, SshKeyId};

/// How long a server status that the API returned is taken for the current one.
const STATUS_MAX_AGE: Duration = Duration::from_secs(2);

/// The hints of one provider.
#[derive(Debug, Default)]
pub(crate) struct LocalHints {
    /// Servers that this process created or adopted.
    pub(crate) servers: HashMap<ServerId, ServerHint>,
    /// The actions that must end before an image is available.
    pub(crate) images: HashMap<ImageId, Vec<Action>>,
    /// The labels of the leases of this process, which only this process changes.
    pub(crate) leases: HashMap<SshKeyId, Labels>,
}

/// What is known about a server.
#[derive(Debug, Clone)]
pub(crate) struct ServerHint {
    /// The actions that must end before the server can be started or deleted.
    pub(crate) actions: Vec<Action>,
    /// No image of the server can exist: this process created the server and has not made an image
    /// of it.
    pub(crate) has_no_image: bool,
    status: ServerStatus,
    read_at: Instant,
}

impl ServerHint {
    pub(crate) fn new(server: &Server, actions: Vec<Action>, has_no_image: bool) -> Self {
        Self { actions, has_no_image, status: server.status.clone(), read_at: Instant::now() }
    }

    /// Records the status that the API has just returned.
    pub(crate) fn set_status(&mut self, status: &ServerStatus) {
        self.status = status.clone();
        self.read_at = Instant::now();
    }

    /// The status, if the API returned it within the last two seconds.
    pub(crate) fn status(&self) -> Option<&ServerStatus> {
        (self.read_at.elapsed() <= STATUS_MAX_AGE).then_some(&self.status)
    }
}
