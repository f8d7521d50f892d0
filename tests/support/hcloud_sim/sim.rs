//! Starting a simulator, and looking into it.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};
use tokio::sync::watch;

use super::api::{Service, Tokens};
use super::clock::{Clock, ScaledClock};
use super::gateway::{Faults, Gateway, Settings};
use super::guests::{Contents, GuestTimes, Guests, ScriptedGuests, Simulated};
use super::world::{Durations, Kind, Quotas, Stats, World};

/// A running simulator. Dropping it ends it.
#[derive(Debug)]
pub struct HcloudSim {
    service: Service,
    gateway: Gateway,
    faults: Arc<Mutex<Faults>>,
    scripts: ScriptedGuests,
    held: watch::Receiver<u64>,
}

/// What to start a simulator with.
#[must_use]
pub struct SimBuilder {
    listen: SocketAddr,
    tokens: Tokens,
    clock: Option<Arc<dyn Clock>>,
    speed: f64,
    durations: Durations,
    quotas: Quotas,
    rate_limit: u32,
    faults: Faults,
    record: Option<Box<dyn Write + Send>>,
    times: GuestTimes,
    guests: Option<Box<dyn Guests>>,
}

/// Something a project holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// Its id.
    pub id: u64,
    /// Its name; a snapshot's description.
    pub name: String,
    /// Its status; empty for an SSH key.
    pub status: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// Everything a project holds and pays for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    /// Servers, those being deleted included.
    pub servers: Vec<Held>,
    /// Volumes.
    pub volumes: Vec<Held>,
    /// Snapshots and backups.
    pub images: Vec<Held>,
    /// SSH keys.
    pub ssh_keys: Vec<Held>,
}

impl HcloudSim {
    /// The token of a simulator that was not given another.
    pub const TOKEN: &'static str =
        "simulated-token-of-sixty-four-characters-as-the-real-ones-have-it";

    /// A simulator at `speed` times real time, on a free port.
    ///
    /// # Panics
    /// When no socket or thread is to be had.
    #[must_use]
    pub fn start(speed: f64) -> Self {
        let started = Self::builder().speed(speed).start();
        started.expect("a simulator starts on a free port of loopback")
    }

    /// A simulator in real time, with simulated guests and no faults.
    pub fn builder() -> SimBuilder {
        SimBuilder {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            tokens: Tokens::default(),
            clock: None,
            speed: 1.0,
            durations: Durations::default(),
            quotas: Quotas::default(),
            rate_limit: 3600,
            faults: Faults::default(),
            record: None,
            times: GuestTimes::default(),
            guests: None,
        }
    }

    /// The API's base URL, `/v1` included: what `HCLOUD_ENDPOINT` is set to.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}/v1", self.gateway.address)
    }

    /// What the next builders play.
    #[must_use]
    pub fn scripts(&self) -> &ScriptedGuests {
        &self.scripts
    }

    /// Replaces the faults; calls count from one again.
    pub fn set_faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    /// Waits until a `hold` fault has struck, `before` or after the effect of the request as it
    /// says.
    ///
    /// # Panics
    /// When the simulator's thread has ended.
    pub async fn held(&self) {
        let mut held = self.held.clone();
        held.wait_for(|held| *held > 0).await.expect("the gateway lives as long as its simulator");
    }

    /// Counters up to now.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.service.settled().world.stats.clone()
    }

    /// How many servers there ever were.
    #[must_use]
    pub fn servers_ever_created(&self) -> u64 {
        self.service.settled().world.ever_made(Kind::Server)
    }

    /// How many snapshots there ever were.
    #[must_use]
    pub fn images_ever_made(&self) -> u64 {
        self.service.settled().world.ever_made(Kind::Image)
    }

    /// What is there now.
    #[must_use]
    pub fn inventory(&self) -> Inventory {
        let state = self.service.settled();
        let world = &state.world;
        let own = world.images.values().filter(|image| image.kind.is_own());
        Inventory {
            servers: world
                .servers
                .values()
                .map(|s| held(s.id, &s.name, s.status.name(), &s.labels))
                .collect(),
            volumes: world
                .volumes
                .values()
                .map(|v| held(v.id, &v.name, v.status.name(), &v.labels))
                .collect(),
            images: own.map(|i| held(i.id, &i.description, i.status.name(), &i.labels)).collect(),
            ssh_keys: world.ssh_keys.values().map(|k| held(k.id, &k.name, "", &k.labels)).collect(),
        }
    }

    /// What an image holds: whether a build's snapshot is one of what was installed.
    #[must_use]
    pub fn contents(&self, image: u64) -> Contents {
        self.service.settled().world.guests.contents(image)
    }
}

impl Drop for HcloudSim {
    /// Threads of the API may hold the world a moment longer. Machines end now.
    fn drop(&mut self) {
        let none = Simulated::new(ScriptedGuests::default(), GuestTimes::default());
        self.service.replace_guests(Box::new(none));
    }
}

fn held(id: u64, name: &str, status: &str, labels: &Map<String, Value>) -> Held {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Held {
        id,
        name: name.to_owned(),
        status: status.to_owned(),
        labels: labels.iter().map(|(key, value)| (key.clone(), text(value))).collect(),
    }
}

impl std::fmt::Debug for SimBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimBuilder").field("listen", &self.listen).finish_non_exhaustive()
    }
}

impl SimBuilder {
    /// Listens here; port 0 is a free one.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = address;
        self
    }

    /// Accepts this token. Without any, [`HcloudSim::TOKEN`].
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.tokens.full.push(token.into());
        self
    }

    /// Accepts this token for GET.
    pub fn read_only_token(mut self, token: impl Into<String>) -> Self {
        self.tokens.read_only.push(token.into());
        self
    }

    /// Time passes so many times faster than it does.
    pub fn speed(mut self, speed: f64) -> Self {
        self.speed = speed;
        self
    }

    /// Takes the time from here; the speed does not matter then.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// How long actions take.
    pub fn durations(mut self, durations: Durations) -> Self {
        self.durations = durations;
        self
    }

    /// How many resources there may be.
    pub fn quotas(mut self, quotas: Quotas) -> Self {
        self.quotas = quotas;
        self
    }

    /// Requests an hour, 3600 unless said.
    pub fn rate_limit(mut self, an_hour: u32) -> Self {
        self.rate_limit = an_hour;
        self
    }

    /// Plays these faults.
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Writes every exchange here, one JSON line each.
    pub fn record(mut self, out: impl Write + Send + 'static) -> Self {
        self.record = Some(Box::new(out));
        self
    }

    /// How long simulated guests take.
    pub fn guest_times(mut self, times: GuestTimes) -> Self {
        self.times = times;
        self
    }

    /// Other machines than simulated ones.
    pub fn guests(mut self, guests: Box<dyn Guests>) -> Self {
        self.guests = Some(guests);
        self
    }

    /// Starts it. Needs no async runtime.
    ///
    /// # Errors
    /// When the address cannot be listened on, or no thread is to be had.
    pub fn start(mut self) -> io::Result<HcloudSim> {
        if self.tokens.full.is_empty() {
            self.tokens.full.push(HcloudSim::TOKEN.to_owned());
        }
        let clock = self.clock.unwrap_or_else(|| Arc::new(ScaledClock::new(self.speed)));
        let scripts = ScriptedGuests::default();
        let simulated = || Box::new(Simulated::new(scripts.clone(), self.times)) as Box<dyn Guests>;
        let guests = self.guests.unwrap_or_else(simulated);
        let world = World::new(clock.now(), guests, self.durations, self.quotas);
        let hidden = self.tokens.full.iter().chain(&self.tokens.read_only).cloned().collect();
        let service = Service::new(clock, self.tokens, self.rate_limit, world);
        let faults = Arc::new(Mutex::new(self.faults));
        let held = watch::Sender::new(0);
        let holds = held.subscribe();
        let gateway = Gateway::start(Settings {
            listener: TcpListener::bind(self.listen)?,
            service: service.clone(),
            faults: Arc::clone(&faults),
            record: self.record,
            tokens: hidden,
            held,
        })?;
        Ok(HcloudSim { service, gateway, faults, scripts, held: holds })
    }
}
