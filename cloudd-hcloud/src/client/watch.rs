//! Watching the state of servers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use super::calls::{self, PER_PAGE};
use super::core::Core;
use super::filter::ServerFilter;
use super::poll::{News, Nudge, Source, Subject, Watch};
use crate::schema::{Selector, Server, ServerId, ServerStatus};
use crate::{Error, ErrorKind};

impl Client {
    /// Watches a server's state, until the watch is dropped.
    ///
    /// All watches of a client with the same `selector` share their questions: one list of what the
    /// selector selects tells of all of them. So choose one that selects the servers of all builds,
    /// and few others. `expected` is how long the server will take, typically, to get where it is
    /// expected.
    #[must_use]
    pub fn watch_server(
        &self,
        id: ServerId,
        selector: &Selector,
        expected: Duration,
    ) -> ServerWatch {
        let key = Key { selector: selector.clone(), id };
        let watch =
            self.shared.servers.watch(vec![Subject { key: key.clone(), expected, after: None }]);
        ServerWatch { hurry: Hurry { nudge: watch.nudge(key) }, watch, id, last: None }
    }
}

/// A server that is watched; see [`Client::watch_server`].
#[derive(Debug)]
pub struct ServerWatch {
    watch: Watch<Servers>,
    hurry: Hurry,
    id: ServerId,
    last: Option<ServerStatus>,
}

impl ServerWatch {
    /// Waits until the status is another one than the last, or, the first time, until it is known.
    /// While the API cannot be asked, the wait goes on until its deadline.
    ///
    /// # Errors
    /// `Vanished`: the server is gone. `Deadline`: with the last trouble in asking, if there was
    /// any, as its source.
    pub async fn changed(&mut self, within: Duration) -> Result<Server, Error> {
        let deadline = Instant::now() + within;
        let mut trouble = None;
        while let Some((_, news)) = self.watch.news(deadline).await {
            match news {
                News::State(server) if self.last.as_ref() == Some(&server.status) => {}
                News::State(server) => {
                    self.last = Some(server.status.clone());
                    return Ok(server);
                }
                News::Missing => return Err(self.error(ErrorKind::Vanished, "the server is gone")),
                News::Trouble(error) => trouble = Some(error),
                News::Failed(error) => return Err(error),
                News::Orphaned => {}
            }
        }
        let last = self.last.as_ref().map_or("not known", ServerStatus::as_str);
        let error = self.error(ErrorKind::Deadline, &format!("still {last} after {within:?}"));
        Err(match trouble {
            Some(trouble) => error.with_source(trouble),
            None => error,
        })
    }

    /// Waits until the server has this status.
    ///
    /// # Errors
    /// `Vanished`: the server is gone. `Deadline`: with the last trouble in asking, if there was
    /// any, as its source.
    pub async fn until(
        &mut self,
        status: &ServerStatus,
        within: Duration,
    ) -> Result<Server, Error> {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let server = self.changed(left).await.map_err(|error| match error.kind() {
                ErrorKind::Deadline => {
                    let last = self.last.as_ref().map_or("not known", ServerStatus::as_str);
                    error.with_message(format!("not {status} after {within:?} but {last}"))
                }
                _ => error,
            })?;
            if server.status == *status {
                return Ok(server);
            }
        }
    }

    /// A handle for whoever learns by another way that the server is about to get there.
    #[must_use]
    pub fn hurry(&self) -> Hurry {
        self.hurry.clone()
    }

    fn error(&self, kind: ErrorKind, message: &str) -> Error {
        Error::new(kind, format!("watch server {}", self.id), message)
    }
}

/// Makes a watch look sooner; see [`ServerWatch::hurry`].
#[derive(Debug, Clone)]
pub struct Hurry {
    nudge: Nudge<Servers>,
}

impl Hurry {
    /// The server will typically get where it is expected within this time from now.
    pub fn expect_within(&self, expected: Duration) {
        self.nudge.expect_within(expected);
    }
}

/// What is watched, and by which list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    selector: Selector,
    id: ServerId,
}

/// `GET /servers`, for all who watch.
#[derive(Debug)]
pub(super) struct Servers {
    core: Arc<Core>,
}

impl Servers {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Asks about the servers of one selector.
    async fn ask_some(
        &self,
        selector: &Selector,
        ids: BTreeSet<ServerId>,
    ) -> Result<Vec<Server>, Error> {
        let mut found = if ids.len() > 1 { self.list(selector, &ids).await? } else { Vec::new() };
        let listed: BTreeSet<_> = found.iter().map(|server| server.id).collect();
        // A single one; or one that is not in the list, because it is gone, lost the label, or
        // changed pages meanwhile.
        for id in ids.difference(&listed) {
            match self.core.run_once(&calls::servers::read(*id)).await {
                Ok(server) => found.push(server),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }

    /// Turns the pages of the list until all are found.
    async fn list(
        &self,
        selector: &Selector,
        ids: &BTreeSet<ServerId>,
    ) -> Result<Vec<Server>, Error> {
        let filter = ServerFilter::new().selector(selector.clone());
        let (mut found, mut missing, mut number) = (Vec::new(), ids.clone(), 1);
        loop {
            let page = self.core.run_once(&calls::servers::list(&filter, number)).await?;
            found.extend(page.items.into_iter().filter(|server| missing.remove(&server.id)));
            match page.next {
                Some(next) if next > number && !missing.is_empty() => number = next,
                _ => return Ok(found),
            }
        }
    }
}

impl Source for Servers {
    type Key = Key;
    type State = Server;

    const BATCH: usize = PER_PAGE;

    async fn ask(self: Arc<Self>, keys: Vec<Key>) -> Result<BTreeMap<Key, Server>, Error> {
        let mut groups: BTreeMap<Selector, BTreeSet<ServerId>> = BTreeMap::new();
        for Key { selector, id } in keys {
            groups.entry(selector).or_default().insert(id);
        }
        let mut states = BTreeMap::new();
        for (selector, ids) in groups {
            for server in self.ask_some(&selector, ids).await? {
                states.insert(Key { selector: selector.clone(), id: server.id }, server);
            }
        }
        Ok(states)
    }

    fn progress(_: &Server) -> u8 {
        0
    }

    /// A server that is off can be started again.
    fn is_final(_: &Server) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
