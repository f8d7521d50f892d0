//! One execution of the holders, step by step.

use std::sync::Arc;
use std::time::Duration;

use cloudd_core::install::InstallContainer;
use cloudd_core::provider::{ErrorKind, ImageId, ResourceId, ResourceKind, VmId};
use cloudd_core::{BuildHandle, Deadlines, ImageBuilder};
use tokio::time::{sleep, timeout};

use super::Scenario;
use super::gate::Gated;
use super::world::{Access, Call, Decision, World, mirror};

/// The duration of the lease. All pauses of an execution together are much shorter, so that time
/// matters only where the scheduler lets it pass.
const LEASE: Duration = Duration::from_secs(1_000_000);

/// Longer than every pause of a build. After it each holder waits at the gate or has ended.
const SETTLE: Duration = Duration::from_secs(60);

/// What the scheduler does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Lets a call go.
    Call(Call),
    /// The guest of this VM completes its work and powers off.
    PowerOff(VmId),
    /// More time than the duration of the lease passes, while all calls that wait are held back.
    Pause { is_fault: bool },
    /// A call takes effect, and its answer is lost.
    LoseAnswer(Call),
    /// The process of a holder ends before its next call.
    Crash(usize),
    /// The process of a holder ends after a call has taken effect and before its answer.
    CrashDuring(Call),
    /// All holders have ended: the image is built once more.
    LastRun,
}

enum Holder {
    Running(BuildHandle),
    Crashed,
    Built(ImageId),
    Failed(String),
}

pub(crate) struct Run<'a> {
    scenario: &'a Scenario,
    pub(crate) world: Arc<World>,
    holders: Vec<Holder>,
    faults: u32,
    /// The holder that was given an error in place of an answer.
    misled: Option<usize>,
    /// Calls were held back for longer than the lease. No cloud can reject such a call, so that one of
    /// the builds may fail. The next one succeeds.
    was_paused: bool,
    /// The holder of the last call, and how often it was changed although it could go on.
    current: Option<usize>,
    preemptions: u32,
    /// Pauses in a row because nothing else was possible.
    idle: u32,
}

impl<'a> Run<'a> {
    pub(crate) async fn start(scenario: &'a Scenario) -> Self {
        let mut run = Self {
            scenario,
            world: World::new(),
            holders: Vec::new(),
            faults: 0,
            misled: None,
            was_paused: false,
            current: None,
            preemptions: 0,
            idle: 0,
        };
        for _ in 0..scenario.holders {
            run.add_holder();
        }
        run.settle().await;
        run
    }

    fn add_holder(&mut self) {
        let mut deadlines = Deadlines::default();
        let long = LEASE * 30;
        deadlines.call = long;
        deadlines.prepare = long;
        deadlines.boot = long;
        deadlines.stage1 = long;
        deadlines.stage2 = long;
        deadlines.power_off = long;
        deadlines.image = long;
        deadlines.teardown = long;
        deadlines.lease = LEASE;
        let container = InstallContainer::reference("registry.example/installer:1");
        let builder = ImageBuilder::new("model", container)
            .deadlines(deadlines)
            .trust_power_off()
            .lease_checks(self.scenario.checks);
        // The last run is on the machine of the holder that has crashed.
        let number = self.holders.len();
        let remote = self.scenario.remote && number < self.scenario.holders;
        let provider = Gated::new(&self.world, number, remote);
        self.holders.push(Holder::Running(builder.start(Arc::new(provider))));
    }

    /// Lets every task run until it waits at the gate, and collects results.
    async fn settle(&mut self) {
        sleep(SETTLE).await;
        let waiting = self.world.waiting();
        for (number, holder) in self.holders.iter_mut().enumerate() {
            let Holder::Running(_) = holder else { continue };
            if waiting.iter().any(|call| call.holder == number) {
                continue;
            }
            let Holder::Running(handle) = std::mem::replace(holder, Holder::Crashed) else {
                continue;
            };
            // Everything that a build waits for is a call at the gate or a short pause.
            *holder = match timeout(SETTLE, handle).await {
                Ok(Ok(built)) if built.leftovers.is_none() => Holder::Built(built.image.id),
                Ok(Ok(built)) => Holder::Failed(format!("something is left: {built:?}")),
                Ok(Err(error)) => Holder::Failed(format!("{error}: {error:?}")),
                Err(_) => panic!("holder {number} neither waits at the gate nor has ended"),
            };
            let result = match holder {
                Holder::Built(image) => self.world.image_name(image),
                Holder::Failed(error) => error.clone(),
                _ => String::new(),
            };
            self.world.note(format!("holder {number}: ends with {result}"));
        }
    }

    /// Whether the last run has begun, in which nothing goes wrong any more.
    fn is_last_run(&self) -> bool {
        self.holders.len() > self.scenario.holders
    }

    /// The steps that are possible now. None: the execution is complete.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let waiting = self.world.waiting();
        let may_fail = self.faults < self.scenario.faults && !self.is_last_run();
        // A call that commutes with all others is let go at once: every other order leads to the same
        // states.
        if let Some(call) = waiting.iter().find(|call| call.access == Access::Nothing) {
            let mut steps = vec![Step::Call(call.clone())];
            if may_fail && self.scenario.lost_answers {
                steps.push(Step::LoseAnswer(call.clone()));
            }
            return steps;
        }
        let enabled: Vec<_> =
            waiting.iter().filter(|call| self.world.is_enabled(call)).cloned().collect();
        let current = self.current.filter(|it| enabled.iter().any(|call| call.holder == *it));
        let allowed = |call: &Call| match (self.scenario.preemptions, current) {
            (Some(limit), Some(current)) => call.holder == current || self.preemptions < limit,
            _ => true,
        };
        let enabled: Vec<_> = enabled.into_iter().filter(allowed).collect();
        let mut steps: Vec<_> = enabled.iter().cloned().map(Step::Call).collect();
        steps.extend(self.world.running().into_iter().map(Step::PowerOff));
        let is_over = !self.holders.iter().any(|it| matches!(it, Holder::Running(_)));
        if steps.is_empty() && !is_over {
            steps.push(Step::Pause { is_fault: false });
        }
        if is_over && !self.is_last_run() && self.faults > 0 {
            return vec![Step::LastRun];
        }
        if !may_fail || is_over {
            return steps;
        }
        if self.scenario.pauses && !steps.contains(&Step::Pause { is_fault: false }) {
            steps.push(Step::Pause { is_fault: true });
        }
        if self.scenario.lost_answers {
            steps.extend(enabled.iter().cloned().map(Step::LoseAnswer));
        }
        if self.scenario.crashes {
            let running = |(_, holder): &(usize, &Holder)| matches!(holder, Holder::Running(_));
            let numbers = self.holders.iter().enumerate().filter(running).map(|it| it.0);
            steps.extend(numbers.map(Step::Crash));
            let changes = enabled.iter().filter(|call| call.access == Access::Changes);
            steps.extend(changes.cloned().map(Step::CrashDuring));
        }
        steps
    }

    /// Takes a step.
    pub(crate) async fn take(&mut self, step: &Step) {
        self.idle = if *step == (Step::Pause { is_fault: false }) { self.idle + 1 } else { 0 };
        if !matches!(
            step,
            Step::Call(_) | Step::PowerOff(_) | Step::LastRun | Step::Pause { is_fault: false }
        ) {
            self.faults += 1;
        }
        if let Step::Call(call) | Step::LoseAnswer(call) | Step::CrashDuring(call) = step {
            if self.current.is_some_and(|current| current != call.holder && self.can_go_on(current))
            {
                self.preemptions += 1;
            }
            self.current = Some(call.holder);
        }
        match step {
            Step::Call(call) => self.world.release(call, Decision::Answer),
            Step::LoseAnswer(call) => {
                let kind = match call.access {
                    Access::Changes => ErrorKind::OutcomeUnknown,
                    _ => ErrorKind::Connection,
                };
                self.world.note(format!("the next answer to holder {} is lost", call.holder));
                self.world.release(call, Decision::LoseAnswer(kind));
                self.misled = Some(call.holder);
            }
            Step::PowerOff(vm) => self.world.power_off(vm),
            Step::Pause { is_fault } => {
                self.was_paused |= *is_fault;
                self.world.next_epoch();
                sleep(LEASE + LEASE / 5).await;
            }
            Step::Crash(holder) => self.crash(*holder).await,
            Step::CrashDuring(call) => {
                self.world.release(call, Decision::NoAnswer);
                sleep(SETTLE).await;
                self.crash(call.holder).await;
            }
            Step::LastRun => self.add_holder(),
        }
        self.settle().await;
    }

    fn can_go_on(&self, holder: usize) -> bool {
        let waiting = self.world.waiting();
        waiting.iter().any(|call| call.holder == holder && self.world.is_enabled(call))
    }

    async fn crash(&mut self, holder: usize) {
        self.world.note(format!("holder {holder}: crashes"));
        if let Holder::Running(handle) =
            std::mem::replace(&mut self.holders[holder], Holder::Crashed)
        {
            handle.kill().await;
        }
    }

    /// What the future of the execution depends on. Two holders are alike: the state in which they have
    /// exchanged their parts is the same.
    pub(crate) fn key(&self) -> u64 {
        let key = self.key_as(false);
        if self.scenario.holders == 2 { key.min(self.key_as(true)) } else { key }
    }

    fn key_as(&self, mirrored: bool) -> u64 {
        let text = |text: &str| if mirrored { mirror(text) } else { text.to_owned() };
        let waiting = self.world.waiting();
        let state = |(number, holder): (usize, &Holder)| match holder {
            Holder::Running(_) => {
                let calls: Vec<_> = waiting
                    .iter()
                    .filter(|call| call.holder == number)
                    .map(|call| (text(&call.text), self.world.is_enabled(call)))
                    .collect();
                format!("{} {calls:?}", self.world.history(number, mirrored))
            }
            Holder::Crashed => "crashed".to_owned(),
            Holder::Built(image) => text(&self.world.image_name(image)),
            Holder::Failed(_) => "failed".to_owned(),
        };
        let mut holders: Vec<_> = self.holders.iter().enumerate().map(state).collect();
        let (mut misled, mut current) = (self.misled, self.current);
        if mirrored {
            holders.swap(0, 1);
            // The last run keeps its number.
            let other = |number| if number < 2 { 1 - number } else { number };
            (misled, current) = (misled.map(other), current.map(other));
        }
        let mut cloud: Vec<_> = self.world.describe_cloud().iter().map(|line| text(line)).collect();
        cloud.sort_unstable();
        let bound = self.scenario.preemptions.map(|_| (current, self.preemptions));
        super::hash64(&(cloud, holders, self.faults, misled, self.idle, bound))
    }

    /// What is wrong in the current state.
    pub(crate) fn violation(&self) -> Option<String> {
        let vms = self.world.vms();
        if vms.len() > 1 {
            return Some(format!("{} builder VMs exist", vms.len()));
        }
        for (number, holder) in self.holders.iter().enumerate() {
            if let Holder::Failed(error) = holder
                && self.misled != Some(number)
                && !self.was_paused
            {
                return Some(format!("holder {number} failed without a fault of its own: {error}"));
            }
        }
        (self.idle > 4).then(|| "nothing happens any more".to_owned())
    }

    /// What is wrong at the end.
    pub(crate) fn final_violation(&self) -> Option<String> {
        let left = self.world.memory.resources();
        let images: Vec<_> =
            left.iter().filter(|id| id.kind() == ResourceKind::Image).cloned().collect();
        let others = left.len() - images.len();
        if others > 0 {
            return Some(format!("left at the end: {}", self.world.describe_cloud().join(", ")));
        }
        if images.len() != 1 {
            return Some(format!("{} images exist at the end", images.len()));
        }
        let wrong = |holder: &&Holder| matches!(holder, Holder::Built(image) if ResourceId::from(image.clone()) != images[0]);
        self.holders
            .iter()
            .any(|holder| wrong(&holder))
            .then(|| "a build has returned an image that does not exist any more".to_owned())
    }

    /// What is wrong when the holders have ended and the last run has not begun. After a crash,
    /// something may be left until then.
    pub(crate) fn violation_before_last_run(&self) -> Option<String> {
        if self.holders.iter().any(|holder| matches!(holder, Holder::Crashed)) {
            return None;
        }
        let left = self.world.memory.resources();
        left.iter().any(|id| id.kind() != ResourceKind::Image).then(|| {
            format!("left before the last run: {}", self.world.describe_cloud().join(", "))
        })
    }

    /// Ends what still runs.
    pub(crate) async fn end(self) {
        for holder in self.holders {
            if let Holder::Running(handle) = holder {
                handle.kill().await;
            }
        }
    }
}
