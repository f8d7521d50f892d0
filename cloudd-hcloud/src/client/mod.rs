//! The HTTP client: only what building images and starting servers from them needs.
//!
//! Reading path: `calls` makes requests, as values; `core` carries one out, through its handlers in
//! order; `retry` and `quota` are what two of these handlers decide by; `adopt` creates at most once;
//! `poll` asks for all builds at once what `actions` and `watch` wait for; `shared` reads for all
//! builds at once the lists that each of them wants.

mod actions;
mod adopt;
mod builder;
#[cfg(test)]
mod builds_tests;
mod calls;
mod catalog;
mod core;
mod deletion;
mod endpoint;
mod failure;
mod filter;
mod images;
mod pages;
mod poll;
mod quota;
mod redact;
mod request;
mod retry;
mod servers;
mod shared;
mod ssh_keys;
#[cfg(test)]
mod testing;
mod token;
mod transport;
mod tuning;
mod volumes;
mod watch;

use std::sync::Arc;
use std::time::Duration;

pub use self::actions::ActionWait;
pub use self::adopt::{Made, Origin};
pub use self::builder::ClientBuilder;
pub use self::deletion::Deletion;
pub use self::filter::{ImageFilter, ServerFilter, SshKeyFilter, VolumeFilter};
pub use self::images::DeleteProtection;
pub use self::quota::Quota;
pub use self::retry::RetryPolicy;
pub use self::token::Token;
pub use self::tuning::{Pace, Tuning};
pub use self::watch::{Hurry, ServerWatch};

use self::actions::Actions;
use self::core::Core;
use self::poll::Poller;
use self::shared::Lists;
use self::watch::Servers;
use crate::Error;

/// Where a name is unique, one look after a lost answer will do: should the request still be on its
/// way, the repeated one finds the name taken, and looks again.
const LOOK_AT_ONCE: &[Duration] = &[Duration::ZERO];

/// A client of one project. Clones share the connection, the quota and the questions asked: use one
/// for all builds.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    core: Arc<Core>,
    actions: Poller<Actions>,
    servers: Poller<Servers>,
    lists: Lists,
}

impl Client {
    /// Sets up a client with this token.
    #[must_use]
    pub fn builder(token: Token) -> ClientBuilder {
        ClientBuilder::new(token)
    }

    /// Sets up a client with the token of `HCLOUD_TOKEN` and, if it is set, the endpoint of
    /// `HCLOUD_ENDPOINT`.
    ///
    /// # Errors
    /// `Config`: the token is missing or malformed, or the endpoint is.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }

    fn with(core: Core) -> Self {
        let core = Arc::new(core);
        let actions = Poller::new(Actions::new(Arc::clone(&core)), Arc::clone(&core));
        let servers = Poller::new(Servers::new(Arc::clone(&core)), Arc::clone(&core));
        let lists = Lists::new(&core);
        Self { shared: Arc::new(Shared { core, actions, servers, lists }) }
    }

    /// What is left of the project's quota. `None` before the first answer, or if the API names no
    /// limit.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.core().gate.quota()
    }

    /// How long things take, typically.
    pub(crate) fn expected(&self) -> &Pace {
        &self.core().tuning.pace
    }

    /// 32 bytes that only who has the token can compute, others for every text.
    pub(crate) fn keyed_hash(&self, text: &str) -> [u8; 32] {
        self.core().keyed_hash(text)
    }

    fn core(&self) -> &Core {
        &self.shared.core
    }
}
