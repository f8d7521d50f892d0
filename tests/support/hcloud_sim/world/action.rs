//! Actions: what takes time, shows progress and ends well or not.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::clock::Time;
use super::{Change, World};

/// Kinds of resources, as actions name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Action,
    Server,
    Volume,
    Image,
    SshKey,
    PrimaryIp,
    Network,
    Firewall,
    PlacementGroup,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Action => "action",
            Self::Server => "server",
            Self::Volume => "volume",
            Self::Image => "image",
            Self::SshKey => "ssh_key",
            Self::PrimaryIp => "primary_ip",
            Self::Network => "network",
            Self::Firewall => "firewall",
            Self::PlacementGroup => "placement_group",
        }
    }

    /// Where ids of this kind begin.
    pub(super) fn first_id(self) -> u64 {
        match self {
            Self::Action => 60_000_000,
            Self::Server => 90_000_000,
            Self::Volume => 80_000_000,
            Self::Image => 512_000_000,
            Self::SshKey => 30_000_000,
            Self::PrimaryIp => 70_000_000,
            Self::Network => 10_000_000,
            Self::Firewall => 11_000_000,
            Self::PlacementGroup => 12_000_000,
        }
    }
}

/// Something an action is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resource {
    pub kind: Kind,
    pub id: u64,
}

impl Resource {
    pub(crate) fn server(id: u64) -> Self {
        Self { kind: Kind::Server, id }
    }

    pub(crate) fn volume(id: u64) -> Self {
        Self { kind: Kind::Volume, id }
    }

    pub(crate) fn image(id: u64) -> Self {
        Self { kind: Kind::Image, id }
    }
}

/// Where an action stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ActionStatus {
    Running,
    Success,
    /// Code and message.
    Error(String, String),
}

impl ActionStatus {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Error(..) => "error",
        }
    }
}

/// One action.
#[derive(Debug, Clone)]
pub(crate) struct Action {
    pub id: u64,
    pub command: &'static str,
    pub status: ActionStatus,
    pub resources: Vec<Resource>,
    /// What it does when it ends.
    pub change: Change,
    /// When it was asked for.
    pub started: Time,
    /// When its work begins: a follow-up waits for the action before it.
    pub begins: Time,
    /// When it ends or has ended.
    pub ends: Time,
    /// The error it will end in, when a test wants that.
    pub fails: Option<String>,
}

impl Action {
    pub(crate) fn json(&self, now: Time) -> Value {
        let running = self.status == ActionStatus::Running;
        let error = match &self.status {
            ActionStatus::Error(code, message) => json!({"code": code, "message": message}),
            _ => Value::Null,
        };
        let resources: Vec<_> = self
            .resources
            .iter()
            .map(|resource| json!({"id": resource.id, "type": resource.kind.name()}))
            .collect();
        json!({
            "id": self.id,
            "command": self.command,
            "status": self.status.name(),
            "progress": self.progress(now),
            "started": self.started.rfc3339(),
            "finished": (!running).then(|| self.ends.rfc3339()),
            "resources": resources,
            "error": error,
        })
    }

    /// Percent. A running action never shows 100, a failed one stays where it was.
    fn progress(&self, now: Time) -> u64 {
        match self.status {
            ActionStatus::Success => 100,
            ActionStatus::Error(..) => 40,
            ActionStatus::Running => {
                let whole = self.ends.since(self.begins).as_millis().max(1);
                let done = now.since(self.begins).as_millis() * 100 / whole;
                u64::try_from(done).unwrap_or(u64::MAX).min(99)
            }
        }
    }
}

impl World {
    /// Begins an action now.
    pub(crate) fn begin(
        &mut self,
        command: &'static str,
        resources: &[Resource],
        takes: Duration,
        change: Change,
    ) -> u64 {
        self.begin_at(self.now, command, resources, takes, change)
    }

    /// Begins an action whose work waits for another one's end.
    pub(crate) fn begin_after(
        &mut self,
        previous: u64,
        command: &'static str,
        resources: &[Resource],
        takes: Duration,
        change: Change,
    ) -> u64 {
        let begins = self.actions[&previous].ends;
        self.begin_at(begins, command, resources, takes, change)
    }

    fn begin_at(
        &mut self,
        begins: Time,
        command: &'static str,
        resources: &[Resource],
        takes: Duration,
        change: Change,
    ) -> u64 {
        let id = self.new_id(Kind::Action);
        let action = Action {
            id,
            command,
            status: ActionStatus::Running,
            resources: resources.to_vec(),
            change,
            started: self.now,
            begins,
            ends: begins.after(takes),
            fails: self.next_action_fails.take(),
        };
        self.agenda.insert((action.ends, id));
        self.actions.insert(id, action);
        id
    }

    pub(crate) fn action_json(&self, id: u64) -> Value {
        self.actions[&id].json(self.now)
    }

    /// The actions of a resource, oldest first.
    pub(crate) fn actions_of(&self, kind: Kind, id: Option<u64>) -> Vec<Value> {
        self.actions
            .values()
            .filter(|action| {
                let about = |r: &Resource| r.kind == kind && id.is_none_or(|id| r.id == id);
                action.resources.iter().any(about)
            })
            .map(|action| action.json(self.now))
            .collect()
    }
}
