//! `power_state`.

use std::time::Duration;

use serde::Serialize;

use super::check;
use super::commands::Command;
use super::config::{CloudConfig, Section};
use super::error::Result;
use super::render::Document;

impl CloudConfig {
    /// Switches the machine off, or reboots it, when cloud-init has finished its first run.
    pub fn power_state(mut self, state: PowerState) -> Self {
        self.power_state = Some(state);
        self
    }
}

/// What happens to the machine when cloud-init has finished.
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

/// The way a machine stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum PowerMode {
    /// Stops and switches off.
    Poweroff,
    /// Starts anew.
    Reboot,
    /// Stops without switching off.
    Halt,
}

impl PowerState {
    /// At once when cloud-init has finished.
    pub fn new(mode: PowerMode) -> Self {
        Self { mode, delay: None, message: None, timeout: None, condition: None }
    }

    /// So many minutes after cloud-init has finished.
    #[doc(alias = "delay")]
    pub fn delay_minutes(mut self, minutes: u32) -> Self {
        self.delay = Some(minutes);
        self
    }

    /// What shutdown(8) tells those who are logged in.
    pub fn message(mut self, message: impl Into<String>) -> Self {
        self.message = Some(message.into());
        self
    }

    /// How long cloud-init's own end is waited for, in whole seconds; 30 s if not given.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout.as_secs());
        self
    }

    /// Only if this command exits with 0.
    pub fn condition(mut self, command: impl Into<Command>) -> Self {
        self.condition = Some(command.into());
        self
    }
}

impl Section for Option<PowerState> {
    fn check(&self) -> Result<()> {
        let Some(state) = self else {
            return Ok(());
        };
        if let Some(message) = &state.message {
            check::one_line("power_state.message", message)?;
        }
        state.condition.iter().try_for_each(|command| command.check("power_state.condition", 0))
    }

    fn write(&self, document: &mut Document) -> Result<()> {
        document.entry_if("power_state", self);
        Ok(())
    }
}
