//! Actions: what the API does in the background.

use serde::Deserialize;

use super::lenient::{or_default, or_none};
use super::open_enum::open_enum;
use super::{ActionId, Timestamp};

/// A change that the API carries out in the background.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Action {
    /// The id.
    pub id: ActionId,
    /// What is done.
    pub command: Command,
    /// How far it is. The only field that decides: running and successful actions may carry an
    /// `error` too.
    pub status: ActionStatus,
    /// Percent done, 0 to 100.
    #[serde(default, deserialize_with = "or_default")]
    pub progress: u8,
    /// When it began.
    #[serde(default, deserialize_with = "or_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, deserialize_with = "or_none")]
    pub finished: Option<Timestamp>,
    /// What it works on.
    #[serde(default, deserialize_with = "or_default")]
    pub resources: Vec<Resource>,
    /// Why it failed; to be read only when the status is [`ActionStatus::Error`].
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
    /// How far an action is.
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
        ShutdownServer = "shutdown_server",
        RebootServer = "reboot_server",
        ResetServer = "reset_server",
        DeleteServer = "delete_server",
        CreateImage = "create_image",
        CreateVolume = "create_volume",
        AttachVolume = "attach_volume",
        DetachVolume = "detach_volume",
        ChangeProtection = "change_protection",
    }
}

/// What an action works on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Resource {
    /// The id, within its type.
    pub id: u64,
    /// `server`, `image`, `volume` and others.
    #[serde(rename = "type", default)]
    pub kind: String,
}

/// Why an action failed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ActionError {
    /// Free text such as `action_failed`; new ones appear without notice.
    #[serde(default, deserialize_with = "or_default")]
    pub code: String,
    /// For people.
    #[serde(default, deserialize_with = "or_default")]
    pub message: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_status_is_not_an_end() {
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
