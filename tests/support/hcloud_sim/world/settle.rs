//! Lets time pass: actions end in their order, guests power off in between.

use super::super::clock::Time;
use super::super::guests::Power;
use super::action::ActionStatus;
use super::change::Outcome;
use super::{ServerStatus, World};

impl World {
    /// Brings everything up to `now`.
    pub(crate) fn settle(&mut self, now: Time) {
        while let Some((at, action)) = self.agenda.first().copied().filter(|(at, _)| *at <= now) {
            self.now = at.max(self.now);
            self.look_at_guests();
            self.agenda.pop_first();
            self.end(action);
        }
        self.now = now.max(self.now);
        self.look_at_guests();
    }

    /// Notices guests which have powered themselves off.
    fn look_at_guests(&mut self) {
        for server in self.servers.values_mut() {
            if server.status != ServerStatus::Running {
                continue;
            }
            if let Power::Off { at } = self.guests.state(server.id, self.now) {
                server.status = ServerStatus::Off;
                self.stats.note_end("power_off", server.id, at);
            }
        }
    }

    fn end(&mut self, id: u64) {
        let action = &self.actions[&id];
        let (change, command) = (action.change.clone(), action.command);
        let outcome = match &action.fails {
            Some(code) => Err((code.clone(), "Action failed".to_owned())),
            None => match self.apply(&change) {
                Outcome::Done => Ok(()),
                Outcome::Failed(message) => Err(("action_failed".to_owned(), message)),
                Outcome::Later(wait) => {
                    let again = self.now.after(wait);
                    if let Some(action) = self.actions.get_mut(&id) {
                        action.ends = again;
                    }
                    self.agenda.insert((again, id));
                    return;
                }
            },
        };
        let status = match outcome {
            Ok(()) => ActionStatus::Success,
            Err((code, message)) => {
                self.give_up(&change, &code);
                ActionStatus::Error(code, message)
            }
        };
        if let Some(action) = self.actions.get_mut(&id) {
            action.status = status;
            action.ends = self.now;
        }
        self.stats.note_end(command, id, self.now);
    }
}
