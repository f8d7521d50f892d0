//! One request from its arrival to its answer: time, route, quota, token, handler.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::json;
use wiremock::{Request, Respond, ResponseTemplate};

use super::super::clock::Clock;
use super::super::guests::Guests;
use super::super::rate_limit::{Bucket, Quota};
use super::super::wire::{ApiError, Call, Code, Reply};
use super::super::world::World;
use super::route::{self, Target};

/// How the gateway tells the API of a fault that only the API can play: `before CODE`,
/// `after CODE`, `action CODE`, `lost`. Never passed on from a client.
pub(crate) const FAULT_HEADER: &str = "x-hcloud-sim-fault";

/// Who may do what.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tokens {
    pub full: Vec<String>,
    pub read_only: Vec<String>,
}

/// The API of one project.
#[derive(Debug, Clone)]
pub(crate) struct Service(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Clock>,
    tokens: Tokens,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub world: World,
    bucket: Bucket,
    calls: u64,
}

impl Service {
    pub(crate) fn new(clock: Arc<dyn Clock>, tokens: Tokens, limit: u32, world: World) -> Self {
        let state = State { bucket: Bucket::new(limit, clock.now()), world, calls: 0 };
        Self(Arc::new(Shared { clock, tokens, state: Mutex::new(state) }))
    }

    /// The state, brought up to now.
    pub(crate) fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.world.settle(self.0.clock.now());
        state
    }

    /// Ends all machines: other guests are there from now on.
    pub(crate) fn replace_guests(&self, guests: Box<dyn Guests>) {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.world.guests = guests;
    }

    fn answer(&self, request: &Request) -> ResponseTemplate {
        let fault = Fault::read(request);
        let mut call = Call::new(request);
        let mut state = self.settled();
        state.calls += 1;
        let now = state.world.now;
        let quota = state.bucket.take(now);
        let (name, reply) = match quota {
            Err(_) => ("rate limited".to_owned(), over_quota()),
            Ok(_) => self.dispatch(&mut state.world, &mut call, &fault),
        };

        let stats = &mut state.world.stats;
        stats.requests += 1;
        *stats.by_route.entry(name).or_default() += 1;
        *stats.by_status.entry(reply.status).or_default() += 1;
        if let Some(body) = reply.body.as_ref().filter(|_| fault != Fault::Lost) {
            stats.observe(now, body);
        }
        let mut quota = quota.unwrap_or_else(|empty| empty);
        if reply.status == 429 {
            quota.remaining = 0; // also when a fault says so
        }
        rendered(&reply, quota, state.calls)
    }

    fn dispatch(&self, world: &mut World, call: &mut Call, fault: &Fault) -> (String, Reply) {
        let target = route::find(call);
        // In this order on the live API: an unknown path needs no token, a wrong method does.
        if matches!(target, Target::Unknown) {
            return ("unknown route".to_owned(), unknown_route());
        }
        if let Err(error) = self.authorize(call) {
            return ("unauthorized".to_owned(), error.into());
        }
        let Target::Handler(handler, name, params) = target else {
            let error = ApiError::new(Code::METHOD, "method not allowed");
            return ("wrong method".to_owned(), error.into());
        };
        call.params = params;
        let scripted = |code| ApiError::new(code, "scripted fault").into();
        if let Fault::Before(code) = fault {
            return (name, scripted(*code));
        }
        if let Fault::Action(code) = fault {
            world.next_action_fails = Some(code.clone());
        }
        let reply = handler(world, call).unwrap_or_else(Into::into);
        world.next_action_fails = None;
        match fault {
            Fault::After(code) => (name, scripted(*code)),
            _ => (name, reply),
        }
    }

    fn authorize(&self, call: &Call) -> Result<(), ApiError> {
        let tokens = &self.0.tokens;
        let known = |list: &[String]| call.token.as_ref().is_some_and(|token| list.contains(token));
        if known(&tokens.full) {
            Ok(())
        } else if !known(&tokens.read_only) {
            Err(ApiError::new(Code::UNAUTHORIZED, "unable to authenticate"))
        } else if call.method == "GET" {
            Ok(())
        } else {
            Err(ApiError::new(
                Code::TOKEN_READONLY,
                "token is only allowed to perform GET requests",
            ))
        }
    }
}

impl Respond for Service {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        self.answer(request)
    }
}

/// A fault to be played here.
#[derive(Debug, Clone, PartialEq)]
enum Fault {
    None,
    /// Answer with this code and do nothing.
    Before(Code),
    /// Do what was asked, and answer with this code.
    After(Code),
    /// Let the action begun end in an error of this code.
    Action(String),
    /// The answer will not arrive.
    Lost,
}

impl Fault {
    fn read(request: &Request) -> Self {
        let header = request.headers.get(FAULT_HEADER).and_then(|value| value.to_str().ok());
        let mut words = header.unwrap_or_default().split(' ');
        let (kind, code) = (words.next(), words.next().unwrap_or_default());
        match (kind, Code::named(code)) {
            (Some("before"), Some(code)) => Self::Before(code),
            (Some("after"), Some(code)) => Self::After(code),
            (Some("action"), _) => Self::Action(code.to_owned()),
            (Some("lost"), _) => Self::Lost,
            _ => Self::None,
        }
    }
}

fn over_quota() -> Reply {
    ApiError::new(Code::RATE_LIMIT, "request limit reached for this token").into()
}

fn unknown_route() -> Reply {
    let body =
        json!({"error": {"code": "not_found", "message": "api route not found", "details": null}});
    Reply { pretty: true, ..Reply::json(404, body) }
}

fn rendered(reply: &Reply, quota: Quota, call: u64) -> ResponseTemplate {
    let mut template = ResponseTemplate::new(reply.status)
        .insert_header("RateLimit-Limit", quota.limit.to_string())
        .insert_header("RateLimit-Remaining", quota.remaining.to_string())
        .insert_header("RateLimit-Reset", quota.reset.to_string())
        .insert_header("X-Correlation-Id", correlation_id(call));
    if let Some(link) = &reply.link {
        template = template.insert_header("Link", link.as_str());
    }
    match reply.rendered() {
        Some((body, media_type)) => template.set_body_raw(body, media_type),
        None => template,
    }
}

/// Sixteen hex digits that differ from call to call and do not look like a count.
fn correlation_id(call: u64) -> String {
    let mixed = call.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    format!("{:016x}", mixed ^ (mixed >> 29))
}
