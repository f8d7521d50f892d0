//! A client for the part of the Hetzner Cloud API that building images and starting servers needs.
//!
//! Layers, from the bottom: `http` sends a `request` once and `response` reads the result;
//! `executor` adds the rate limit (`rate_limit`) and retries (`retry`); `create` makes creates
//! idempotent; `poll` batches the requests of `actions` and `server_wait`; `cached_list` shares
//! lists between builds. The methods of [`Client`] are in the modules of the resources.

mod actions;
mod builder;
mod cached_list;
mod catalog;
mod create;
mod endpoint;
mod executor;
mod filter;
mod http;
mod images;
mod poll;
mod rate_limit;
mod redact;
mod request;
mod response;
mod retry;
mod schedule;
mod server_wait;
mod servers;
mod ssh_keys;
#[cfg(test)]
#[path = "../../tests/client/mod.rs"]
mod tests;
mod timing;
mod token;
mod volumes;
#[cfg(test)]
#[path = "../../tests/wire/mod.rs"]
mod wire;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::provider::ErrorKind;

pub use self::builder::ClientBuilder;
pub use self::filter::{ImageFilter, ServerFilter};
pub use self::images::DeleteProtection;
pub use self::rate_limit::RateLimit;
pub use self::token::Token;

pub(crate) use self::filter::{SshKeyFilter, VolumeFilter};
pub(crate) use self::response::CreateOutcome;
pub(crate) use self::schedule::PollSchedule;

use self::actions::ActionPoll;
use self::cached_list::CachedList;
use self::executor::Executor;
use self::poll::Poller;
use self::request::Request;
use self::server_wait::ServerPoll;
use crate::Error;
use crate::schema::{Action, Image, Pricing, ServerType, SshKey};

/// A client of one project. Clones share connections, rate limit, polls and cached lists; use one
/// client for all builds.
#[derive(Debug, Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    executor: Arc<Executor>,
    actions: Poller<ActionPoll>,
    servers: Poller<ServerPoll>,
    images: CachedList<ImageFilter, Vec<Image>>,
    ssh_keys: CachedList<SshKeyFilter, Vec<SshKey>>,
    server_types: CachedList<(), Vec<ServerType>>,
    pricing: CachedList<(), Pricing>,
}

impl Client {
    /// Sets up a client with this token.
    pub fn builder(token: Token) -> ClientBuilder {
        ClientBuilder::new(token)
    }

    /// Sets up a client with the token from `HCLOUD_TOKEN` and, if it is set, the endpoint from
    /// `HCLOUD_ENDPOINT`.
    ///
    /// # Errors
    /// `InvalidInput`: the token is missing or invalid, or the endpoint is invalid.
    pub fn from_env() -> Result<Self, Error> {
        ClientBuilder::from_env()?.build()
    }

    fn with(executor: Executor) -> Self {
        let executor = Arc::new(executor);
        let timing = executor.timing;
        Self {
            shared: Arc::new(Shared {
                actions: Poller::new(ActionPoll(Arc::clone(&executor)), Arc::clone(&executor)),
                servers: Poller::new(ServerPoll(Arc::clone(&executor)), Arc::clone(&executor)),
                images: CachedList::new(timing),
                ssh_keys: CachedList::new(timing),
                server_types: CachedList::new(timing),
                pricing: CachedList::new(timing),
                executor,
            }),
        }
    }

    /// The rate limit of the project and what is left of it. `None` before the first response, or
    /// if the API reports no limit.
    #[must_use]
    pub fn rate_limit(&self) -> Option<RateLimit> {
        self.executor().rate_limiter.rate_limit()
    }

    /// Images that were listed at most `max_age` ago; concurrent callers share the request.
    pub(crate) async fn cached_images(
        &self,
        filter: &ImageFilter,
        max_age: Duration,
    ) -> Result<Arc<Vec<Image>>, Error> {
        let fetch = || {
            let (client, filter) = (self.clone(), filter.clone());
            async move { client.images(&filter).await }
        };
        self.shared.images.read(filter, max_age, fetch).await
    }

    /// SSH keys that were listed at most `max_age` ago; concurrent callers share the request.
    pub(crate) async fn cached_ssh_keys(
        &self,
        filter: &SshKeyFilter,
        max_age: Duration,
    ) -> Result<Arc<Vec<SshKey>>, Error> {
        let fetch = || {
            let (client, filter) = (self.clone(), filter.clone());
            async move { client.ssh_keys(&filter).await }
        };
        self.shared.ssh_keys.read(filter, max_age, fetch).await
    }

    /// Server types that were listed at most `max_age` ago; concurrent callers share the request.
    pub(crate) async fn cached_server_types(
        &self,
        max_age: Duration,
    ) -> Result<Arc<Vec<ServerType>>, Error> {
        let fetch = || {
            let client = self.clone();
            async move { client.server_types().await }
        };
        self.shared.server_types.read(&(), max_age, fetch).await
    }

    /// Prices that were read at most `max_age` ago; concurrent callers share the request.
    pub(crate) async fn cached_pricing(&self, max_age: Duration) -> Result<Arc<Pricing>, Error> {
        let fetch = || {
            let client = self.clone();
            async move { client.pricing().await }
        };
        self.shared.pricing.read(&(), max_age, fetch).await
    }

    /// When actions are polled, and their typical durations.
    pub(crate) fn schedule(&self) -> PollSchedule {
        PollSchedule::new(self.executor().timing)
    }

    /// A hash of a text that only the holder of the token can compute.
    pub(crate) fn keyed_hash(&self, text: &str) -> [u8; 32] {
        self.executor().keyed_hash(text)
    }

    /// Lists all actions of a resource, including ended ones, oldest first.
    async fn actions_of(&self, kind: &str, id: impl Display) -> Result<Vec<Action>, Error> {
        let operation = format!("list the actions of {kind} {id}");
        self.executor().list(Request::get(format!("/{kind}s/{id}/actions"), operation)).await
    }

    fn executor(&self) -> &Executor {
        &self.shared.executor
    }
}

/// Treats the deletion of a resource that does not exist as a success.
fn gone_is_deleted(result: Result<Option<Action>, Error>) -> Result<Option<Action>, Error> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        result => result,
    }
}
