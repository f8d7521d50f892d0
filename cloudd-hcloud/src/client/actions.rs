//! Waiting for actions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use cloudd_core::provider::ErrorKind;
use tokio::time::Instant;

use super::Client;
use super::executor::Executor;
use super::poll::{BatchPoll, PollUpdate, Subject};
use super::request::Request;
use super::response::page;
use crate::Error;
use crate::schema::{Action, ActionId, ActionStatus, ApiCode};

impl Client {
    /// Waits until all actions have succeeded, and returns them in the same order.
    ///
    /// # Errors
    /// `Failed`: the first action that failed, with the API's code and message. `Gone`: the API
    /// does not know an action. `Timeout`: the source is the last failure of a poll, if there was
    /// one.
    pub async fn wait(
        &self,
        actions: impl IntoIterator<Item = Action>,
        timeout: Duration,
    ) -> Result<Vec<Action>, Error> {
        self.wait_with_progress(actions, timeout, |_| {}).await
    }

    /// Like [`wait`](Self::wait), and calls `on_progress` whenever the progress or status of an
    /// action changes.
    ///
    /// The API carries out the actions of one create request one after the other. All waits of a
    /// client share their requests. While the API cannot be reached, the wait goes on.
    pub(crate) async fn wait_with_progress(
        &self,
        actions: impl IntoIterator<Item = Action>,
        timeout: Duration,
        mut on_progress: impl FnMut(&Action) + Send,
    ) -> Result<Vec<Action>, Error> {
        let deadline = Instant::now() + timeout;
        let mut seen = BTreeSet::new();
        let mut actions: Vec<Action> =
            actions.into_iter().filter(|action| seen.insert(action.id)).collect();
        for action in &actions {
            on_progress(action);
            self.check(action)?;
        }
        if actions.iter().all(Action::is_ended) {
            return Ok(actions);
        }
        let mut last_failure = None;
        let subjects = self.subjects(&actions);
        let waited = self.shared.actions.poll_until(
            deadline,
            || subjects.clone(),
            |id, update| {
                let last = actions.iter_mut().find(|action| action.id == id)?;
                match update {
                    PollUpdate::State(action) => {
                        if (action.progress, &action.status) != (last.progress, &last.status) {
                            on_progress(&action);
                        }
                        if let Err(error) = self.check(&action) {
                            return Some(Err(error));
                        }
                        *last = action;
                    }
                    PollUpdate::Missing => {
                        let message = "the API does not know the action any more";
                        return Some(Err(Error::new(ErrorKind::Gone, operation(last), message)));
                    }
                    PollUpdate::Retrying(error) => last_failure = Some(error),
                    PollUpdate::Failed(error) => return Some(Err(error)),
                }
                actions.iter().all(Action::is_ended).then_some(Ok(()))
            },
        );
        match waited.await {
            Some(result) => result.map(|()| actions),
            None => {
                let late = actions.iter().find(|action| !action.is_ended());
                let operation = late.map_or_else(|| "wait for actions".to_owned(), operation);
                let progress = late.map_or(0, |action| action.progress);
                let message = format!("not ended after {timeout:?}, at {progress} %");
                let error = Error::new(ErrorKind::Timeout, operation, message);
                Err(match last_failure {
                    Some(failure) => error.with_source(failure),
                    None => error,
                })
            }
        }
    }

    /// What is polled: the running actions, each expected to start when the previous one ends.
    fn subjects(&self, actions: &[Action]) -> Vec<Subject<ActionId>> {
        let mut starts_in = Duration::ZERO;
        let running = actions.iter().filter(|action| !action.is_ended());
        running
            .map(|action| {
                let expected = self.schedule().typical_duration(&action.command);
                let subject = Subject { key: action.id, starts_in, expected };
                starts_in += expected;
                subject
            })
            .collect()
    }

    /// Turns a failed action into an error.
    fn check(&self, action: &Action) -> Result<(), Error> {
        if action.status != ActionStatus::Error {
            return Ok(());
        }
        let failure = action.error.as_ref();
        let message = failure.map_or("the action failed", |error| error.message.as_str());
        let code = failure.map_or("", |error| error.code.as_str());
        let executor = self.executor();
        let error = Error::new(ErrorKind::Failed, operation(action), executor.redact(message));
        Err(error.with_code(ApiCode::from(executor.redact(code).as_str())))
    }
}

fn operation(action: &Action) -> String {
    format!("wait for {} (action {})", action.command, action.id)
}

/// Polls actions with `GET /actions?id=…&id=…`.
#[derive(Debug)]
pub(super) struct ActionPoll(pub(super) Arc<Executor>);

impl BatchPoll for ActionPoll {
    type Key = ActionId;
    type State = Action;

    /// The endpoint documents no paging; 25 is the default page size of the API.
    const BATCH_SIZE: usize = 25;

    async fn poll(&self, ids: &[ActionId]) -> Result<BTreeMap<ActionId, Action>, Error> {
        let request = Request::get("/actions", "read actions");
        let request = ids.iter().fold(request, |request, id| request.query("id", id));
        let actions = self.0.run_once(&request, page::<Action>).await?.items;
        Ok(actions.into_iter().map(|action| (action.id, action)).collect())
    }

    fn progress(action: &Action) -> u8 {
        action.progress
    }

    fn is_final(action: &Action) -> bool {
        action.is_ended()
    }
}
