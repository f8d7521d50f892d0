//! Creating a thing at most once, over an API that has no idempotency key.
//!
//! ```text
//!  create ──answer──────────────────────────────────────▶ created
//!    ▲ │
//!    │ ├─ answer lost ──▶ look ──found──────────────────▶ adopted
//!    │ │                   │ nothing there
//!    └─┼───────────────────┘ (a lock now may be the lost request at work: look again)
//!      ├─ name taken ───▶ look ──found, ours────────────▶ adopted
//!      │                   └─────not ours ──────────────▶ error: already exists
//!      └─ anything else ────────────────────────────────▶ error
//! ```
//! Looking goes by a label that only the caller uses, the build id for most, a nonce for images.

use std::future::Future;
use std::time::Duration;

use super::core::Core;
use super::request::{Call, Repeat};
use crate::schema::{Action, ApiCode};
use crate::{Error, ErrorKind};

/// How often a create is sent whose answers get lost.
const ROUNDS: u32 = 3;

/// Something that was created, or found to have been created by the same caller before.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Made<T> {
    /// As it was when created or found.
    pub resource: T,
    /// What must end before it can be used, in order: what the create answered, or, when that
    /// answer was lost, all actions of the resource so far.
    pub actions: Vec<Action>,
    /// How it came about.
    pub origin: Origin,
}

/// How a resource came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Created, and the API said so.
    Created,
    /// Found by its label after an answer was lost, or because its name was taken.
    Adopted,
}

impl<T> Made<T> {
    pub(super) fn created(resource: T, actions: Vec<Action>) -> Self {
        Self { resource, actions, origin: Origin::Created }
    }

    pub(super) fn adopted(resource: T, actions: Vec<Action>) -> Self {
        Self { resource, actions, origin: Origin::Adopted }
    }
}

impl Core {
    /// Carries out a create at most once. `find` looks for what it would have made; `looks` are the
    /// pauses before each look.
    pub(super) async fn once<A, M, F>(
        &self,
        create: impl Fn(Repeat) -> Call<A>,
        accept: impl FnOnce(A) -> M,
        looks: &[Duration],
        find: impl Fn() -> F,
    ) -> Result<M, Error>
    where
        F: Future<Output = Result<Option<M>, Error>>,
    {
        let mut lost: Option<Error> = None;
        for _ in 0..ROUNDS {
            let repeat = if lost.is_some() { Repeat::AfterLoss } else { Repeat::AfterLooking };
            let error = match self.run(&create(repeat)).await {
                // A repeated create may have made a second one, where names are not unique: the
                // look says which one stays.
                Ok(answer) if lost.is_some() => {
                    return Ok(find().await.ok().flatten().unwrap_or_else(|| accept(answer)));
                }
                Ok(answer) => return Ok(accept(answer)),
                Err(error) => error,
            };
            if error.kind() == ErrorKind::AnswerLost {
                tracing::info!(%error, "looking whether it happened");
                for pause in looks {
                    tokio::time::sleep(*pause).await;
                    match find().await {
                        Ok(Some(found)) => return Ok(found),
                        Ok(None) => {}
                        // What happened stays unknown, and that is what the caller must hear.
                        Err(cause) => return Err(error.with_source(cause)),
                    }
                }
                lost = Some(error);
            } else if is_taken(&error) {
                return find().await?.ok_or(error);
            } else {
                return Err(error);
            }
        }
        Err(lost
            .unwrap_or_else(|| Error::new(ErrorKind::AnswerLost, "create", "no answer came back")))
    }
}

/// Whether the API says that it exists already.
fn is_taken(error: &Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists
        || error.code() == Some(&ApiCode::VolumeAlreadyAttached)
}

#[cfg(test)]
mod tests;
