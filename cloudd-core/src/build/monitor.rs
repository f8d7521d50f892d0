//! Follows the guest through both stages until its VM is off.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::console;
use super::error::BuildErrorKind;
use super::events::{BuildEventKind, Phase};
use super::recovery::restart;
use super::state::{Build, State};
use crate::guest::{
    ContainerDelivery, EventBody, EventParser, GuestChannel, Parsed, Reachability, Source, Step,
    StepState,
};
use crate::install::ContextArchive;
use crate::provider::{Error, ErrorKind, Result, Size, Vm};
use crate::text::human_duration;

/// Starts the builder VM, delivers the build context if it has to be uploaded, and monitors the guest.
pub(super) async fn start_and_monitor(
    build: &mut Build<'_>,
    vm: Vm,
) -> Result<State, BuildErrorKind> {
    // Recorded before the start: a VM that is off may not have run yet.
    build.enter_recorded(Phase::Boot).await?;
    let reporter = build.events.reporter();
    let start = build.cx.provider.start_vm(&vm.id, &reporter);
    build.wait("start of the VM", build.cx.config.deadlines.call, start).await?;
    let upload = match &build.plan.delivery {
        ContainerDelivery::Upload(archive, _) => Upload::Required(archive.clone()),
        _ => Upload::None,
    };
    follow(build, vm, upload).await
}

/// Monitors a guest that an earlier process has started.
pub(super) async fn monitor(build: &mut Build<'_>, vm: Vm) -> Result<State, BuildErrorKind> {
    build.enter(Phase::Boot);
    let upload = match &build.plan.delivery {
        ContainerDelivery::Upload(archive, _) => Upload::PerhapsDone(archive.clone()),
        _ => Upload::None,
    };
    match follow(build, vm, upload).await {
        // The events were sent to a process that died.
        Err(BuildErrorKind::Unproven { reason }) => {
            restart(build, &format!("its VM is off, and {reason}")).await
        }
        result => result,
    }
}

/// The upload of the build context.
enum Upload {
    /// The context is delivered in another way.
    None,
    /// The guest waits for the context.
    Required(ContextArchive),
    /// An earlier process may have uploaded it; the guest may be unreachable or off since.
    PerhapsDone(ContextArchive),
}

/// A guest that has failed never powers off, but an install container may power the VM off. Power-off
/// therefore has to agree with the events:
///
/// | channel | power-off is success |
/// |---|---|
/// | receives both stages | after the last event of stage 2 |
/// | ends with stage 1, such as SSH | after stage 1 has reported that it is done |
/// | never reached its guest | with [`ImageBuilder::trust_power_off`](super::ImageBuilder::trust_power_off) |
/// | unreachable for [`Deadlines::route`](super::Deadlines::route) until the end | the same |
/// | none | the same |
///
/// A guest that was reached must have been unreachable for long, which is reported, before power-off
/// alone counts as success: a VM whose power was cut loses its connection, too.
async fn follow(build: &mut Build<'_>, vm: Vm, upload: Upload) -> Result<State, BuildErrorKind> {
    let (provider, deadlines) = (build.cx.provider.as_ref(), build.cx.config.deadlines);
    let open = open_channel(build, &vm);
    let Some(channel) = build.wait("channel to the guest", deadlines.boot, open).await? else {
        if matches!(upload, Upload::Required(_)) {
            return Err(Error::new(ErrorKind::Unsupported, "upload build context")
                .with_resource(&vm.id)
                .with_message("there is no channel to the VM")
                .into());
        }
        if !build.cx.config.trusts_power_off {
            return Err(Error::new(ErrorKind::Unsupported, "follow the guest of VM")
                .with_resource(&vm.id)
                .with_message("it has no address, so that no event can be received")
                .with_hint("`trust_power_off` accepts power-off as proof that the build succeeded")
                .into());
        }
        build.events.note(
            "there is no channel to the guest: success is detected by power-off, and a failure \
             only when the deadline passes",
        );
        let off = provider.wait_vm_off(&vm.id);
        build.wait("power-off of the VM", deadlines.longest_run(), off).await?;
        return Ok(State::PoweredOff(vm));
    };
    let mut off = provider.wait_vm_off(&vm.id);
    let mut monitor = GuestMonitor::new(build, channel);
    let followed = async {
        let power = match upload {
            Upload::None => Power::On,
            Upload::Required(archive) => monitor.upload(&archive, off.as_mut(), false).await?,
            Upload::PerhapsDone(archive) => monitor.upload(&archive, off.as_mut(), true).await?,
        };
        match power {
            Power::On => monitor.run(&vm, off.as_mut()).await,
            Power::Off => monitor.conclude().await,
        }
    };
    let result = followed.await;
    drop(off);
    match result {
        Ok(()) => Ok(State::PoweredOff(vm)),
        Err(
            kind @ (BuildErrorKind::Deadline { .. }
            | BuildErrorKind::KernelPanic { .. }
            | BuildErrorKind::PoweredOffEarly { .. }
            | BuildErrorKind::Silent { .. }
            | BuildErrorKind::Unreachable { .. }),
        ) => {
            // The guest did not report why.
            for line in console::tail(build.cx, &vm).await {
                build.log.push(format!("console: {line}"));
            }
            Err(kind)
        }
        Err(kind) => Err(kind),
    }
}

/// The provider's own channel, or the one over SSH.
async fn open_channel(build: &Build<'_>, vm: &Vm) -> Result<Option<Box<dyn GuestChannel>>> {
    let provider = &build.cx.provider;
    if let Some(channel) = provider.open_channel(&vm.id).await? {
        return Ok(Some(channel));
    }
    let Some(access) = &build.access else { return Ok(None) };
    if !vm.addresses.is_empty() {
        return access.open(vm).map(Some);
    }
    // Some clouds assign addresses only to a VM that runs.
    match provider.vm(&vm.id).await? {
        Some(vm) if !vm.addresses.is_empty() => access.open(&vm).map(Some),
        _ => Ok(None),
    }
}

/// Completes when the VM is off.
type Off<'a> = Pin<&'a mut (dyn Future<Output = Result<()>> + Send)>;

/// Whether the VM runs.
enum Power {
    On,
    Off,
}

/// Receives the events of the guest, and knows which one is due next.
struct GuestMonitor<'b, 'a> {
    build: &'b mut Build<'a>,
    channel: Option<Box<dyn GuestChannel>>,
    reachability: Reachability,
    /// Whether the channel needs a route to the guest, which can be missing.
    needs_route: bool,
    /// The guest has been unreachable for long, and this was reported.
    unreachable: bool,
    parser: EventParser,
    /// Whether events of stage 2 are received: they are sent only to a serial port.
    receives_stage2: bool,
    last_step: Option<Step>,
    greeted: bool,
    stage2_installed: bool,
    done: bool,
    waiting_for: &'static str,
    deadline: (Instant, Duration),
    started: Instant,
    /// When the guest is silent for too long, if it sends events regularly.
    silent: Option<Instant>,
}

/// What ends a wait of the monitor.
enum MonitorEvent {
    Interrupted,
    Received(Result<Option<Vec<u8>>>),
    PoweredOff(Result<()>),
    Unreachable(String),
    Reachable,
    DeadlineExpired,
    Silent,
    KernelPanic(String),
}

impl<'b, 'a> GuestMonitor<'b, 'a> {
    /// How long the last events may take to arrive after the VM is off.
    const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

    fn new(build: &'b mut Build<'a>, channel: Box<dyn GuestChannel>) -> Self {
        let boot = build.cx.config.deadlines.boot;
        let capabilities = build.cx.provider.capabilities();
        Self {
            needs_route: channel.reachability().is_some(),
            reachability: channel.reachability().unwrap_or_default(),
            channel: Some(channel),
            unreachable: false,
            parser: EventParser::new(&build.id),
            receives_stage2: capabilities.channel && capabilities.event_port.is_some(),
            last_step: None,
            greeted: false,
            stage2_installed: false,
            done: false,
            waiting_for: "first event of the guest",
            deadline: (Instant::now() + boot, boot),
            started: Instant::now(),
            silent: None,
            build,
        }
    }

    fn wait_for(&mut self, waiting_for: &'static str, deadline: Duration) {
        self.waiting_for = waiting_for;
        self.deadline = (Instant::now() + deadline, deadline);
    }

    /// Uploads the build context. Events that the guest sends meanwhile are received afterwards.
    async fn upload(
        &mut self,
        archive: &ContextArchive,
        off: Off<'_>,
        perhaps_done: bool,
    ) -> Result<Power, BuildErrorKind> {
        const WAITING_FOR: &str = "build context in the guest";
        let Some(channel) = &mut self.channel else { return Ok(Power::On) };
        let deadlines = self.build.cx.config.deadlines;
        let reporter = self.build.events.reporter();
        tokio::select! {
            biased;
            () = self.build.interrupted() => return Err(BuildErrorKind::Cancelled),
            uploaded = channel.upload(archive, &reporter) => uploaded?,
            off = off => {
                off?;
                if perhaps_done {
                    return Ok(Power::Off);
                }
                return Err(BuildErrorKind::PoweredOffEarly { during: None });
            }
            reason = self.reachability.unreachable_for(deadlines.route) => {
                if perhaps_done {
                    self.mark_unreachable(&reason)?;
                    return Ok(Power::On);
                }
                return Err(BuildErrorKind::Unreachable { reason, after: deadlines.route });
            }
            () = time::sleep(deadlines.upload) => {
                if let Some(reason) = self.reachability.reason() {
                    self.build.log.push(format!("the guest cannot be reached: {reason}"));
                }
                let after = deadlines.upload;
                return Err(BuildErrorKind::Deadline { waiting_for: WAITING_FOR, after });
            }
        }
        self.wait_for(self.waiting_for, deadlines.boot);
        Ok(Power::On)
    }

    /// Receives events until the VM is off, and decides whether the guest had finished.
    async fn run(&mut self, vm: &Vm, mut off: Off<'_>) -> Result<(), BuildErrorKind> {
        let route = self.build.cx.config.deadlines.route;
        let panic = console::wait_for_kernel_panic(self.build.cx, vm);
        tokio::pin!(panic);
        loop {
            let (until, after, waiting_for) = self.current_deadline();
            // Stage 2 may send no events at all.
            let must_be_reachable = !self.unreachable && !self.stage2_installed;
            let channel = &mut self.channel;
            let receive = async {
                match channel {
                    Some(channel) => channel.receive().await,
                    None => std::future::pending().await,
                }
            };
            let event = tokio::select! {
                biased;
                () = self.build.interrupted() => MonitorEvent::Interrupted,
                // Before the bytes: a guest that sends without end hides neither.
                () = time::sleep_until(until) => MonitorEvent::DeadlineExpired,
                message = &mut panic, if !self.greeted => MonitorEvent::KernelPanic(message),
                off = &mut off => MonitorEvent::PoweredOff(off),
                bytes = receive => MonitorEvent::Received(bytes),
                reason = self.reachability.unreachable_for(route), if must_be_reachable => {
                    MonitorEvent::Unreachable(reason)
                }
                () = self.reachability.reachable(), if self.unreachable => MonitorEvent::Reachable,
                // After the bytes: those that have arrived end the silence.
                () = time::sleep_until(self.silent.unwrap_or(until)), if self.silent.is_some() => {
                    MonitorEvent::Silent
                }
            };
            match event {
                MonitorEvent::Interrupted => return Err(BuildErrorKind::Cancelled),
                MonitorEvent::Received(Ok(Some(bytes))) => self.handle_bytes(&bytes)?,
                MonitorEvent::Received(Ok(None)) => {
                    self.channel = None;
                    tracing::debug!("the channel to the guest has ended");
                }
                MonitorEvent::Received(Err(error)) => return Err(error.into()),
                MonitorEvent::PoweredOff(Ok(())) => return self.conclude().await,
                MonitorEvent::PoweredOff(Err(error)) => {
                    // A failure that the guest reported is the better reason.
                    self.drain().await?;
                    return Err(error.into());
                }
                MonitorEvent::Unreachable(reason) => self.mark_unreachable(&reason)?,
                MonitorEvent::Reachable => self.mark_reachable(),
                // The connection is interrupted, which has its own deadline.
                MonitorEvent::Silent if !self.reachability.is_reachable() => self.expect_event(),
                MonitorEvent::Silent => {
                    let after = self.build.cx.config.deadlines.silence;
                    return Err(BuildErrorKind::Silent { after, during: self.last_step });
                }
                MonitorEvent::KernelPanic(message) => {
                    return Err(BuildErrorKind::KernelPanic { message });
                }
                MonitorEvent::DeadlineExpired => {
                    return Err(BuildErrorKind::Deadline { waiting_for, after });
                }
            }
        }
    }

    /// The deadline of what is waited for, and at the latest that of the whole run, which no event of
    /// the guest can move. A guest that is unreachable can only power off.
    fn current_deadline(&self) -> (Instant, Duration, &'static str) {
        let deadlines = self.build.cx.config.deadlines;
        let longest = deadlines.longest_run();
        if self.unreachable {
            return (self.started + longest, longest, "power-off of the VM");
        }
        let longest = longest + deadlines.upload + deadlines.power_off;
        if self.started + longest < self.deadline.0 {
            return (self.started + longest, longest, "power-off of the VM");
        }
        (self.deadline.0, self.deadline.1, self.waiting_for)
    }

    /// Starts the time within which the next event is due.
    fn expect_event(&mut self) {
        let silence = self.build.cx.config.deadlines.silence;
        self.silent = self.silent.map(|_| Instant::now() + silence);
    }

    fn mark_unreachable(&mut self, reason: &str) -> Result<(), BuildErrorKind> {
        let config = &self.build.cx.config;
        let after = config.deadlines.route;
        if !config.trusts_power_off {
            return Err(BuildErrorKind::Unreachable { reason: reason.to_owned(), after });
        }
        self.unreachable = true;
        let route = human_duration(after);
        let message = format!(
            "the guest has been unreachable for {route} ({reason}): until it is reachable again, \
             success is detected by power-off, and a failure only when the deadline passes"
        );
        self.build.log.push(message.clone());
        self.build.events.note(message);
        Ok(())
    }

    fn mark_reachable(&mut self) {
        self.unreachable = false;
        self.build.events.note("the guest is reachable again");
        // Events that were due meanwhile have yet to be received.
        let route = self.build.cx.config.deadlines.route;
        self.deadline.0 = self.deadline.0.max(Instant::now() + route);
    }

    /// The VM is off: receives the remaining events, and decides whether the guest had finished; see
    /// [`follow`].
    async fn conclude(&mut self) -> Result<(), BuildErrorKind> {
        if self.unreachable || self.stage2_installed && !self.receives_stage2 {
            return Ok(());
        }
        if self.needs_route && !self.reachability.was_reachable() {
            let reason = self
                .reachability
                .reason()
                .unwrap_or_else(|| "no connection was tried yet".to_owned());
            let reason = format!("its guest was never reached ({reason})");
            if !self.build.cx.config.trusts_power_off {
                return Err(BuildErrorKind::Unproven { reason });
            }
            self.build.events.note(format!("the VM is off, and {reason}"));
            return Ok(());
        }
        self.drain().await?;
        if self.done || self.stage2_installed && !self.receives_stage2 {
            return Ok(());
        }
        if let Some(reason) = self.reachability.reason() {
            self.build.log.push(format!("the VM is off, and its guest is unreachable: {reason}"));
        }
        Err(BuildErrorKind::PoweredOffEarly { during: self.last_step })
    }

    async fn drain(&mut self) -> Result<(), BuildErrorKind> {
        let end = Instant::now() + Self::DRAIN_TIMEOUT;
        while !self.done {
            let Some(channel) = &mut self.channel else { break };
            match time::timeout_at(end, channel.receive()).await {
                Ok(Ok(Some(bytes))) => self.handle_bytes(&bytes)?,
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        Ok(())
    }

    fn handle_bytes(&mut self, bytes: &[u8]) -> Result<(), BuildErrorKind> {
        for parsed in self.parser.push(bytes) {
            match parsed {
                Parsed::Gap { missing, .. } => {
                    self.build.events.note(format!("{missing} events of the guest were lost"));
                }
                Parsed::Event(event) => {
                    self.expect_event();
                    self.handle_event(event.from, event.body)?;
                }
            }
        }
        Ok(())
    }

    fn handle_event(&mut self, from: Source, body: EventBody) -> Result<(), BuildErrorKind> {
        let deadlines = self.build.cx.config.deadlines;
        let events = &self.build.events;
        match body {
            // Each event of this kind extends the deadline, and therefore counts once.
            EventBody::Hello if from == Source::Stage1 && !self.greeted => {
                self.greeted = true;
                self.build.enter(Phase::Stage1);
                self.wait_for("end of stage 1", deadlines.stage1);
            }
            EventBody::Alive if from == Source::Stage1 && !self.stage2_installed => {
                self.silent = Some(Instant::now() + deadlines.silence);
            }
            EventBody::Hello | EventBody::Alive | EventBody::Unknown => {}
            EventBody::Step { step, state, exit } => {
                self.last_step = (state == StepState::Start).then_some(step).or(self.last_step);
                events.send(BuildEventKind::Step { step, state, exit });
            }
            EventBody::Progress { step, done, total } => events.send(BuildEventKind::Progress {
                what: step.to_string(),
                done: Size::bytes(done),
                total: Some(Size::bytes(total)),
            }),
            EventBody::Log { step, line } => {
                events.send(BuildEventKind::Log { step, line: line.clone() });
                self.build.log.push(line);
            }
            EventBody::Note { message } => {
                events.note(message.clone());
                self.build.log.push(message);
            }
            EventBody::Report { written, copy, extents, volume, root } => {
                events.send(BuildEventKind::Written {
                    written: Size::bytes(written),
                    copy: Size::bytes(copy),
                    extents,
                    volume: Size::bytes(volume),
                    root: Size::bytes(root),
                });
            }
            EventBody::Failed { reason, exit, message } => {
                return Err(BuildErrorKind::Guest { reason, exit, message });
            }
            EventBody::Armed { .. } if self.stage2_installed => {}
            EventBody::Armed { entry } => {
                self.stage2_installed = true;
                self.silent = None;
                events.send(BuildEventKind::EnteringStage2 { entry });
                self.build.enter(Phase::Stage2);
                self.wait_for("end of stage 2", deadlines.stage2);
            }
            EventBody::Done if self.done => {}
            EventBody::Done => {
                self.done = true;
                self.wait_for("power-off of the VM after stage 2", deadlines.power_off);
            }
        }
        Ok(())
    }
}
