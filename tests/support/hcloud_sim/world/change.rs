//! What actions do when they end.

use std::time::Duration;

use super::super::guests::{Boot, Capture, Storage};
use super::action::{ActionStatus, Kind, Resource};
use super::{ImageStatus, ServerStatus, VolumeStatus, World};

/// What an action does when it ends well.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    ServerCreated(u64),
    ServerStarted(u64),
    ServerStopped(u64),
    /// The power button was pressed.
    ServerSignalled(u64),
    ServerReset(u64),
    ServerRebuilt {
        server: u64,
        image: u64,
    },
    ServerDeleted(u64),
    ServerRescaled {
        server: u64,
        server_type: u64,
    },
    ImageCaptured(u64),
    VolumeCreated(u64),
    VolumeAttached {
        volume: u64,
        server: u64,
    },
    VolumeDetached(u64),
    VolumeResized {
        volume: u64,
        gb: u64,
    },
    Protected(Resource, bool),
    Rescue(u64, bool),
    Backups(u64, bool),
    /// Something that nothing else here depends on.
    Nothing,
}

/// How the end of an action went.
pub(super) enum Outcome {
    Done,
    /// Not ready: ask again after this.
    Later(Duration),
    Failed(String),
}

impl World {
    /// Makes an action's change happen.
    pub(super) fn apply(&mut self, change: &Change) -> Outcome {
        let done = match *change {
            Change::ServerCreated(id) => self.server_created(id),
            // Powering on what runs is no error, and no restart.
            Change::ServerStarted(id) if self.servers[&id].status == ServerStatus::Running => {
                Ok(())
            }
            Change::ServerStarted(id) => self.boot(id),
            Change::ServerStopped(id) => {
                self.power_down(id);
                Ok(())
            }
            Change::ServerSignalled(id) => {
                self.guests.press_power(id, self.now);
                Ok(())
            }
            Change::ServerReset(id) => {
                self.guests.stop(id);
                self.boot(id)
            }
            Change::ServerRebuilt { server, image } => self.server_rebuilt(server, image),
            Change::ServerDeleted(id) => {
                self.server_deleted(id);
                Ok(())
            }
            Change::ServerRescaled { server, server_type } => {
                self.with_server(server, |s| {
                    s.server_type = server_type;
                    s.status = ServerStatus::Off;
                });
                Ok(())
            }
            Change::ImageCaptured(id) => return self.image_captured(id),
            Change::VolumeCreated(id) => {
                let gb = self.volumes[&id].gb;
                self.with_volume(id, |v| v.status = VolumeStatus::Available);
                self.guests.storage(Storage::Volume { volume: id, gb })
            }
            Change::VolumeAttached { volume, server } => {
                self.with_volume(volume, |v| v.server = Some(server));
                self.guests.storage(Storage::Attached { volume, server })
            }
            Change::VolumeDetached(id) => self.detach(id),
            Change::VolumeResized { volume, gb } => {
                self.with_volume(volume, |v| v.gb = gb);
                self.guests.storage(Storage::Resized { volume, gb })
            }
            Change::Protected(resource, on) => {
                match resource.kind {
                    Kind::Server => self.with_server(resource.id, |s| s.protected = on),
                    Kind::Volume => self.with_volume(resource.id, |v| v.protected = on),
                    _ => self.with_image(resource.id, |i| i.protected = on),
                }
                Ok(())
            }
            Change::Rescue(id, on) => {
                self.with_server(id, |s| s.rescue = on);
                Ok(())
            }
            Change::Backups(id, on) => {
                self.with_server(id, |s| s.backups = on);
                Ok(())
            }
            Change::Nothing => Ok(()),
        };
        match done {
            Ok(()) => Outcome::Done,
            Err(message) => Outcome::Failed(message),
        }
    }

    /// Leaves things as a failed action leaves them.
    pub(super) fn give_up(&mut self, change: &Change, code: &str) {
        match *change {
            Change::ServerCreated(id) => {
                self.with_server(id, |s| s.status = ServerStatus::Off);
                self.fail_followers(id, code);
            }
            Change::ServerStarted(id) => self.with_server(id, |s| s.status = ServerStatus::Off),
            Change::ServerStopped(id) => self.with_server(id, |s| s.status = ServerStatus::Running),
            Change::ServerRebuilt { server, .. } | Change::ServerRescaled { server, .. } => {
                self.with_server(server, |s| s.status = ServerStatus::Off);
            }
            // It stays, and is to be seen again.
            Change::ServerDeleted(id) => self.with_server(id, |s| s.deleting = false),
            Change::ImageCaptured(id) => {
                self.with_image(id, |i| i.status = ImageStatus::Unavailable);
            }
            _ => {}
        }
    }

    /// What was to follow a failed `create_server` fails too.
    fn fail_followers(&mut self, server: u64, code: &str) {
        for (_, action) in &self.agenda {
            let action = self.actions.get_mut(action).expect("the agenda holds running actions");
            if action.resources.contains(&Resource::server(server))
                && action.status == ActionStatus::Running
            {
                action.fails.get_or_insert_with(|| code.to_owned());
            }
        }
    }

    fn server_created(&mut self, id: u64) -> Result<(), String> {
        let starts = self.servers[&id].starts;
        let status = if starts { ServerStatus::Starting } else { ServerStatus::Off };
        self.with_server(id, |s| s.status = status);
        let (image, gb) = (self.servers[&id].made_from, self.servers[&id].disk_gb);
        self.guests.storage(Storage::Root { server: id, image, gb })
    }

    fn server_rebuilt(&mut self, id: u64, image: u64) -> Result<(), String> {
        self.guests.stop(id);
        let gb = self.servers[&id].disk_gb;
        self.with_server(id, |s| {
            s.made_from = image;
            s.status = ServerStatus::Off;
        });
        self.guests.storage(Storage::Root { server: id, image, gb })?;
        self.boot(id)
    }

    /// Powers a server on, unless it already is.
    fn boot(&mut self, id: u64) -> Result<(), String> {
        let server = &self.servers[&id];
        let server_type = self.type_of(server);
        let keys = server.ssh_keys.iter().filter_map(|key| self.ssh_keys.get(key));
        let boot = Boot {
            server: id,
            name: server.name.clone(),
            user_data: server.user_data.clone(),
            ssh_keys: keys.map(|key| key.public_key.clone()).collect(),
            volumes: self.volumes_of(id),
            rescue: server.rescue,
            ipv4: self.address_of(server),
            architecture: server_type.architecture.to_owned(),
            memory: server_type.memory,
        };
        self.with_server(id, |s| {
            s.rescue = false; // lapses on the first rescue boot
            s.status = ServerStatus::Running;
        });
        self.guests.start(boot, self.now)
    }

    fn power_down(&mut self, id: u64) {
        self.guests.stop(id);
        self.with_server(id, |s| s.status = ServerStatus::Off);
    }

    fn server_deleted(&mut self, id: u64) {
        self.guests.stop(id);
        for volume in self.volumes_of(id) {
            // Nothing is left to report a failure to: the volume is out either way.
            self.detach(volume).unwrap_or_default();
        }
        self.primary_ips.retain(|_, ip| !(ip.server == Some(id) && ip.auto_delete));
        for ip in self.primary_ips.values_mut().filter(|ip| ip.server == Some(id)) {
            ip.server = None;
        }
        self.servers.remove(&id);
        self.guests.storage(Storage::ServerGone { server: id }).unwrap_or_default();
    }

    fn detach(&mut self, volume: u64) -> Result<(), String> {
        let server = self.volumes.get_mut(&volume).and_then(|v| v.server.take());
        match server {
            Some(server) => self.guests.storage(Storage::Detached { volume, server }),
            None => Ok(()),
        }
    }

    fn image_captured(&mut self, id: u64) -> Outcome {
        match self.guests.captured(id, self.now) {
            Capture::Pending => Outcome::Later(Duration::from_secs(1)),
            Capture::Failed(message) => Outcome::Failed(message),
            Capture::Done { gb } => {
                self.with_image(id, |image| {
                    image.status = ImageStatus::Available;
                    image.gb = Some(gb);
                });
                Outcome::Done
            }
        }
    }
}
