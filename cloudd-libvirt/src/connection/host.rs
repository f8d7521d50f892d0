//! The connection to libvirt: opened on first use, reopened when lost, used only on threads that may
//! block.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cloudd_core::provider::{Error, ErrorKind, Result};
use cloudd_core::retry::Backoff;

use super::session::Session;
use crate::settings::{Config, public_uri};

/// A libvirt, connected or not.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) config: Arc<Config>,
    session: Mutex<Option<Arc<Session>>>,
}

const RECONNECT: Backoff =
    Backoff::new(Duration::from_millis(200), Duration::from_secs(4), 2.0, 0.2);
/// The number of times that a call is repeated whose connection was lost.
const RETRIES: usize = 5;

impl Host {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        Arc::new(Self { config: Arc::new(config), session: Mutex::new(None) })
    }

    /// Runs a call on a thread that may block. If the connection was lost, the call is repeated on a
    /// new connection. It must therefore be idempotent and look up everything by name: handles are
    /// not valid on a new connection.
    ///
    /// Dropping the future does not stop the call.
    pub(crate) async fn call<T, F>(self: &Arc<Self>, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: Fn(&Session) -> Result<T> + Send + Sync + 'static,
    {
        let call = Arc::new(call);
        let mut pauses = RECONNECT.pauses().take(RETRIES);
        loop {
            let (host, again) = (Arc::clone(self), Arc::clone(&call));
            let (was_connected, result) = blocking(move || host.attempt(&*again)).await?;
            match result {
                // Only a lost connection is reopened, not one that could never be opened.
                Err(error) if is_lost(&error) && was_connected => match pauses.next() {
                    Some(pause) => {
                        tracing::info!(%error, uri = public_uri(&self.config.uri), "connection lost");
                        tokio::time::sleep(pause).await;
                    }
                    None => return Err(error),
                },
                result => return result,
            }
        }
    }

    /// Runs a call that is not idempotent.
    pub(crate) async fn call_once<T, F>(self: &Arc<Self>, call: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Session) -> Result<T> + Send + 'static,
    {
        let host = Arc::clone(self);
        blocking(move || host.attempt(call)).await?.1
    }

    /// Also returns whether there was ever a connection.
    fn attempt<T>(&self, call: impl FnOnce(&Session) -> Result<T>) -> (bool, Result<T>) {
        let session = match self.session() {
            (_, Ok(session)) => session,
            (was_connected, Err(error)) => return (was_connected, Err(error)),
        };
        let result = call(&session);
        if let Err(error) = &result
            && is_lost(error)
        {
            self.disconnected(&session);
        }
        (true, result)
    }

    fn session(&self) -> (bool, Result<Arc<Session>>) {
        let mut current = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let was_connected = current.is_some();
        if let Some(session) = current.as_ref()
            && session.is_connected()
        {
            return (was_connected, Ok(Arc::clone(session)));
        }
        // Other threads wait for the lock instead of opening connections of their own.
        let opened = Session::open(&self.config).map(Arc::new);
        if let Ok(session) = &opened {
            *current = Some(Arc::clone(session));
        }
        (was_connected, opened)
    }

    /// Keeps the session, marked: whether there was a connection decides about a retry.
    fn disconnected(&self, lost: &Arc<Session>) {
        let current = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = current.as_ref()
            && Arc::ptr_eq(session, lost)
        {
            session.mark_disconnected();
        }
    }
}

fn is_lost(error: &Error) -> bool {
    error.kind() == ErrorKind::Connection
}

/// Runs on a thread that may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| {
        Error::new(ErrorKind::Internal, "call libvirt")
            .with_message("the call panicked or the runtime is shutting down")
            .with_source(error)
    })
}
