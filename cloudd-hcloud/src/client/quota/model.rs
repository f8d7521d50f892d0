//! Counting requests between the answers that say how many are left.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::{Quota, Report};

/// Below this part of the limit, requests keep a distance.
const SLOW_BELOW: f64 = 0.2;

/// At an empty bucket the distance is this many times what one refilled request takes. More than 1,
/// so that a client that always wants more settles where a few percent of the limit are left to
/// other users of the project.
const SLOWEST: f64 = 1.25;

/// How long the first request goes alone at most: one that hangs must not hold up the others.
const ALONE: Duration = Duration::from_secs(3);

/// What the API grants by default, assumed when it refuses without saying what it grants.
const DEFAULT_LIMIT: f64 = 3600.0;

/// A token bucket on this side, as full as that of the API or less.
#[derive(Debug)]
pub(super) struct Model {
    /// In which an empty bucket refills: an hour.
    window: Duration,
    known: Known,
    /// Requests sent so far. The number of a request is how many were sent before it.
    sent: u64,
    in_flight: BTreeSet<u64>,
    last: Option<Instant>,
}

#[derive(Debug)]
enum Known {
    /// No answer yet.
    Nothing,
    /// Answers, and none of them named a limit.
    Unlimited,
    Bucket {
        limit: f64,
        tokens: f64,
        at: Instant,
    },
}

/// Whether a request may go.
#[derive(Debug, PartialEq)]
pub(super) enum Pass {
    /// Now, with this number.
    Now(u64),
    /// Not before.
    NotBefore(Instant),
    /// When another request has been answered, or then.
    AfterAnswer(Instant),
}

impl Model {
    pub(super) fn new(window: Duration) -> Self {
        Self { window, known: Known::Nothing, sent: 0, in_flight: BTreeSet::new(), last: None }
    }

    /// Takes a request's share, or says when to come back.
    pub(super) fn pass(&mut self, now: Instant) -> Pass {
        match self.known {
            Known::Nothing => {
                // The first request goes alone: a hundred at once might be more than is left.
                let alone = self.last.map(|last| last + ALONE).filter(|until| *until > now);
                if let Some(until) = alone.filter(|_| !self.in_flight.is_empty()) {
                    return Pass::AfterAnswer(until);
                }
            }
            Known::Unlimited => {}
            Known::Bucket { limit, .. } => {
                let tokens = self.tokens(now);
                let one = self.window.div_f64(limit);
                if tokens < 1.0 {
                    return Pass::NotBefore(now + one.mul_f64(1.0 - tokens));
                }
                let calm = (tokens / limit / SLOW_BELOW).min(1.0);
                let earliest = self.last.map(|last| last + one.mul_f64(SLOWEST * (1.0 - calm)));
                if let Some(earliest) = earliest.filter(|earliest| *earliest > now) {
                    return Pass::NotBefore(earliest);
                }
                self.set(tokens - 1.0, now);
            }
        }
        let number = self.sent;
        self.sent += 1;
        self.in_flight.insert(number);
        self.last = Some(now);
        Pass::Now(number)
    }

    /// An answer arrived.
    pub(super) fn answered(&mut self, number: u64, report: Option<Report>, now: Instant) {
        match (report, &self.known) {
            (Some(report), _) => {
                // The API counted some time between then and now. Requests that were in flight or
                // came later may not be in its count: taking them off once more errs on the safe
                // side, and only until the next answer.
                let before = self.in_flight.range(..number).count();
                let later = self.sent - number - 1;
                let uncounted = before as f64 + later as f64;
                let limit = f64::from(report.limit);
                self.known = Known::Bucket {
                    limit,
                    tokens: f64::from(report.remaining) - uncounted,
                    at: now,
                };
            }
            (None, Known::Nothing) => self.known = Known::Unlimited,
            (None, _) => {}
        }
    }

    /// The API refused a request because the bucket is empty.
    pub(super) fn refused(&mut self, now: Instant) {
        let limit = match self.known {
            Known::Bucket { limit, .. } => limit,
            Known::Nothing | Known::Unlimited => DEFAULT_LIMIT,
        };
        self.known = Known::Bucket { limit, tokens: 0.0, at: now };
    }

    /// A request is over, with an answer or without.
    pub(super) fn over(&mut self, number: u64) {
        self.in_flight.remove(&number);
    }

    /// How much longer than usual to leave between polls: 1 while there is plenty, 5 when nothing
    /// is left.
    pub(super) fn stretch(&self, now: Instant) -> f64 {
        match self.known {
            Known::Bucket { limit, .. } => {
                let calm = (self.tokens(now) / limit / SLOW_BELOW).clamp(0.0, 1.0);
                1.0 + 4.0 * (1.0 - calm)
            }
            Known::Nothing | Known::Unlimited => 1.0,
        }
    }

    pub(super) fn quota(&self, now: Instant) -> Option<Quota> {
        match self.known {
            Known::Bucket { limit, .. } => {
                Some(Quota { limit: limit as u32, remaining: self.tokens(now).max(0.0) as u32 })
            }
            Known::Nothing | Known::Unlimited => None,
        }
    }

    fn tokens(&self, now: Instant) -> f64 {
        match self.known {
            Known::Bucket { limit, tokens, at } => {
                let refilled =
                    now.saturating_duration_since(at).div_duration_f64(self.window) * limit;
                (tokens + refilled).min(limit)
            }
            Known::Nothing | Known::Unlimited => f64::INFINITY,
        }
    }

    fn set(&mut self, left: f64, now: Instant) {
        if let Known::Bucket { tokens, at, .. } = &mut self.known {
            (*tokens, *at) = (left, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn report(remaining: u32) -> Option<Report> {
        Some(Report { limit: 3600, remaining })
    }

    fn number(pass: Pass) -> u64 {
        match pass {
            Pass::Now(number) => number,
            other => panic!("{other:?}"),
        }
    }

    /// A model whose API has just said how many requests are left.
    fn with(remaining: u32, now: Instant) -> Model {
        let mut model = Model::new(HOUR);
        let first = number(model.pass(now));
        model.answered(first, report(remaining), now);
        model.over(first);
        model
    }

    #[test]
    fn the_first_request_goes_alone() {
        let now = Instant::now();
        let mut model = Model::new(HOUR);
        let first = number(model.pass(now));
        assert_eq!(model.pass(now), Pass::AfterAnswer(now + ALONE));
        model.answered(first, report(3599), now);
        model.over(first);
        assert_eq!(number(model.pass(now)), 1);
        assert_eq!(number(model.pass(now)), 2);
    }

    #[test]
    fn a_first_request_that_hangs_holds_the_others_up_for_seconds_only() {
        let now = Instant::now();
        let mut model = Model::new(HOUR);
        number(model.pass(now));
        assert_eq!(number(model.pass(now + ALONE)), 1);
        assert_eq!(
            model.pass(now + ALONE),
            Pass::AfterAnswer(now + 2 * ALONE),
            "the second one goes alone, too"
        );
    }

    #[test]
    fn without_headers_there_is_no_limit() {
        let now = Instant::now();
        let mut model = Model::new(HOUR);
        let first = number(model.pass(now));
        model.answered(first, None, now);
        for _ in 0..5000 {
            number(model.pass(now));
        }
        assert_eq!(model.quota(now), None);
    }

    #[test]
    fn a_burst_goes_at_once_while_there_is_plenty() {
        let now = Instant::now();
        let mut model = with(3599, now);
        let burst = (0..2800).take_while(|_| matches!(model.pass(now), Pass::Now(_))).count();
        assert_eq!(burst, 2800);
        assert_eq!(model.quota(now), Some(Quota { limit: 3600, remaining: 799 }));
    }

    #[test]
    fn requests_slow_down_before_the_quota_is_gone() {
        let start = Instant::now();
        let mut model = with(720, start);
        let (mut now, mut sent) = (start, 0);
        // As hungry as can be, for an hour.
        while now < start + HOUR {
            match model.pass(now) {
                Pass::Now(number) => {
                    sent += 1;
                    model.over(number);
                }
                Pass::NotBefore(then) => now = then,
                Pass::AfterAnswer(_) => unreachable!(),
            }
        }
        let left = model.quota(now).unwrap().remaining;
        assert!((100..200).contains(&left), "{left} left for others");
        assert!((4000..4300).contains(&sent), "{sent} sent: what was left and what was refilled");
    }

    #[test]
    fn a_refusal_costs_seconds_and_not_an_hour() {
        let now = Instant::now();
        for mut model in [with(3000, now), Model::new(HOUR)] {
            model.refused(now);
            assert_eq!(model.pass(now), Pass::NotBefore(now + Duration::from_secs(1)));
            assert!(matches!(model.pass(now + Duration::from_secs(2)), Pass::Now(_)));
        }
    }

    #[test]
    fn an_answer_that_was_late_counts_what_came_after_it() {
        let now = Instant::now();
        let mut model = with(3000, now);
        let slow = number(model.pass(now));
        for _ in 0..10 {
            let fast = number(model.pass(now));
            model.over(fast);
        }
        // Counted when it arrived: ten others are not in it.
        model.answered(slow, report(2999), now);
        assert_eq!(model.quota(now).unwrap().remaining, 2989);
    }

    #[test]
    fn what_others_use_is_seen_in_the_next_answer() {
        let now = Instant::now();
        let mut model = with(3000, now);
        let next = number(model.pass(now));
        model.answered(next, report(40), now);
        assert_eq!(model.quota(now).unwrap().remaining, 40);
        assert!(matches!(model.pass(now), Pass::NotBefore(_)));
    }

    #[test]
    fn the_bucket_refills_and_never_above_its_limit() {
        let now = Instant::now();
        let model = with(0, now);
        assert_eq!(model.quota(now + Duration::from_secs(60)).unwrap().remaining, 60);
        assert_eq!(model.quota(now + 3 * HOUR).unwrap().remaining, 3600);
    }

    #[test]
    fn polls_stretch_as_the_quota_goes() {
        let now = Instant::now();
        for (remaining, stretch) in [(3600, 1.0), (720, 1.0), (360, 3.0), (0, 5.0)] {
            assert!((with(remaining, now).stretch(now) - stretch).abs() < 0.01, "{remaining}");
        }
    }
}
