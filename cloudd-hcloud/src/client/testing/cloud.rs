//! A cloud with a clock: actions that take their time, guests that power off, and a quota that runs
//! out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Fake, Reply, action, server};
use crate::client::quota::Report;
use crate::client::request::Request;
use crate::schema::{ActionId, ServerId};

/// How long a guest is busy after its start.
pub(in crate::client) const STAGES: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Clone)]
pub(in crate::client) struct Cloud {
    state: Arc<Mutex<State>>,
    pub(in crate::client) fake: Fake,
}

struct State {
    /// What is done, from when, to when.
    actions: BTreeMap<u64, (&'static str, Instant, Instant)>,
    /// When a server's guest powers off.
    servers: BTreeMap<u64, Instant>,
    next_id: u64,
    limit: f64,
    tokens: f64,
    at: Instant,
    refused: usize,
    /// By how much actions take shorter or longer than usual: 0 is not at all, 1 is from nothing to
    /// twice.
    spread: f64,
    random: u64,
}

impl Cloud {
    /// A cloud that grants `limit` requests an hour.
    pub(in crate::client) fn new(limit: u32) -> Self {
        let limit = f64::from(limit);
        let (actions, servers) = (BTreeMap::new(), BTreeMap::new());
        let state = State {
            actions,
            servers,
            next_id: 1,
            limit,
            tokens: limit,
            at: Instant::now(),
            refused: 0,
            spread: 0.0,
            random: 1,
        };
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        let fake = Fake::new(move |request| shared.lock().unwrap().answer(request));
        Self { state, fake }
    }

    /// Makes actions take shorter or longer than usual, by up to this part.
    pub(in crate::client) fn spread(self, spread: f64) -> Self {
        self.state.lock().unwrap().spread = spread;
        self
    }

    /// How long ago an action ended.
    pub(in crate::client) fn ended(&self, id: ActionId) -> Duration {
        self.state.lock().unwrap().actions[&id.0].2.elapsed()
    }

    /// How long ago a guest powered off.
    pub(in crate::client) fn powered_off(&self, id: ServerId) -> Duration {
        self.state.lock().unwrap().servers[&id.0].elapsed()
    }

    /// How many requests were refused because the quota was used up.
    pub(in crate::client) fn refused(&self) -> usize {
        self.state.lock().unwrap().refused
    }

    /// Takes from the quota, as another user of the project does.
    pub(in crate::client) fn spend(&self, requests: f64) {
        let mut state = self.state.lock().unwrap();
        state.refill();
        state.tokens = (state.tokens - requests).max(0.0);
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> Reply {
        self.refill();
        let has_one = self.tokens >= 1.0;
        if has_one {
            self.tokens -= 1.0;
        } else {
            self.refused += 1;
        }
        let report = Report { limit: self.limit as u32, remaining: self.tokens as u32 };
        if !has_one {
            let body = json!({"error": {"code": "rate_limit_exceeded", "message": "request limit reached"}});
            return Reply::Limited(429, body, report);
        }
        let (status, body) = self.handle(request);
        Reply::Limited(status, body, report)
    }

    fn refill(&mut self) {
        let hours = self.at.elapsed().as_secs_f64() / 3600.0;
        self.tokens = (self.tokens + hours * self.limit).min(self.limit);
        self.at = Instant::now();
    }

    fn handle(&mut self, request: &Request) -> (u16, Value) {
        let path: Vec<_> = request.path.trim_start_matches('/').split('/').collect();
        match (request.method.as_str(), path.as_slice()) {
            ("POST", ["ssh_keys"]) => (201, json!({"ssh_key": {"id": self.id(), "name": "k"}})),
            ("POST", ["volumes"]) => {
                let volume = json!({"id": self.id(), "name": "v", "status": "creating"});
                (
                    201,
                    json!({"volume": volume, "action": self.begin("create_volume", 5), "next_actions": []}),
                )
            }
            ("POST", ["servers"]) => {
                let id = self.id();
                let (created, end) = self.begin_at("create_server", Instant::now(), 10);
                let (attached, end) = self.begin_at("attach_volume", end, 5);
                let (started, end) = self.begin_at("start_server", end, 5);
                self.servers.insert(id, end + STAGES);
                let (server, next) = (server(id, "initializing", "b"), [attached, started]);
                (
                    201,
                    json!({"server": server, "action": created, "next_actions": next, "root_password": null}),
                )
            }
            ("POST", ["servers", _, "actions", "create_image"]) => {
                let image = json!({"id": self.id(), "type": "snapshot", "status": "creating"});
                (201, json!({"image": image, "action": self.begin("create_image", 75)}))
            }
            ("DELETE", ["servers", _]) => (200, json!({"action": self.begin("delete_server", 5)})),
            ("DELETE", _) => (204, Value::Null),
            ("GET", ["actions"]) => {
                let ids = request.query.iter().filter_map(|(_, id)| id.parse().ok());
                let actions: Vec<_> = ids.filter_map(|id: u64| self.action(id)).collect();
                (200, json!({"actions": actions}))
            }
            ("GET", ["servers"]) => self.page(request),
            ("GET", ["servers", id]) => {
                let id: u64 = id.parse().unwrap();
                (200, json!({"server": server(id, self.status(id), "b")}))
            }
            ("GET", ["images"]) => (200, json!({"images": []})),
            ("GET", ["images", id]) => {
                let id: u64 = id.parse().unwrap();
                (200, json!({"image": {"id": id, "type": "snapshot", "status": "available"}}))
            }
            (method, path) => panic!("unexpected {method} {path:?}"),
        }
    }

    fn page(&self, request: &Request) -> (u16, Value) {
        let page = request
            .query
            .iter()
            .find(|(key, _)| *key == "page")
            .unwrap()
            .1
            .parse::<usize>()
            .unwrap();
        let (skip, servers) = ((page - 1) * 50, &self.servers);
        let items: Vec<_> = servers
            .keys()
            .skip(skip)
            .take(50)
            .map(|id| server(*id, self.status(*id), "b"))
            .collect();
        let next = (skip + items.len() < servers.len()).then_some(page + 1);
        (200, json!({"servers": items, "meta": {"pagination": {"page": page, "next_page": next}}}))
    }

    fn status(&self, id: u64) -> &'static str {
        if self.servers[&id] <= Instant::now() { "off" } else { "running" }
    }

    fn begin(&mut self, command: &'static str, seconds: u64) -> Value {
        self.begin_at(command, Instant::now(), seconds).0
    }

    /// Begins an action when another one has ended, and says when it will end itself.
    fn begin_at(
        &mut self,
        command: &'static str,
        begin: Instant,
        seconds: u64,
    ) -> (Value, Instant) {
        let id = self.id();
        let end = begin + Duration::from_secs(seconds).mul_f64(1.0 + self.spread * self.random());
        self.actions.insert(id, (command, begin, end));
        (action(id, command, "running", 0), end)
    }

    fn action(&self, id: u64) -> Option<Value> {
        let (command, begin, end) = self.actions.get(&id)?;
        if *end <= Instant::now() {
            return Some(action(id, command, "success", 100));
        }
        let done = begin.elapsed().div_duration_f64(*end - *begin);
        Some(action(id, command, "running", (done * 100.0) as u8))
    }

    /// From -1 to 1, the same in every run (Knuth's generator).
    fn random(&mut self) -> f64 {
        self.random = self
            .random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 40) as f64 / f64::from(1 << 23) - 1.0
    }

    fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }
}
