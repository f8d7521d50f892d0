//! Waiting for actions.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Client;
use super::calls::{self, ACTIONS_PER_CALL};
use super::core::Core;
use super::poll::{News, Source, Subject};
use crate::schema::{Action, ActionId, ActionStatus, ApiCode};
use crate::{Error, ErrorKind};

/// Actions to wait for, until when, and who hears of their progress.
pub struct ActionWait<'a> {
    actions: Vec<Action>,
    within: Duration,
    expected: Option<Duration>,
    progress: Option<Listener<'a>>,
}

type Listener<'a> = Box<dyn FnMut(&Action) + Send + 'a>;

impl<'a> ActionWait<'a> {
    /// Waits for `actions`, which the API carries out one after the other, as those of a create.
    pub fn new(actions: impl IntoIterator<Item = Action>, within: Duration) -> Self {
        Self { actions: actions.into_iter().collect(), within, expected: None, progress: None }
    }

    /// Sets how long each will take, typically. Default: by command, see [`Pace`](super::Pace).
    #[must_use]
    pub fn expecting(mut self, expected: Duration) -> Self {
        self.expected = Some(expected);
        self
    }

    /// Sets who hears of every change of an action's progress or status.
    #[must_use]
    pub fn on_progress(mut self, progress: impl FnMut(&Action) + Send + 'a) -> Self {
        self.progress = Some(Box::new(progress));
        self
    }
}

impl fmt::Debug for ActionWait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActionWait")
            .field("actions", &self.actions)
            .field("within", &self.within)
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Reads an action.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn action(&self, id: ActionId) -> Result<Action, Error> {
        self.core().run(&calls::actions::read(id)).await
    }

    /// Waits until all actions have ended well, and returns them in the same order.
    ///
    /// All waits of a client share their questions. While the API cannot be asked, the wait goes on
    /// until its deadline.
    ///
    /// # Errors
    /// `ActionFailed`: the first that failed, with the API's code and message. `ActionMissing`: the
    /// API does not know one of them. `Deadline`: with the last trouble in asking, if there was
    /// any, as its source.
    pub async fn wait(&self, wait: ActionWait<'_>) -> Result<Vec<Action>, Error> {
        let ActionWait { mut actions, within, expected, mut progress } = wait;
        let mut report = |action: &Action| {
            if let Some(progress) = &mut progress {
                progress(action);
            }
        };
        let begin = Instant::now();
        let mut running = BTreeMap::new();
        let mut subjects = Vec::new();
        for (index, action) in actions.iter().enumerate() {
            report(action);
            self.check(action)?;
            if action.is_ended() || running.insert(action.id, index).is_some() {
                continue;
            }
            let expected =
                expected.unwrap_or_else(|| self.core().tuning.pace.expected(&action.command));
            let after = subjects.last().map(|subject: &Subject<_>| subject.key);
            subjects.push(Subject { key: action.id, expected, after });
        }
        if running.is_empty() {
            return Ok(actions);
        }
        let mut watch = self.shared.actions.watch(subjects);
        let mut trouble = None;
        while let Some((id, news)) = watch.news(begin + within).await {
            let Some(&index) = running.get(&id) else {
                continue;
            };
            match news {
                News::State(action) => {
                    let last = &mut actions[index];
                    if (action.progress, &action.status) != (last.progress, &last.status) {
                        report(&action);
                    }
                    self.check(&action)?;
                    if action.is_ended() {
                        running.remove(&id);
                    }
                    *last = action;
                }
                News::Missing => return Err(missing(&actions[index])),
                News::Trouble(error) => trouble = Some(error),
                News::Failed(error) => return Err(error),
                News::Orphaned => {}
            }
            if running.is_empty() {
                return Ok(actions);
            }
        }
        let late = running.into_values().next().map(|index| &actions[index]);
        Err(deadline(late, within, trouble))
    }

    /// An action that failed is an error.
    fn check(&self, action: &Action) -> Result<(), Error> {
        if action.status != ActionStatus::Error {
            return Ok(());
        }
        let failure = action.error.as_ref();
        let message = failure.map_or("the action failed", |error| error.message.as_str());
        let code = failure.map_or("", |error| error.code.as_str());
        let error =
            Error::new(ErrorKind::ActionFailed, waiting_for(action), self.core().clean(message));
        Err(error.with_code(ApiCode::from(self.core().clean(code).as_str())))
    }
}

fn missing(action: &Action) -> Error {
    Error::new(
        ErrorKind::ActionMissing,
        waiting_for(action),
        "the API does not know the action any more",
    )
}

fn deadline(action: Option<&Action>, within: Duration, trouble: Option<Error>) -> Error {
    let operation = action.map_or_else(|| "wait for actions".to_owned(), waiting_for);
    let progress = action.map_or(0, |action| action.progress);
    let message = format!("not ended after {within:?}, at {progress} %");
    let error = Error::new(ErrorKind::Deadline, operation, message);
    match trouble {
        Some(trouble) => error.with_source(trouble),
        None => error,
    }
}

fn waiting_for(action: &Action) -> String {
    format!("wait for {} (action {})", action.command, action.id)
}

/// `GET /actions`, for all who wait.
#[derive(Debug)]
pub(super) struct Actions {
    core: Arc<Core>,
}

impl Actions {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }
}

impl Source for Actions {
    type Key = ActionId;
    type State = Action;

    const BATCH: usize = ACTIONS_PER_CALL;

    async fn ask(
        self: Arc<Self>,
        keys: Vec<ActionId>,
    ) -> Result<BTreeMap<ActionId, Action>, Error> {
        let page = self.core.run_once(&calls::actions::read_all(&keys)).await?;
        Ok(page.items.into_iter().map(|action| (action.id, action)).collect())
    }

    fn progress(action: &Action) -> u8 {
        action.progress
    }

    fn is_final(action: &Action) -> bool {
        action.is_ended()
    }
}

#[cfg(test)]
mod tests;
