//! Actions: changes that the API carries out in the background.

use serde::Deserialize;

use super::ActionId;
use super::lenient::{or_default, or_none};
use super::open_enum::open_enum;

/// A change that the API carries out in the background.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Action {
    /// The id.
    pub id: ActionId,
    /// What the action does.
    pub command: Command,
    /// Whether it runs, succeeded or failed. Only this field decides: running and successful
    /// actions may carry an `error` too.
    pub status: ActionStatus,
    /// Progress in percent, 0 to 100.
    #[serde(default, deserialize_with = "or_default")]
    pub progress: u8,
    /// Why it failed. Meaningful only when the status is [`ActionStatus::Error`].
    #[serde(default, deserialize_with = "or_none")]
    pub error: Option<ActionError>,
}

impl Action {
    /// Whether the status is final.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        matches!(self.status, ActionStatus::Success | ActionStatus::Error)
    }
}

open_enum! {
    /// The status of an action.
    pub enum ActionStatus {
        Running = "running",
        Success = "success",
        Error = "error",
    }
}

open_enum! {
    /// What an action does.
    pub enum Command {
        CreateServer = "create_server",
        StartServer = "start_server",
        StopServer = "stop_server",
        DeleteServer = "delete_server",
        CreateImage = "create_image",
        CreateVolume = "create_volume",
        AttachVolume = "attach_volume",
        ChangeProtection = "change_protection",
    }
}

/// Why an action failed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ActionError {
    /// A code such as `action_failed`. The API adds codes without notice.
    #[serde(default, deserialize_with = "or_default")]
    pub code: String,
    /// The explanation.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_status_is_not_final() {
        let text = r#"{"id":1,"command":"create_moon","status":"paused"}"#;
        let action: Action = serde_json::from_str(text).unwrap();
        assert_eq!(action.command.as_str(), "create_moon");
        assert!(!action.is_ended());
    }

    #[test]
    fn a_filled_error_does_not_make_a_success_a_failure() {
        let text = r#"{"id":1,"command":"start_server","status":"success","error":{"code":"x","message":"y"}}"#;
        let action: Action = serde_json::from_str(text).unwrap();
        assert_eq!(action.status, ActionStatus::Success);
    }
}
