//! What clients asked, and how late they noticed what had ended.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::clock::Time;

/// Something that ended: an action, or a guest which powered itself off.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The action's command, or `power_off` for a guest.
    pub what: String,
    /// The action's id, or the server's for `power_off`.
    pub id: u64,
    /// When it ended.
    pub at: Time,
    /// When an answer first showed that.
    pub seen: Option<Time>,
}

impl Ended {
    /// Time between the end and its first appearance in an answer.
    #[must_use]
    pub fn delay(&self) -> Option<Duration> {
        Some(self.seen?.since(self.at))
    }
}

/// Counters since the simulator started.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// Requests that reached the API, refused ones included; connections reset before the
    /// effect do not count.
    pub requests: u64,
    /// Requests by method and route, e.g. `GET /servers/{id}`.
    pub by_route: BTreeMap<String, u64>,
    /// Answers by HTTP status.
    pub by_status: BTreeMap<u16, u64>,
    /// Everything that ended, in that order.
    pub ended: Vec<Ended>,
}

impl Stats {
    /// The mean of the delays, over what was seen at all.
    #[must_use]
    pub fn mean_delay(&self) -> Option<Duration> {
        let delays: Vec<_> = self.ended.iter().filter_map(Ended::delay).collect();
        let count = u32::try_from(delays.len()).ok().filter(|count| *count > 0)?;
        Some(delays.iter().sum::<Duration>() / count)
    }

    /// What ended without any answer ever showing it.
    pub fn unseen(&self) -> impl Iterator<Item = &Ended> {
        self.ended.iter().filter(|ended| ended.seen.is_none())
    }

    /// Requests whose method and route begin so.
    #[must_use]
    pub fn requests_to(&self, route: &str) -> u64 {
        let matching = self.by_route.iter().filter(|(name, _)| name.starts_with(route));
        matching.map(|(_, count)| count).sum()
    }

    /// The same as JSON: delays in seconds.
    #[must_use]
    pub fn json(&self) -> Value {
        let ended: Vec<_> = self
            .ended
            .iter()
            .map(|ended| {
                json!({
                    "what": ended.what,
                    "id": ended.id,
                    "at": ended.at.rfc3339(),
                    "delay": ended.delay().map(|delay| delay.as_secs_f64()),
                })
            })
            .collect();
        json!({
            "requests": self.requests,
            "by_route": self.by_route,
            "by_status": self.by_status,
            "mean_delay": self.mean_delay().map(|delay| delay.as_secs_f64()),
            "ended": ended,
        })
    }

    pub(super) fn note_end(&mut self, what: &str, id: u64, at: Time) {
        self.ended.push(Ended { what: what.to_owned(), id, at, seen: None });
    }

    fn see(&mut self, now: Time, matches: impl Fn(&Ended) -> bool) {
        let unseen = |ended: &&mut Ended| ended.seen.is_none() && matches(ended);
        for ended in self.ended.iter_mut().filter(unseen) {
            ended.seen = Some(now);
        }
    }

    /// Notes what an answer shows: ended actions, and servers which are off.
    pub(crate) fn observe(&mut self, now: Time, body: &Value) {
        let one_or_many = |keys: [&str; 3]| {
            let shown = keys.into_iter().filter_map(|key| body.get(key));
            let flat = shown.flat_map(|value| match value {
                Value::Array(many) => many.as_slice(),
                one => std::slice::from_ref(one),
            });
            flat.filter_map(|item| Some((item.get("id")?.as_u64()?, item.get("status")?.as_str()?)))
                .collect::<Vec<_>>()
        };
        for (id, status) in one_or_many(["action", "actions", "next_actions"]) {
            if status != "running" {
                self.see(now, |ended| ended.id == id && ended.what != "power_off");
            }
        }
        for (id, status) in one_or_many(["server", "servers", ""]) {
            if status == "off" {
                self.see(now, |ended| ended.id == id && ended.what == "power_off");
            }
        }
    }
}
