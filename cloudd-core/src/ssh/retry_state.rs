use std::time::Duration;

use super::error::{Retryability, SshError};
use crate::guest::Reachability;
use crate::provider::Result;
use crate::retry::Backoff;

/// The delays between attempts. They stay short: a guest boots for minutes, but then answers within
/// a second.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2), 1.5, 0.2);

/// The authentication failure, counted before the first success, that ends the attempts. While a
/// guest boots, sshd may accept connections before cloud-init has installed the keys.
const MAX_REFUSALS: u32 = 4;

/// Decides after each error whether to retry, and when.
pub(super) struct RetryState {
    operation: &'static str,
    guest: String,
    delays: Box<dyn Iterator<Item = Duration> + Send>,
    refusals: u32,
    succeeded: bool,
    reachability: Reachability,
}

impl RetryState {
    pub(super) fn new(operation: &'static str, guest: String, reachability: Reachability) -> Self {
        Self {
            operation,
            guest,
            delays: Box::new(BACKOFF.pauses()),
            refusals: 0,
            succeeded: false,
            reachability,
        }
    }

    /// Records that the guest has started the script, which may still have to wait.
    pub(super) fn on_connected(&self) {
        self.reachability.set_reachable();
    }

    /// Records that the script works, which resets delays and refusals.
    pub(super) fn on_success(&mut self) {
        self.succeeded = true;
        self.refusals = 0;
        self.delays = Box::new(BACKOFF.pauses());
        self.reachability.set_reachable();
    }

    /// Records an error, and returns the delay before the next attempt.
    ///
    /// # Errors
    /// The error, if retrying cannot help.
    pub(super) fn on_error(&mut self, error: SshError) -> Result<Duration> {
        self.reachability.set_unreachable(&error);
        let permanent = match error.retryability() {
            Retryability::Transient => false,
            Retryability::TransientDuringBoot => {
                self.refusals += 1;
                // After a success, a refusal comes from a guest that shuts down.
                !self.succeeded && self.refusals >= MAX_REFUSALS
            }
            Retryability::Permanent => true,
        };
        if permanent {
            return Err(error.into_error(self.operation, &self.guest, self.refusals.max(1)));
        }
        let delay = self.delays.next().unwrap_or(BACKOFF.longest);
        tracing::debug!(guest = self.guest, %error, ?delay, "{}: retrying", self.operation);
        Ok(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::ErrorKind;

    fn retries() -> RetryState {
        RetryState::new("follow builder VM", "192.0.2.1:22".to_owned(), Reachability::new())
    }

    fn refused() -> SshError {
        SshError::Refused { user: "root".to_owned() }
    }

    #[test]
    fn an_unreachable_guest_is_retried_without_end() {
        let mut retries = retries();
        for _ in 0..1000 {
            let delay = retries.on_error(SshError::Unreachable("connection refused".to_owned()));
            assert!(delay.unwrap() <= Duration::from_secs(3));
        }
        assert_eq!(retries.reachability.reason().unwrap(), "connection refused");
        retries.on_success();
        assert!(retries.reachability.is_reachable());
    }

    #[test]
    fn a_wrong_host_key_fails_at_once() {
        let mut retries = retries();
        retries.on_success();
        let error =
            SshError::HostKey { expected: "SHA256:A".to_owned(), seen: "SHA256:B".to_owned() };
        let error = retries.on_error(error).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        assert_eq!(
            error.to_string(),
            "follow builder VM 192.0.2.1:22: the host key is SHA256:B, not SHA256:A, the one of \
             this build; another machine answers at this address, or the guest's cloud-init did \
             not install its host key; nothing was sent"
        );
    }

    #[test]
    fn a_refused_user_key_fails_the_fourth_time() {
        let mut retries = retries();
        for _ in 0..3 {
            retries.on_error(refused()).unwrap();
            retries.on_error(SshError::Lost).unwrap();
        }
        let error = retries.on_error(refused()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.to_string().contains("refuses user root"), "{error}");
        assert!(error.to_string().contains("after 4 attempts"), "{error}");
    }

    #[test]
    fn a_refusal_after_a_success_is_retried() {
        let mut retries = retries();
        retries.on_success();
        for _ in 0..100 {
            retries.on_error(refused()).unwrap();
        }
    }
}
