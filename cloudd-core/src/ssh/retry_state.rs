use std::time::Duration;

use super::error::{Retryability, SshError};
use crate::guest::Reachability;
use crate::provider::Result;
use crate::retry::Backoff;

/// How soon a connection is tried again. A guest boots for minutes and answers within a second of
/// its sshd's start, so pauses stay short.
const PACE: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2), 1.5, 0.2);

/// How often a stubborn error is seen before it is believed: while a guest boots, its sshd may be
/// up a moment before cloud-init is done with the keys.
const STUBBORN: u32 = 4;

/// Decides after each error whether, and when, to try again.
pub(super) struct RetryState {
    operation: &'static str,
    guest: String,
    pauses: Box<dyn Iterator<Item = Duration> + Send>,
    refusals: u32,
    worked: bool,
    reachability: Reachability,
}

impl RetryState {
    pub(super) fn new(operation: &'static str, guest: String, reachability: Reachability) -> Self {
        Self {
            operation,
            guest,
            pauses: Box::new(PACE.pauses()),
            refusals: 0,
            worked: false,
            reachability,
        }
    }

    /// The other side is there and runs what it is asked to. It may still have to wait.
    pub(super) fn on_connected(&self) {
        self.reachability.set_reachable();
    }

    /// The other side did what it should.
    pub(super) fn on_success(&mut self) {
        self.worked = true;
        self.refusals = 0;
        self.pauses = Box::new(PACE.pauses());
        self.reachability.set_reachable();
    }

    /// The pause before the next try.
    ///
    /// # Errors
    /// The error, if it will not pass.
    pub(super) fn on_error(&mut self, error: SshError) -> Result<Duration> {
        self.reachability.set_unreachable(&error);
        let nature = error.retryability();
        self.refusals += u32::from(nature == Retryability::TransientDuringBoot);
        // What worked once and is refused now is a guest on its way down.
        let given_up = nature == Retryability::TransientDuringBoot
            && !self.worked
            && self.refusals >= STUBBORN;
        if nature == Retryability::Permanent || given_up {
            return Err(error.into_error(self.operation, &self.guest, self.refusals.max(1)));
        }
        let pause = self.pauses.next().unwrap_or(PACE.longest);
        tracing::debug!(guest = self.guest, %error, ?pause, "{}: trying again", self.operation);
        Ok(pause)
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
    fn a_guest_that_does_not_answer_is_asked_for_ever() {
        let mut retries = retries();
        for _ in 0..1000 {
            let pause = retries.on_error(SshError::Unreachable("connection refused".to_owned()));
            assert!(pause.unwrap() <= Duration::from_secs(3));
        }
        assert_eq!(retries.reachability.reason().unwrap(), "connection refused");
        retries.on_success();
        assert_eq!(retries.reachability.reason(), None);
    }

    #[test]
    fn another_host_key_is_believed_at_once() {
        let mut retries = retries();
        retries.on_success();
        let error =
            SshError::HostKey { expected: "SHA256:A".to_owned(), seen: "SHA256:B".to_owned() };
        let error = retries.on_error(error).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Untrusted);
        assert_eq!(
            error.to_string(),
            "follow builder VM 192.0.2.1:22: the host key is SHA256:B, not SHA256:A, the one made \
             for this build; another machine answers at this address, or the guest's cloud-init \
             did not install its host key; nothing was sent"
        );
    }

    #[test]
    fn a_refused_user_key_is_believed_the_fourth_time() {
        let mut retries = retries();
        for _ in 0..3 {
            retries.on_error(refused()).unwrap();
            retries.on_error(SshError::Lost).unwrap();
        }
        let error = retries.on_error(refused()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.to_string().contains("user root is not let in"), "{error}");
        assert!(error.to_string().contains("after 4 attempts"), "{error}");
    }

    #[test]
    fn what_worked_once_and_is_refused_later_is_no_reason_to_give_up() {
        let mut retries = retries();
        retries.on_success();
        for _ in 0..100 {
            retries.on_error(refused()).unwrap();
        }
    }
}
