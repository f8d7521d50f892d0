//! Carrying out a call. The handlers of one attempt, in order:
//!
//! 1. *quota*: wait until a request may go
//! 2. *send*: there and back, once, within the request timeout
//! 3. *learn*: what the answer says about the quota
//! 4. *read*: the body of a success, or what failed
//! 5. *retry*: again, lost, or stop

use std::sync::Arc;

use aws_lc_rs::hmac;

use super::failure::{self, Failure};
use super::quota::Gate;
use super::redact;
use super::request::{Call, Repeat, Request};
use super::retry::{Jitter, Spent, Verdict};
use super::transport::{Response, SendError, Transport};
use super::tuning::Tuning;
use crate::{Error, ErrorKind};

/// What all clones of a client, its poller and its watcher share.
#[derive(Debug)]
pub(super) struct Core {
    transport: Box<dyn Transport>,
    pub(super) gate: Gate,
    pub(super) tuning: Tuning,
    jitter: Jitter,
    /// To be kept out of errors.
    token: Secret,
}

impl Core {
    pub(super) fn new(
        transport: impl Transport,
        tuning: Tuning,
        jitter: Jitter,
        token: Arc<str>,
    ) -> Self {
        Self {
            transport: Box::new(transport),
            gate: Gate::new(tuning.quota_window, tuning.lanes),
            tuning,
            jitter,
            token: Secret(token),
        }
    }

    /// Carries out a call, trying again as the policy says.
    pub(super) async fn run<A>(&self, call: &Call<A>) -> Result<A, Error> {
        let request = &call.request;
        let mut spent = Spent::default();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.attempt(call).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let verdict =
                self.tuning.retry.decide(&failure, request.repeat, &mut spent, self.jitter.next());
            let error = self.error(request, failure, attempts);
            match verdict {
                Verdict::Again(pause) => {
                    tracing::debug!(%error, ?pause, "request failed, trying again");
                    tokio::time::sleep(pause).await;
                }
                Verdict::Lost => return Err(error.with_kind(ErrorKind::AnswerLost)),
                Verdict::Stop => return Err(error),
            }
        }
    }

    /// Carries out a call once. For questions that are asked again anyway, at a pace of their own.
    pub(super) async fn run_once<A>(&self, call: &Call<A>) -> Result<A, Error> {
        debug_assert_eq!(call.request.repeat, Repeat::Freely);
        self.attempt(call).await.map_err(|failure| self.error(&call.request, failure, 1))
    }

    async fn attempt<A>(&self, call: &Call<A>) -> Result<A, Failure> {
        let request = &call.request;
        let passage = self.gate.pass().await;
        let outcome = self.transport.send(request).await;
        if let Ok(response) = &outcome {
            passage.answered(response.status, response.report);
        }
        drop(passage);
        self.log(request, &outcome);
        failure::read(call, outcome)
    }

    /// HMAC-SHA256 of a text (RFC 2104) with the token as its key: only who has the token can compute
    /// it, and it tells nothing of the token.
    pub(super) fn keyed_hash(&self, text: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.token.0.as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&key, text.as_bytes()).as_ref());
        hash
    }

    /// Makes a text of the API fit to be shown.
    pub(super) fn clean(&self, text: &str) -> String {
        redact::clean(text, std::slice::from_ref(&self.token.0))
    }

    /// One line a request. Paths hold words and ids; bodies and queries are left out.
    fn log(&self, request: &Request, outcome: &Result<Response, SendError>) {
        let (method, path) = (&request.method, &request.path);
        match outcome {
            Ok(response) => {
                let id = response.correlation_id.as_deref().unwrap_or_default();
                let correlation_id = self.clean(id);
                tracing::debug!(%method, %path, status = response.status, %correlation_id, "answer");
            }
            Err(error) => tracing::debug!(%method, %path, %error, "no answer"),
        }
    }

    fn error(&self, request: &Request, failure: Failure, attempts: u32) -> Error {
        failure.into_error(request, &self.token.0, attempts)
    }
}

/// A text that debug output does not show.
struct Secret(Arc<str>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

#[cfg(test)]
mod tests;
