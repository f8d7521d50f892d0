//! Guests that play their part by a script.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::super::clock::Time;
use super::{Boot, Builder, Capture, Contents, Delivery, Guests, Power, Storage};

/// What a builder does with its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum GuestScript {
    /// Stage 1, stage 2, power-off.
    #[default]
    Success,
    /// Stage 1 fails: the guest reports it and waits to be deleted, with its power on.
    FailStage1,
    /// Stage 2 fails: half an image on the root disk, power on.
    FailStage2,
    /// Nothing happens, and the power button is ignored.
    Hang,
    /// The machine dies in the middle of stage 1: off, with the builder's system still on it.
    CrashStage1,
}

impl GuestScript {
    /// The script of this name: `success`, `fail-stage1`, `fail-stage2`, `hang`, `crash-stage1`.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "success" => Self::Success,
            "fail-stage1" => Self::FailStage1,
            "fail-stage2" => Self::FailStage2,
            "hang" => Self::Hang,
            "crash-stage1" => Self::CrashStage1,
            _ => return None,
        })
    }
}

/// How long a simulated guest takes, in simulated time.
#[derive(Debug, Clone, Copy)]
pub struct GuestTimes {
    /// From power-on to the end of stage 1.
    pub stage1: Duration,
    /// From there to power-off.
    pub stage2: Duration,
    /// From the power button to power-off.
    pub shutdown: Duration,
    /// From power-on to power-off of what was installed, if that powers off.
    pub installed: Option<Duration>,
}

impl Default for GuestTimes {
    /// 90 s, 30 s and 5 s; what was installed just runs.
    fn default() -> Self {
        Self {
            stage1: Duration::from_secs(90),
            stage2: Duration::from_secs(30),
            shutdown: Duration::from_secs(5),
            installed: None,
        }
    }
}

/// What the next builders play. Shared between a test and its simulator.
#[derive(Debug, Clone, Default)]
pub struct ScriptedGuests(Arc<Mutex<Scripts>>);

#[derive(Debug, Default)]
struct Scripts {
    next: VecDeque<GuestScript>,
    otherwise: GuestScript,
}

impl ScriptedGuests {
    /// The next builder that starts without another script waiting plays this one.
    pub fn push(&self, script: GuestScript) {
        self.lock().next.push_back(script);
    }

    /// Builders for which nothing was pushed play this one.
    pub fn otherwise(&self, script: GuestScript) {
        self.lock().otherwise = script;
    }

    fn take(&self) -> GuestScript {
        let mut scripts = self.lock();
        let otherwise = scripts.otherwise;
        scripts.next.pop_front().unwrap_or(otherwise)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Scripts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guests without machines.
///
/// A server with cloudd's user data, on a system with cloud-init that boots for the first time,
/// plays a [`GuestScript`]. It waits for ever when the volume it looks for is not attached, or
/// when its context has to be uploaded: nothing here speaks SSH. Every other server just runs.
#[derive(Debug)]
pub struct Simulated {
    scripts: ScriptedGuests,
    times: GuestTimes,
    disks: BTreeMap<u64, Disk>,
    images: BTreeMap<u64, Contents>,
    running: BTreeMap<u64, Run>,
}

#[derive(Debug)]
struct Disk {
    contents: Contents,
    /// cloud-init acts once per instance: a second boot does nothing.
    booted: bool,
}

/// A machine with its power on.
#[derive(Debug, Clone, Copy)]
struct Run {
    off_at: Option<Time>,
    /// What the root disk holds from a moment on.
    written: Option<(Time, Contents)>,
    obeys_button: bool,
}

impl Simulated {
    /// Guests which play these scripts at this pace.
    #[must_use]
    pub fn new(scripts: ScriptedGuests, times: GuestTimes) -> Self {
        Self {
            scripts,
            times,
            disks: BTreeMap::new(),
            images: BTreeMap::new(),
            running: BTreeMap::new(),
        }
    }

    /// What happens after this boot.
    fn plan(&mut self, boot: &Boot, now: Time) -> Run {
        let idle = Run { off_at: None, written: None, obeys_button: true };
        let Some(disk) = self.disks.get_mut(&boot.server).filter(|_| !boot.rescue) else {
            return idle;
        };
        if disk.contents == Contents::Installed {
            return Run { off_at: self.times.installed.map(|span| now.after(span)), ..idle };
        }
        let first = !std::mem::replace(&mut disk.booted, true);
        let user_data = boot.user_data.as_deref().filter(|_| first);
        let builder = user_data.and_then(Builder::from_user_data);
        let Some(builder) = builder.filter(|_| disk.contents == Contents::System) else {
            return idle;
        };
        let names = |volume: &u64| builder.volume == super::super::world::linux_device(*volume);
        if builder.delivery == Delivery::Upload || !boot.volumes.iter().any(names) {
            return idle;
        }

        let armed = now.after(self.times.stage1);
        let halfway = armed.after(self.times.stage2 / 2);
        let end = armed.after(self.times.stage2);
        match self.scripts.take() {
            GuestScript::Success => {
                Run { off_at: Some(end), written: Some((end, Contents::Installed)), ..idle }
            }
            GuestScript::FailStage1 => idle,
            GuestScript::FailStage2 => Run { written: Some((halfway, Contents::Broken)), ..idle },
            GuestScript::Hang => Run { obeys_button: false, ..idle },
            GuestScript::CrashStage1 => {
                Run { off_at: Some(now.after(self.times.stage1 / 2)), ..idle }
            }
        }
    }

    /// Writes down what a machine has done to its disk by now.
    fn catch_up(&mut self, server: u64, now: Time) {
        let written = self.running.get(&server).and_then(|run| run.written);
        if let Some((_, contents)) = written.filter(|(at, _)| *at <= now)
            && let Some(disk) = self.disks.get_mut(&server)
        {
            disk.contents = contents;
        }
    }
}

impl Guests for Simulated {
    fn storage(&mut self, change: Storage) -> Result<(), String> {
        match change {
            Storage::Root { server, image, .. } => {
                let contents = self.contents(image);
                self.disks.insert(server, Disk { contents, booted: false });
            }
            Storage::ServerGone { server } => {
                self.disks.remove(&server);
                self.running.remove(&server);
            }
            Storage::ImageGone { image } => {
                self.images.remove(&image);
            }
            _ => {}
        }
        Ok(())
    }

    fn start(&mut self, boot: Boot, now: Time) -> Result<(), String> {
        let run = self.plan(&boot, now);
        self.running.insert(boot.server, run);
        Ok(())
    }

    fn press_power(&mut self, server: u64, now: Time) {
        let off = now.after(self.times.shutdown);
        if let Some(run) = self.running.get_mut(&server).filter(|run| run.obeys_button) {
            run.off_at = Some(run.off_at.map_or(off, |planned| planned.min(off)));
            run.written = run.written.filter(|(at, _)| *at <= off);
        }
    }

    fn stop(&mut self, server: u64) {
        self.running.remove(&server);
    }

    fn state(&mut self, server: u64, now: Time) -> Power {
        self.catch_up(server, now);
        let Some(run) = self.running.get(&server) else {
            return Power::Off { at: now };
        };
        match run.off_at.filter(|at| *at <= now) {
            Some(at) => {
                self.running.remove(&server);
                Power::Off { at }
            }
            None => Power::On,
        }
    }

    fn capture(&mut self, server: u64, image: u64, now: Time) -> Result<(), String> {
        self.catch_up(server, now);
        let disk = self.disks.get(&server).ok_or("server has no disk")?;
        self.images.insert(image, disk.contents);
        Ok(())
    }

    fn captured(&mut self, _: u64, _: Time) -> Capture {
        Capture::Done { gb: 1.84 }
    }

    fn contents(&self, image: u64) -> Contents {
        // Images that no build made are those that Hetzner offers.
        self.images.get(&image).copied().unwrap_or(Contents::System)
    }
}
