//! What is watched, by whom, and when it is due. Pure: time is an argument.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::super::retry::growing;
use super::super::tuning::Pace;
use super::{News, Source, Subject};
use crate::Error;

/// How often in a row something must be missing. Once may be a replica that is behind.
const MISSES: u32 = 2;

type Sender<S> = mpsc::UnboundedSender<(<S as Source>::Key, News<<S as Source>::State>)>;

#[derive(Debug)]
pub(super) struct Board<S: Source> {
    pace: Pace,
    entries: BTreeMap<S::Key, Entry<S>>,
    driven: bool,
    last_round: Option<Instant>,
    next_watcher: u64,
}

#[derive(Debug)]
struct Entry<S: Source> {
    watchers: Vec<(u64, Sender<S>)>,
    /// When it began, as far as is known.
    since: Instant,
    expected: Duration,
    /// When to ask. `None` while something else must end first: then it rides along.
    due: Option<Instant>,
    after: Option<S::Key>,
    /// A question is under way.
    asked: bool,
    /// When it was last seen not to have ended.
    seen: Instant,
    misses: u32,
    troubles: u32,
}

/// What the driver does next.
#[derive(Debug)]
pub(super) enum Step<K> {
    /// Nothing is watched.
    Stop,
    /// Wait for news, at most so long.
    Wait(Option<Instant>),
    /// Send these questions.
    Ask(Vec<Vec<K>>),
}

impl<S: Source> Board<S> {
    pub(super) fn new(pace: Pace) -> Self {
        Self { pace, entries: BTreeMap::new(), driven: false, last_round: None, next_watcher: 0 }
    }

    pub(super) fn watch(
        &mut self,
        subjects: Vec<Subject<S::Key>>,
        sender: Sender<S>,
        now: Instant,
    ) -> u64 {
        let watcher = self.next_watcher;
        self.next_watcher += 1;
        for Subject { key, expected, after } in subjects {
            let due = after.is_none().then(|| now + self.pace.next(Duration::ZERO, expected));
            let entry = self.entries.entry(key).or_insert_with(|| Entry {
                watchers: Vec::new(),
                since: now,
                expected,
                due,
                after,
                asked: false,
                seen: now,
                misses: 0,
                troubles: 0,
            });
            entry.watchers.push((watcher, sender.clone()));
        }
        watcher
    }

    pub(super) fn unwatch(&mut self, watcher: u64, now: Instant) {
        let mut left = Vec::new();
        for (key, entry) in &mut self.entries {
            entry.watchers.retain(|(id, _)| *id != watcher);
            if entry.watchers.is_empty() {
                left.push(key.clone());
            }
        }
        for key in left {
            self.remove(&key, now);
        }
    }

    /// Whoever gets `true` must start the driver.
    pub(super) fn start_driving(&mut self) -> bool {
        !std::mem::replace(&mut self.driven, true)
    }

    pub(super) fn stopped_driving(&mut self, now: Instant) {
        self.driven = false;
        self.forget_questions(now);
        for (key, entry) in &self.entries {
            entry.tell(key, &News::Orphaned);
        }
    }

    /// The questions under way will not be answered.
    pub(super) fn forget_questions(&mut self, now: Instant) {
        for entry in self.entries.values_mut().filter(|entry| entry.asked) {
            entry.asked = false;
            entry.due = Some(now + self.pace.shortest);
        }
    }

    /// It will end within this time from now.
    pub(super) fn expect_within(&mut self, key: &S::Key, expected: Duration, now: Instant) {
        if let Some(entry) = self.entries.get_mut(key) {
            (entry.since, entry.expected) = (now, expected);
            entry.due = Some(now + self.pace.next(Duration::ZERO, expected));
        }
    }

    /// `stretch` is how much longer than usual to leave between rounds.
    pub(super) fn step(&mut self, now: Instant, stretch: f64) -> Step<S::Key> {
        if self.entries.is_empty() {
            return Step::Stop;
        }
        let gap = if self.entries.len() > S::BATCH { self.pace.crowded_gap } else { self.pace.gap };
        let next_round = self.last_round.map_or(now, |last| last + gap.mul_f64(stretch));
        let idle = self.entries.values().filter(|entry| !entry.asked);
        let Some(due) = idle.filter_map(|entry| entry.due).min() else {
            return Step::Wait(None);
        };
        let round = due.max(next_round);
        if round > now {
            return Step::Wait(Some(round));
        }
        self.last_round = Some(now);
        Step::Ask(self.take(now))
    }

    /// Takes all that is due, and fills the last request with what would be due next: it costs
    /// nothing.
    fn take(&mut self, now: Instant) -> Vec<Vec<S::Key>> {
        let mut idle: Vec<_> = self.entries.iter_mut().filter(|(_, entry)| !entry.asked).collect();
        // What waits for something else comes last.
        idle.sort_by_key(|(_, entry)| (entry.due.is_none(), entry.due));
        let due = idle.iter().filter(|(_, entry)| entry.due.is_some_and(|due| due <= now)).count();
        idle.truncate(due.div_ceil(S::BATCH) * S::BATCH);
        let keys: Vec<_> = idle
            .into_iter()
            .map(|(key, entry)| {
                entry.asked = true;
                key.clone()
            })
            .collect();
        keys.chunks(S::BATCH).map(<[_]>::to_vec).collect()
    }

    /// An answer came, or none.
    pub(super) fn learn(
        &mut self,
        keys: &[S::Key],
        answer: Result<BTreeMap<S::Key, S::State>, Error>,
        now: Instant,
    ) {
        for key in keys {
            // Nobody watches it any more.
            let Some(entry) = self.entries.get_mut(key) else {
                continue;
            };
            entry.asked = false;
            let over = match &answer {
                Ok(states) => entry.learn(key, states.get(key), &self.pace, now),
                Err(error) => entry.trouble(key, error, &self.pace, now),
            };
            if over {
                self.remove(key, now);
            }
        }
    }

    /// Takes something off. What waited for it has begun when it ended: between the last look and
    /// now, and most likely when it was expected to.
    fn remove(&mut self, key: &S::Key, now: Instant) {
        let Some(ended) = self.entries.remove(key) else {
            return;
        };
        let end = (ended.since + ended.expected).clamp(ended.seen.min(now), now);
        for entry in self.entries.values_mut().filter(|entry| entry.after.as_ref() == Some(key)) {
            entry.after = None;
            entry.since = end;
            entry.due = Some(end + self.pace.next(now - end, entry.expected));
        }
    }
}

impl<S: Source> Entry<S> {
    /// Whether that was the last of it.
    fn learn(&mut self, key: &S::Key, state: Option<&S::State>, pace: &Pace, now: Instant) -> bool {
        self.troubles = 0;
        let Some(state) = state else {
            self.misses += 1;
            self.due = Some(now + pace.shortest);
            if self.misses == MISSES {
                self.tell(key, &News::Missing);
            }
            return self.misses == MISSES;
        };
        self.misses = 0;
        if !S::is_final(state) {
            self.seen = now;
        }
        if self.after.is_none() {
            let age = now - self.since;
            let expected = pace.refined(self.expected, age, S::progress(state));
            self.due = Some(self.since + pace.next(age, expected));
        }
        self.tell(key, &News::State(state.clone()));
        S::is_final(state)
    }

    /// Whether that was the last of it.
    fn trouble(&mut self, key: &S::Key, error: &Error, pace: &Pace, now: Instant) -> bool {
        if !error.is_transient() {
            self.tell(key, &News::Failed(error.clone()));
            return true;
        }
        self.troubles += 1;
        self.due = Some(now + growing(pace.shortest, 4 * pace.longest, self.troubles));
        self.tell(key, &News::Trouble(error.clone()));
        false
    }

    fn tell(&self, key: &S::Key, news: &News<S::State>) {
        for (_, sender) in &self.watchers {
            // A receiver that is gone will say so.
            let _gone = sender.send((key.clone(), news.clone()));
        }
    }
}
