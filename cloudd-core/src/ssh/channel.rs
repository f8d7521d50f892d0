use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::SshKeys;
use super::connection::Target;
use super::follow::Follower;
use super::upload::Upload;
use crate::guest::{GuestChannel, Reachability};
use crate::install::ContextArchive;
use crate::provider::{Error, ErrorKind, Reporter, Result};

/// The channel to a builder VM over SSH.
///
/// The first [`receive`](GuestChannel::receive) starts a task that connects, follows the guest's
/// events and reconnects without a limit of time. The task needs a Tokio runtime and ends when the
/// channel is dropped. SSH cannot detect that a guest is gone for good, so `receive` returns `None`
/// only after an error. [`upload`](GuestChannel::upload) uses a connection of its own, and resumes
/// where an earlier one was lost.
///
/// # Errors
/// [`ErrorKind::Untrusted`] at once when the guest has another host key;
/// [`ErrorKind::Unauthorized`] after some seconds when it refuses user, key or commands;
/// [`ErrorKind::Unsupported`] when its sshd and cloudd have no algorithms in common.
pub struct SshChannel {
    target: Arc<Target>,
    events: String,
    context: String,
    reachability: Reachability,
    following: Option<Following>,
}

struct Following {
    lines: mpsc::Receiver<Result<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl SshChannel {
    /// The number of buffered pieces of output, each at most about 32 KiB. When the buffer is full,
    /// the guest has to wait.
    const BACKLOG: usize = 64;

    /// Creates a channel to the guest with these keys, at whichever address answers first: on port
    /// 22, as root.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] when there is no address.
    pub fn new(keys: &SshKeys, addresses: impl IntoIterator<Item = IpAddr>) -> Result<Self> {
        let addresses: Vec<_> = addresses.into_iter().collect();
        if addresses.is_empty() {
            return Err(Error::new(ErrorKind::InvalidInput, "open SSH channel")
                .with_message("the builder VM has no address"));
        }
        let target = Target {
            keys: keys.clone(),
            addresses,
            port: 22,
            user: "root".to_owned(),
            silence: Duration::from_secs(15),
        };
        Ok(Self {
            target: Arc::new(target),
            events: "/run/cloudd/events".to_owned(),
            context: "/run/cloudd/context.tar.gz".to_owned(),
            reachability: Reachability::new(),
            following: None,
        })
    }

    /// Sets the port; default 22.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.target_mut().port = port;
        self
    }

    /// Sets the user; default root. It must be able to read the events and to write the context.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.target_mut().user = user.into();
        self
    }

    /// Sets the time without any data after which the channel reconnects; default 15 s.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.target_mut().silence = silence;
        self
    }

    /// Sets the file to follow in the guest; default `/run/cloudd/events`.
    #[must_use]
    pub fn events_file(mut self, path: impl Into<String>) -> Self {
        self.events = path.into();
        self
    }

    /// Sets the path of the build context in the guest; default `/run/cloudd/context.tar.gz`.
    #[must_use]
    pub fn context_file(mut self, path: impl Into<String>) -> Self {
        self.context = path.into();
        self
    }

    fn target_mut(&mut self) -> &mut Target {
        Arc::make_mut(&mut self.target)
    }

    fn following(&mut self) -> &mut Following {
        self.following.get_or_insert_with(|| {
            let (sender, lines) = mpsc::channel(Self::BACKLOG);
            let follower = Follower::new(
                Arc::clone(&self.target),
                self.events.clone(),
                sender,
                self.reachability.clone(),
            );
            Following { lines, task: tokio::spawn(follower.run()) }
        })
    }
}

#[async_trait]
impl GuestChannel for SshChannel {
    async fn receive(&mut self) -> Result<Option<Vec<u8>>> {
        self.following().lines.recv().await.transpose()
    }

    /// The guest is reachable once it has started one of the scripts.
    fn reachability(&self) -> Option<Reachability> {
        Some(self.reachability.clone())
    }

    /// Reports the bytes that were sent, at most 2 MiB ahead of those that have arrived.
    async fn upload(&mut self, archive: &ContextArchive, reporter: &Reporter) -> Result<()> {
        let upload = Upload {
            target: &self.target,
            file: &self.context,
            archive,
            reporter,
            reachability: self.reachability.clone(),
        };
        upload.run().await
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for SshChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SshChannel")
            .field("target", &self.target)
            .field("events", &self.events)
            .field("context", &self.context)
            .finish_non_exhaustive()
    }
}
