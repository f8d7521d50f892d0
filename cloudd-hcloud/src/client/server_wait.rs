//! Waiting for the status of a server.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::provider::ErrorKind;
use tokio::time::Instant;

use super::Client;
use super::executor::{Executor, PER_PAGE, page_of};
use super::filter::ServerFilter;
use super::poll::{BatchPoll, PollUpdate, Subject};
use super::response::page;
use super::servers;
use crate::Error;
use crate::schema::{Selector, Server, ServerId, ServerStatus};

impl Client {
    /// Waits until a server has one of `statuses`, which takes about `expected`.
    ///
    /// All waits of a client with the same selector share one list of the servers it selects, so it
    /// should select the servers of all builds and few others. While the API cannot be reached, the
    /// wait goes on.
    ///
    /// # Errors
    /// `Gone`: the server does not exist any more. `Timeout`: the source is the last failure of a
    /// poll, if there was one.
    pub(crate) async fn wait_for_server(
        &self,
        id: ServerId,
        selector: &Selector,
        statuses: &[ServerStatus],
        expected: Duration,
        timeout: Duration,
    ) -> Result<Server, Error> {
        let operation = format!("wait for server {id}");
        let (mut last_status, mut last_failure) = (None, None);
        let subject = Subject { key: (selector.clone(), id), starts_in: Duration::ZERO, expected };
        let waited = self.shared.servers.poll_until(
            Instant::now() + timeout,
            || vec![subject.clone()],
            |_, update| match update {
                PollUpdate::State(server) if statuses.contains(&server.status) => Some(Ok(server)),
                PollUpdate::State(server) => {
                    last_status = Some(server.status);
                    None
                }
                PollUpdate::Missing => {
                    let message = "the server does not exist any more";
                    Some(Err(Error::new(ErrorKind::Gone, &operation, message)))
                }
                PollUpdate::Retrying(error) => {
                    last_failure = Some(error);
                    None
                }
                PollUpdate::Failed(error) => Some(Err(error)),
            },
        );
        if let Some(result) = waited.await {
            return result;
        }
        let statuses: Vec<_> = statuses.iter().map(ServerStatus::as_str).collect();
        let last = last_status.as_ref().map_or("unknown", ServerStatus::as_str);
        let message =
            format!("not {} after {timeout:?}; the status is {last}", statuses.join(" or "));
        let error = Error::new(ErrorKind::Timeout, operation, message);
        Err(match last_failure {
            Some(failure) => error.with_source(failure),
            None => error,
        })
    }
}

/// Polls servers: several with a list, a single one by its id.
#[derive(Debug)]
pub(super) struct ServerPoll(pub(super) Arc<Executor>);

impl ServerPoll {
    /// Reads pages of the list until all servers are found.
    async fn list(
        &self,
        selector: &Selector,
        ids: &BTreeSet<ServerId>,
    ) -> Result<Vec<Server>, Error> {
        let list = servers::list(&ServerFilter::new().selector(selector.clone()));
        let (mut found, mut missing, mut number) = (Vec::new(), ids.clone(), 1);
        loop {
            let request = page_of::<Server>(&list, number);
            let page = self.0.run_once(&request, page::<Server>).await?;
            found.extend(page.items.into_iter().filter(|server| missing.remove(&server.id)));
            match page.next {
                Some(next) if next > number && !missing.is_empty() => number = next,
                _ => return Ok(found),
            }
        }
    }
}

impl BatchPoll for ServerPoll {
    type Key = (Selector, ServerId);
    type State = Server;

    const BATCH_SIZE: usize = PER_PAGE;

    async fn poll(&self, keys: &[Self::Key]) -> Result<BTreeMap<Self::Key, Server>, Error> {
        let mut groups: BTreeMap<&Selector, BTreeSet<ServerId>> = BTreeMap::new();
        for (selector, id) in keys {
            groups.entry(selector).or_default().insert(*id);
        }
        let mut states = BTreeMap::new();
        for (selector, ids) in groups {
            let mut found =
                if ids.len() > 1 { self.list(selector, &ids).await? } else { Vec::new() };
            let listed: BTreeSet<_> = found.iter().map(|server| server.id).collect();
            // A single server, or one that is not in the list: it was deleted, has lost its label,
            // or has moved to another page meanwhile.
            for id in ids.difference(&listed) {
                match self.0.run_once(&servers::read(*id), servers::READ).await {
                    Ok(server) => found.push(server),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            states.extend(found.into_iter().map(|server| ((selector.clone(), server.id), server)));
        }
        Ok(states)
    }

    fn progress(_: &Server) -> u8 {
        0
    }

    /// A server's status can always change.
    fn is_final(_: &Server) -> bool {
        false
    }
}
