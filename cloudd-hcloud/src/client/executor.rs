//! Carrying out requests. The steps of one attempt:
//!
//! 1. wait for the rate limiter
//! 2. send the request once, within the request timeout
//! 3. record the rate limit reported in the response
//! 4. read the body, or classify the failure
//! 5. decide whether to retry

use aws_lc_rs::hmac;
use cloudd_core::provider::ErrorKind;
use tokio::time::sleep;

use super::http::{Response, SendError, Transport};
use super::rate_limit::RateLimiter;
use super::redact::redact;
use super::request::{Idempotency, Request};
use super::response::{self, Failure, Listed, Page, Read};
use super::retry::{RetryBudget, RetryDecision};
use super::timing::Timing;
use super::token::Token;
use crate::Error;

/// The most pages that are read of a list: 50,000 items, more than a project can have.
const MAX_PAGES: u32 = 1_000;

/// The maximum number of items on a page of a list.
pub(super) const PER_PAGE: usize = 50;

/// What all clones of a client and its pollers share.
#[derive(Debug)]
pub(super) struct Executor {
    transport: Box<dyn Transport>,
    pub(super) rate_limiter: RateLimiter,
    pub(super) timing: Timing,
    token: Token,
}

impl Executor {
    pub(super) fn new(transport: impl Transport, token: Token, timing: Timing) -> Self {
        Self {
            transport: Box::new(transport),
            rate_limiter: RateLimiter::new(timing),
            timing,
            token,
        }
    }

    /// Carries out a request, with retries.
    pub(super) async fn run<A>(&self, request: &Request, read: Read<A>) -> Result<A, Error> {
        let mut budget = RetryBudget::default();
        let mut attempts = 0;
        loop {
            attempts += 1;
            let failure = match self.attempt(request, read).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let decision = budget.decide(&failure, request.idempotency, self.timing);
            let error = failure.into_error(request, &self.token, attempts);
            match decision {
                RetryDecision::RetryAfter(pause) => {
                    tracing::debug!(%error, ?pause, "request failed, retrying");
                    sleep(pause).await;
                }
                RetryDecision::OutcomeUnknown => {
                    return Err(error.with_kind(ErrorKind::OutcomeUnknown));
                }
                RetryDecision::Fail => return Err(error),
            }
        }
    }

    /// Carries out a request once. For polls, which are repeated anyway.
    pub(super) async fn run_once<A>(&self, request: &Request, read: Read<A>) -> Result<A, Error> {
        debug_assert_eq!(request.idempotency, Idempotency::Idempotent);
        let result = self.attempt(request, read).await;
        result.map_err(|failure| failure.into_error(request, &self.token, 1))
    }

    /// Reads all pages of a list, ordered by id.
    ///
    /// An item that moves to the next page between two requests is returned once.
    pub(super) async fn list<T: Listed>(&self, request: Request) -> Result<Vec<T>, Error> {
        let (mut items, mut seen) = (Vec::new(), std::collections::BTreeSet::new());
        let mut number = 1;
        loop {
            let request = page_of::<T>(&request, number);
            let Page { items: more, next } = self.run(&request, response::page::<T>).await?;
            items.extend(more.into_iter().filter(|item| seen.insert(item.number())));
            match next {
                None => return Ok(items),
                Some(next) if next > number && next <= MAX_PAGES => number = next,
                Some(next) => {
                    let message = if next > MAX_PAGES {
                        "the list has more pages than a project can have resources"
                    } else {
                        "the page numbers of the list do not increase"
                    };
                    let operation = request.operation;
                    return Err(Error::new(ErrorKind::OutcomeUnknown, operation, message));
                }
            }
        }
    }

    async fn attempt<A>(&self, request: &Request, read: Read<A>) -> Result<A, Failure> {
        let permit = self.rate_limiter.acquire().await;
        let result = self.transport.send(request).await;
        if let Ok(response) = &result {
            permit.record(response.status, response.rate_limit);
        }
        drop(permit);
        self.log(request, &result);
        response::interpret(read, result)
    }

    /// HMAC-SHA256 of a text (RFC 2104) with the token as the key.
    pub(super) fn keyed_hash(&self, text: &str) -> [u8; 32] {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.token.as_str().as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(hmac::sign(&key, text.as_bytes()).as_ref());
        hash
    }

    /// Removes the token from a text of the API.
    pub(super) fn redact(&self, text: &str) -> String {
        redact(text, &[self.token.as_str()])
    }

    /// Logs one line per request. The path contains only words and ids; body and query are not
    /// logged.
    fn log(&self, request: &Request, result: &Result<Response, SendError>) {
        let (method, path) = (&request.method, &request.path);
        match result {
            Ok(response) => {
                let id = response.correlation_id.as_deref().unwrap_or_default();
                let correlation_id = self.redact(id);
                tracing::debug!(%method, %path, status = response.status, %correlation_id, "response");
            }
            Err(error) => tracing::debug!(%method, %path, %error, "no response"),
        }
    }
}

/// The request for one page of a list. Where the API can sort, the order by id keeps the pages
/// stable.
pub(super) fn page_of<T: Listed>(list: &Request, page: u32) -> Request {
    let request = if T::SORTABLE { list.clone().query("sort", "id:asc") } else { list.clone() };
    request.query("page", page).query("per_page", PER_PAGE)
}
