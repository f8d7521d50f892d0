use std::time::Duration;

use super::trouble::{Nature, Trouble};
use crate::guest::Obstacle;
use crate::provider::Result;
use crate::retry::Backoff;

/// How soon a connection is tried again. A guest boots for minutes and answers within a second of
/// its sshd's start, so pauses stay short.
const PACE: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(2), 1.5, 0.2);

/// How often a stubborn trouble is seen before it is believed: while a guest boots, its sshd may be
/// up a moment before cloud-init is done with the keys.
const STUBBORN: u32 = 4;

/// Decides after each trouble whether, and when, to try again.
pub(super) struct Patience {
    operation: &'static str,
    guest: String,
    pauses: Box<dyn Iterator<Item = Duration> + Send>,
    refusals: u32,
    worked: bool,
    obstacle: Obstacle,
}

impl Patience {
    pub(super) fn new(operation: &'static str, guest: String, obstacle: Obstacle) -> Self {
        Self {
            operation,
            guest,
            pauses: Box::new(PACE.pauses()),
            refusals: 0,
            worked: false,
            obstacle,
        }
    }

    /// The other side is there and runs what it is asked to. It may still have to wait.
    pub(super) fn reached(&self) {
        self.obstacle.is_overcome();
    }

    /// The other side did what it should.
    pub(super) fn worked(&mut self) {
        self.worked = true;
        self.refusals = 0;
        self.pauses = Box::new(PACE.pauses());
        self.obstacle.is_overcome();
    }

    /// The pause before the next try.
    ///
    /// # Errors
    /// The trouble, if it will not pass.
    pub(super) fn after(&mut self, trouble: Trouble) -> Result<Duration> {
        self.obstacle.stands(&trouble);
        let nature = trouble.nature();
        self.refusals += u32::from(nature == Nature::Stubborn);
        // What worked once and is refused now is a guest on its way down.
        let given_up = nature == Nature::Stubborn && !self.worked && self.refusals >= STUBBORN;
        if nature == Nature::Final || given_up {
            return Err(trouble.into_error(self.operation, &self.guest, self.refusals.max(1)));
        }
        let pause = self.pauses.next().unwrap_or(PACE.longest);
        tracing::debug!(guest = self.guest, %trouble, ?pause, "{}: trying again", self.operation);
        Ok(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::ErrorKind;

    fn patience() -> Patience {
        Patience::new("follow builder VM", "192.0.2.1:22".to_owned(), Obstacle::new())
    }

    fn refused() -> Trouble {
        Trouble::Refused { user: "root".to_owned() }
    }

    #[test]
    fn a_guest_that_does_not_answer_is_asked_for_ever() {
        let mut patience = patience();
        for _ in 0..1000 {
            let pause = patience.after(Trouble::Unreachable("connection refused".to_owned()));
            assert!(pause.unwrap() <= Duration::from_secs(3));
        }
        assert_eq!(patience.obstacle.why().unwrap(), "connection refused");
        patience.worked();
        assert_eq!(patience.obstacle.why(), None);
    }

    #[test]
    fn another_host_key_is_believed_at_once() {
        let mut patience = patience();
        patience.worked();
        let trouble =
            Trouble::HostKey { expected: "SHA256:A".to_owned(), seen: "SHA256:B".to_owned() };
        let error = patience.after(trouble).unwrap_err();
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
        let mut patience = patience();
        for _ in 0..3 {
            patience.after(refused()).unwrap();
            patience.after(Trouble::Lost).unwrap();
        }
        let error = patience.after(refused()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unauthorized);
        assert!(error.to_string().contains("user root is not let in"), "{error}");
        assert!(error.to_string().contains("after 4 attempts"), "{error}");
    }

    #[test]
    fn what_worked_once_and_is_refused_later_is_no_reason_to_give_up() {
        let mut patience = patience();
        patience.worked();
        for _ in 0..100 {
            patience.after(refused()).unwrap();
        }
    }
}
