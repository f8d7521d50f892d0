//! Creating a resource at most once, although the API has no idempotency keys.
//!
//! ```text
//!  create ──response────────────────────────────────────▶ created
//!    ▲ │
//!    │ ├─ response lost ─▶ look up ──found──────────────▶ existing
//!    │ │                     │ not found
//!    └─┼─────────────────────┘ (a lock now may belong to the lost request: look up again)
//!      ├─ name taken ────▶ look up ──found, own─────────▶ existing
//!      │                     └───────not own ───────────▶ error: already exists
//!      └─ anything else ────────────────────────────────▶ error
//! ```
//! The lookup goes by a label that only the caller uses: the build id for most resources, a nonce
//! for images.

use std::future::Future;
use std::time::Duration;

use cloudd_core::provider::ErrorKind;

use super::executor::Executor;
use super::request::{Idempotency, Request};
use super::response::{CreateOutcome, Object, created};
use crate::Error;
use crate::schema::ApiCode;

/// How many times a create request is sent whose responses get lost.
const MAX_ROUNDS: u32 = 3;

/// The delays before each lookup of a resource with a unique name. One lookup is enough: if the
/// request arrives later, the repeated one finds the name taken.
pub(super) const LOOK_UP_AT_ONCE: &[Duration] = &[Duration::ZERO];

impl Executor {
    /// Carries out a create request at most once. `look_up` searches for the resource it creates;
    /// `delays` are the pauses before each lookup after a lost response.
    pub(super) async fn create_idempotent<T, F>(
        &self,
        mut request: Request,
        delays: &[Duration],
        look_up: impl Fn() -> F,
    ) -> Result<CreateOutcome<T>, Error>
    where
        T: Object,
        F: Future<Output = Result<Option<CreateOutcome<T>>, Error>>,
    {
        let mut round = 1;
        loop {
            let error = match self.run(&request, created::<T>).await {
                // Where names are not unique, a repeated create may have made a second resource:
                // the lookup decides which one is kept.
                Ok(outcome) if request.idempotency == Idempotency::Reissue => {
                    return Ok(look_up().await.ok().flatten().unwrap_or(outcome));
                }
                Ok(outcome) => return Ok(outcome),
                Err(error) => error,
            };
            if is_taken(&error) {
                return look_up().await?.ok_or(error);
            }
            if error.kind() != ErrorKind::OutcomeUnknown {
                return Err(error);
            }
            tracing::info!(%error, "looking up the outcome of a create request");
            for delay in delays {
                tokio::time::sleep(self.timing.scaled(*delay)).await;
                match look_up().await {
                    Ok(Some(outcome)) => return Ok(outcome),
                    Ok(None) => {}
                    Err(source) => return Err(error.with_source(source)),
                }
            }
            if round == MAX_ROUNDS {
                return Err(error);
            }
            round += 1;
            request.idempotency = Idempotency::Reissue;
        }
    }
}

/// Whether the resource, or one of its name, already exists.
fn is_taken(error: &Error) -> bool {
    error.kind() == ErrorKind::AlreadyExists
        || error.code() == Some(&ApiCode::VolumeAlreadyAttached)
}
