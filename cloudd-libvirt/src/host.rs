//! The connection to libvirt: opened when needed, opened again when lost, and used only from
//! threads that may block.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloudd_core::provider::{Error, ErrorKind, Result};
use cloudd_core::retry::Backoff;

use crate::session::Session;
use crate::settings::Config;

/// A libvirt by its URI, with or without a connection to it at the moment.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) config: Arc<Config>,
    session: Mutex<Option<Arc<Session>>>,
}

/// How often a call is tried whose connection is lost.
const ATTEMPTS: u32 = 6;

impl Host {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        Arc::new(Self { config: Arc::new(config), session: Mutex::new(None) })
    }

    /// Runs a call on a thread that may block, and once more on a new connection when the
    /// connection was lost under it. So every call must be one that can be repeated, and looks up
    /// by name what it works on: handles do not survive a connection.
    ///
    /// Dropping the future does not stop the call, only what would come after it.
    pub(crate) async fn call<T, F>(self: &Arc<Self>, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Session) -> Result<T> + Send + Sync + 'static,
    {
        let call = Arc::new(call);
        let mut pauses = RECONNECT.pauses();
        let mut attempt = 1;
        loop {
            let (host, again) = (Arc::clone(self), Arc::clone(&call));
            let (had_one, result) = blocking(move || host.attempt(&*again)).await?;
            match result {
                // A libvirt that could never be reached is the caller's matter.
                Err(error) if is_lost(&error) && had_one && attempt < ATTEMPTS => {
                    tracing::info!(%error, attempt, uri = self.config.uri, "connection lost");
                }
                result => return result,
            }
            tokio::time::sleep(pauses.next().unwrap_or(RECONNECT.longest)).await;
            attempt += 1;
        }
    }

    /// Runs a call that cannot be repeated.
    pub(crate) async fn call_once<T, F>(self: &Arc<Self>, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Session) -> Result<T> + Send + 'static,
    {
        let host = Arc::clone(self);
        blocking(move || host.attempt(call)).await?.1
    }

    /// Also says whether there was ever a connection.
    fn attempt<T>(&self, call: impl FnOnce(&Session) -> Result<T>) -> (bool, Result<T>) {
        let session = match self.session() {
            (_, Ok(session)) => session,
            (had_one, Err(error)) => return (had_one, Err(error)),
        };
        let result = call(&session);
        if let Err(error) = &result
            && is_lost(error)
        {
            self.forget(&session);
        }
        (true, result)
    }

    fn session(&self) -> (bool, Result<Arc<Session>>) {
        let mut current = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let had_one = current.is_some();
        if let Some(session) = current.as_ref()
            && session.is_alive()
        {
            return (had_one, Ok(Arc::clone(session)));
        }
        // While one thread connects, the others wait for its connection rather than open theirs.
        let opened = Session::open(&self.config).map(Arc::new);
        if let Ok(session) = &opened {
            *current = Some(Arc::clone(session));
        }
        (had_one, opened)
    }

    /// Leaves the entry in place, dead: that there was a connection is what allows another try.
    fn forget(&self, dead: &Arc<Session>) {
        let current = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = current.as_ref()
            && Arc::ptr_eq(session, dead)
        {
            session.bury();
        }
    }
}

const RECONNECT: Backoff =
    Backoff::new(Duration::from_millis(200), Duration::from_secs(4), 2.0, 0.2);

fn is_lost(error: &Error) -> bool {
    error.kind() == ErrorKind::Connection
}

/// Runs on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(ErrorKind::Internal, "run a call of libvirt")
            .with_message("the call panicked or the runtime is shutting down")
            .with_source(error)
    })
}
