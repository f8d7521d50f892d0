//! Listening to the guest.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{self, Instant};

use super::error::Cause;
use super::plan::Planned;
use super::run::Run;
use super::{BuildEventKind, Phase};
use crate::guest::{
    EventBody, EventParser, GuestChannel, Obstacle, Parsed, Source, Step, StepState,
};
use crate::install::ContextArchive;
use crate::provider::{Result, Size};

/// Ends when the VM is off.
type Off<'a> = Pin<&'a mut (dyn Future<Output = Result<()>> + Send)>;

/// What was heard from the guest so far, and what is waited for next.
pub(super) struct Listener<'a> {
    run: &'a Run<'a>,
    channel: Option<Box<dyn GuestChannel>>,
    obstacle: Obstacle,
    /// The guest is behind a route, so there can be obstacles.
    needs_route: bool,
    /// The guest has been out of reach for long, and this was told.
    lost: bool,
    parser: EventParser,
    /// Whether stage 2 can be heard: it speaks only on a port of its own.
    hears_stage2: bool,
    during: Option<Step>,
    armed: bool,
    done: bool,
    waiting_for: &'static str,
    deadline: (Instant, Duration),
    started: Instant,
}

/// How the VM is after an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Uploaded {
    Running,
    Off,
}

/// What ended a wait of the listener.
enum Woken {
    Cancelled,
    Heard(Result<Option<Vec<u8>>>),
    Off(Result<()>),
    Lost(String),
    Reached,
    Late,
}

impl<'a> Listener<'a> {
    /// How long the last events may take to arrive after the VM is off.
    const LAST_WORDS: Duration = Duration::from_secs(5);

    pub(super) fn new(run: &'a Run<'a>, planned: &Planned, channel: Box<dyn GuestChannel>) -> Self {
        let boot = run.builder.deadlines.boot;
        Self {
            run,
            needs_route: channel.obstacle().is_some(),
            obstacle: channel.obstacle().unwrap_or_default(),
            channel: Some(channel),
            lost: false,
            parser: EventParser::new(&run.build()),
            hears_stage2: planned.hears_stage2,
            during: None,
            armed: false,
            done: false,
            waiting_for: "sign of life from the guest",
            deadline: (Instant::now() + boot, boot),
            started: Instant::now(),
        }
    }

    fn wait_for(&mut self, waiting_for: &'static str, deadline: Duration) {
        self.waiting_for = waiting_for;
        self.deadline = (Instant::now() + deadline, deadline);
    }

    /// Uploads the build context, which the guest waits for. What the guest says meanwhile is heard
    /// afterwards. A guest that was started by a process that died may have had it, and be out of
    /// reach since.
    pub(super) async fn upload(
        &mut self,
        archive: &ContextArchive,
        off: Off<'_>,
        started: bool,
    ) -> std::result::Result<Uploaded, Cause> {
        const WAITING_FOR: &str = "build context in the guest";
        let Some(channel) = &mut self.channel else { return Ok(Uploaded::Running) };
        let deadlines = &self.run.builder.deadlines;
        let reporter = self.run.sink.reporter();
        tokio::select! {
            biased;
            () = self.run.interrupted() => return Err(Cause::Cancelled),
            uploaded = channel.upload(archive, &reporter) => uploaded.map_err(Cause::Provider)?,
            off = off => {
                off.map_err(Cause::Provider)?;
                if started {
                    return Ok(Uploaded::Off);
                }
                return Err(Cause::PoweredOffEarly { during: None });
            }
            obstacle = self.obstacle.outlasts(deadlines.route) => {
                if started {
                    self.lose(&obstacle);
                    return Ok(Uploaded::Running);
                }
                return Err(Cause::Unreachable { obstacle, after: deadlines.route });
            }
            () = time::sleep(deadlines.upload) => {
                if let Some(obstacle) = self.obstacle.why() {
                    self.run.log(format!("the guest cannot be reached: {obstacle}"));
                }
                return Err(Cause::Deadline { waiting_for: WAITING_FOR, after: deadlines.upload });
            }
        }
        self.wait_for(self.waiting_for, deadlines.boot);
        Ok(Uploaded::Running)
    }

    /// Listens until the VM is off, and judges whether it was done.
    pub(super) async fn listen(&mut self, mut off: Off<'_>) -> std::result::Result<(), Cause> {
        let route = self.run.builder.deadlines.route;
        loop {
            let (until, after, waiting_for) = self.patience();
            // Stage 2 may be one that nobody can hear.
            let must_hear = !self.lost && !self.armed;
            let channel = &mut self.channel;
            let heard = async {
                match channel {
                    Some(channel) => channel.receive().await,
                    None => std::future::pending().await,
                }
            };
            let woken = tokio::select! {
                biased;
                () = self.run.interrupted() => Woken::Cancelled,
                bytes = heard => Woken::Heard(bytes),
                off = &mut off => Woken::Off(off),
                why = self.obstacle.outlasts(route), if must_hear => Woken::Lost(why),
                () = self.obstacle.ends(), if self.lost => Woken::Reached,
                () = time::sleep_until(until) => Woken::Late,
            };
            match woken {
                Woken::Cancelled => return Err(Cause::Cancelled),
                Woken::Heard(Ok(Some(bytes))) => self.hear(&bytes)?,
                Woken::Heard(Ok(None)) => {
                    self.channel = None;
                    tracing::debug!("the channel to the guest has ended");
                }
                Woken::Heard(Err(error)) => return Err(Cause::Provider(error)),
                Woken::Off(Ok(())) => return self.judge().await,
                Woken::Off(Err(error)) => {
                    // Why the guest failed beats that it is gone.
                    self.drain().await?;
                    return Err(Cause::Provider(error));
                }
                Woken::Lost(why) => self.lose(&why),
                Woken::Reached => self.find_again(),
                Woken::Late => return Err(Cause::Deadline { waiting_for, after }),
            }
        }
    }

    /// Until when, after how long, and for what is waited: of a guest that is lost, for nothing but
    /// its power-off.
    fn patience(&self) -> (Instant, Duration, &'static str) {
        if self.lost {
            let longest = self.run.builder.deadlines.longest_run();
            return (self.started + longest, longest, "power-off of the VM");
        }
        (self.deadline.0, self.deadline.1, self.waiting_for)
    }

    /// From here on, the guest's silence says nothing.
    fn lose(&mut self, why: &str) {
        self.lost = true;
        let route = self.run.builder.deadlines.route.as_secs_f32();
        let message = format!(
            "the guest cannot be reached for {route} s ({why}): as long as that is so, only its \
             power-off tells that it is done, and a failure shows as a deadline"
        );
        self.run.log(message.clone());
        self.run.sink.note(message);
    }

    fn find_again(&mut self) {
        self.lost = false;
        self.run.sink.note("the guest is reached again");
        // What it was to say in time is still to be read.
        let route = self.run.builder.deadlines.route;
        self.deadline.0 = self.deadline.0.max(Instant::now() + route);
    }

    /// The VM is off: reads what it had said, and judges whether it was done, as
    /// [`Provisioned::follow`](super::provision::Provisioned::follow) says.
    pub(super) async fn judge(&mut self) -> std::result::Result<(), Cause> {
        if self.lost || self.armed && !self.hears_stage2 {
            return Ok(());
        }
        if self.needs_route && !self.obstacle.was_ever_overcome() {
            let why = self.obstacle.why().unwrap_or_else(|| "there was no time".to_owned());
            self.run.sink.note(format!("the VM is off, and its guest was never reached ({why})"));
            return Ok(());
        }
        self.drain().await?;
        if self.done || self.armed && !self.hears_stage2 {
            return Ok(());
        }
        if let Some(why) = self.obstacle.why() {
            self.run.log(format!("the VM is off, and its guest is not reached any more: {why}"));
        }
        Err(Cause::PoweredOffEarly { during: self.during })
    }

    async fn drain(&mut self) -> std::result::Result<(), Cause> {
        let end = Instant::now() + Self::LAST_WORDS;
        while !self.done {
            let Some(channel) = &mut self.channel else { break };
            match time::timeout_at(end, channel.receive()).await {
                Ok(Ok(Some(bytes))) => self.hear(&bytes)?,
                Ok(Ok(None) | Err(_)) | Err(_) => break,
            }
        }
        Ok(())
    }

    fn hear(&mut self, bytes: &[u8]) -> std::result::Result<(), Cause> {
        for parsed in self.parser.push(bytes) {
            match parsed {
                Parsed::Gap { missing, .. } => {
                    self.run.sink.note(format!("{missing} events of the guest were lost"));
                }
                Parsed::Event(event) => self.take(event.from, event.body)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, from: Source, body: EventBody) -> std::result::Result<(), Cause> {
        let sink = &self.run.sink;
        let deadlines = self.run.builder.deadlines;
        match body {
            EventBody::Hello if from == Source::Stage1 => {
                self.run.enter(Phase::Stage1);
                self.wait_for("end of stage 1", deadlines.stage1);
            }
            EventBody::Hello | EventBody::Unknown => {}
            EventBody::Step { step, state, exit } => {
                self.during = (state == StepState::Start).then_some(step).or(self.during);
                sink.send(BuildEventKind::Step { step, state, exit });
            }
            EventBody::Progress { step, done, total } => sink.send(BuildEventKind::Progress {
                what: step.to_string(),
                done: Size::bytes(done),
                total: Some(Size::bytes(total)),
            }),
            EventBody::Log { step, line } => {
                self.run.log(line.clone());
                sink.send(BuildEventKind::Log { step, line });
            }
            EventBody::Note { message } => {
                self.run.log(message.clone());
                sink.note(message);
            }
            EventBody::Report { written, copy, extents, volume, root } => {
                sink.send(BuildEventKind::Written {
                    written: Size::bytes(written),
                    copy: Size::bytes(copy),
                    extents,
                    volume: Size::bytes(volume),
                    root: Size::bytes(root),
                });
            }
            EventBody::Failed { reason, exit, message } => {
                return Err(Cause::Guest { reason, exit, message });
            }
            EventBody::Armed { entry } => {
                self.armed = true;
                sink.send(BuildEventKind::Armed { entry });
                self.run.enter(Phase::Stage2);
                self.wait_for("end of stage 2", deadlines.stage2);
            }
            EventBody::Done => {
                self.done = true;
                self.wait_for("power-off of the VM after stage 2", deadlines.power_off);
            }
        }
        Ok(())
    }
}
