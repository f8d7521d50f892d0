//! The servers: simulated disks, a real sshd, an agent that plays a test's script.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use cloudd_tests::hcloud_sim::{
    Boot, Builder, Capture, Contents, GuestScript, GuestTimes, Guests, Power, ScriptedGuests,
    Simulated, Storage, Time, cloud_config,
};

use crate::agent::{Agent, End, elsewhere};
use crate::support::Sshd;

type Script = Arc<dyn Fn(&mut Agent) -> End + Send + Sync>;

/// Servers which all play the same script.
pub(crate) struct Machines {
    port: u16,
    script: Script,
    /// Another host key than that of the user data.
    host_key: Option<String>,
    /// Disks and images; its own guests do nothing.
    disks: Simulated,
    running: BTreeMap<u64, Arc<Machine>>,
    installed: BTreeSet<u64>,
    images: BTreeMap<u64, Contents>,
}

/// A machine that is on, or was.
pub(crate) struct Machine {
    sshd: Mutex<Sshd>,
    end: Mutex<Option<Result<End, String>>>,
}

impl Machine {
    pub(crate) fn sshd(&self) -> MutexGuard<'_, Sshd> {
        self.sshd.lock().unwrap()
    }

    /// Plays a script to its end.
    fn play(self: &Arc<Self>, build: String, script: &Script) {
        let mut agent = Agent::new(build, Arc::clone(self));
        let end = catch_unwind(AssertUnwindSafe(|| script(&mut agent)));
        if matches!(end, Ok(End::Done | End::PowerCut)) {
            self.sshd().stop();
        }
        let end = end.map_err(|panic| format!("{:?}", panic.downcast_ref::<String>()));
        *self.end.lock().unwrap() = Some(end);
    }
}

impl Machines {
    /// Servers with an sshd at this port.
    pub(crate) fn new(
        port: u16,
        script: impl Fn(&mut Agent) -> End + Send + Sync + 'static,
    ) -> Self {
        let scripts = ScriptedGuests::default();
        scripts.otherwise(GuestScript::Hang);
        Self {
            port,
            script: Arc::new(script),
            host_key: None,
            disks: Simulated::new(scripts, GuestTimes::default()),
            running: BTreeMap::new(),
            installed: BTreeSet::new(),
            images: BTreeMap::new(),
        }
    }

    pub(crate) fn host_key(mut self, private: &str) -> Self {
        self.host_key = Some(private.to_owned());
        self
    }

    /// The sshd as cloud-init would have configured it.
    fn sshd(&self, boot: &Boot) -> Option<Sshd> {
        let config = cloud_config(boot.user_data.as_deref()?)?;
        let address = IpAddr::from(boot.ipv4?);
        let text = |pointer: &str| config.pointer(pointer).and_then(|value| value.as_str());
        assert_eq!(config["disable_root"], false, "root is let in, by key");
        let host_key = self.host_key.as_deref().or(text("/ssh_keys/ed25519_private"))?;
        let key = text("/ssh_authorized_keys/0")?;
        // Hetzner installs the project's key as well, so that no password is mailed: its private half
        // is never used.
        assert_eq!(boot.ssh_keys.len(), 1);
        assert_ne!(boot.ssh_keys, [key]);
        let mut sshd = Sshd::at(address, self.port);
        sshd.install_host_key(host_key);
        sshd.authorize(key);
        sshd.force(&elsewhere(&sshd.path("run")));
        sshd.start();
        Some(sshd)
    }
}

impl Guests for Machines {
    fn storage(&mut self, change: Storage) -> Result<(), String> {
        self.disks.storage(change)
    }

    fn start(&mut self, boot: Boot, now: Time) -> Result<(), String> {
        let builder = boot.user_data.as_deref().and_then(Builder::from_user_data);
        if let (Some(builder), Some(sshd)) = (builder, self.sshd(&boot)) {
            let machine = Arc::new(Machine { sshd: Mutex::new(sshd), end: Mutex::new(None) });
            self.running.insert(boot.server, Arc::clone(&machine));
            let script = Arc::clone(&self.script);
            thread::spawn(move || machine.play(builder.build, &script));
        }
        self.disks.start(boot, now)
    }

    fn press_power(&mut self, _: u64, _: Time) {}

    fn stop(&mut self, server: u64) {
        if let Some(machine) = self.running.remove(&server) {
            machine.sshd().stop();
        }
        self.disks.stop(server);
    }

    fn state(&mut self, server: u64, now: Time) -> Power {
        let Some(machine) = self.running.get(&server) else { return Power::Off { at: now } };
        match &*machine.end.lock().unwrap() {
            None | Some(Ok(End::StaysOn)) => return Power::On,
            Some(Ok(End::PowerCut)) => {}
            Some(Ok(End::Done)) => {
                self.installed.insert(server);
            }
            Some(Err(panic)) => panic!("the script of server {server} panicked: {panic}"),
        }
        Power::Off { at: now }
    }

    fn capture(&mut self, server: u64, image: u64, now: Time) -> Result<(), String> {
        if self.installed.contains(&server) {
            self.images.insert(image, Contents::Installed);
        }
        self.disks.capture(server, image, now)
    }

    fn captured(&mut self, image: u64, now: Time) -> Capture {
        self.disks.captured(image, now)
    }

    fn contents(&self, image: u64) -> Contents {
        self.images.get(&image).copied().unwrap_or_else(|| self.disks.contents(image))
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for machine in self.running.values() {
            machine.sshd().stop();
        }
    }
}

impl fmt::Debug for Machines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machines").field("port", &self.port).finish_non_exhaustive()
    }
}
