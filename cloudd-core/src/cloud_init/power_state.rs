//! `power_state`.

use std::time::Duration;

use serde::Serialize;

use super::check;
use super::command::Command;
use super::error::Result;

/// Powers the machine off, or reboots it, after cloud-init has finished.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[must_use]
pub struct PowerState {
    mode: PowerMode,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<Command>,
}

/// The way in which a machine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PowerMode {
    /// Stops and powers off.
    Poweroff,
    /// Restarts.
    Reboot,
    /// Stops without powering off.
    Halt,
}

impl PowerState {
    /// Acts immediately after cloud-init has finished.
    pub fn new(mode: PowerMode) -> Self {
        Self { mode, delay: None, message: None, timeout: None, condition: None }
    }

    /// Waits this many minutes after cloud-init has finished.
    #[doc(alias = "delay")]
    pub fn delay_minutes(mut self, minutes: u32) -> Self {
        self.delay = Some(minutes);
        self
    }

    /// Sets the message that shutdown(8) shows to logged-in users.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// Sets how long to wait for cloud-init to exit, in whole seconds. The default is 30 s.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.as_secs());
        self
    }

    /// Acts only if this command exits with 0.
    pub fn condition(mut self, command: impl Into<Command>) -> Self {
        self.condition = Some(command.into());
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        if let Some(message) = &self.message {
            check::one_line("power_state.message", message)?;
        }
        self.condition.iter().try_for_each(|command| command.check("power_state.condition", 0))
    }
}
