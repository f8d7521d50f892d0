use std::time::Duration;

use tokio::time::Instant;

use super::capture::PoweredOff;
use super::error::Cause;
use super::plan::Planned;
use super::provision::Provisioned;
use super::run::Run;
use super::{Phase, Update};
use crate::guest::{EventBody, EventParser, GuestChannel, Parsed, Source, Step, StepState};
use crate::install::ContextArchive;
use crate::provider::{Result, Size, Vm};

impl Provisioned {
    /// Starts the VM and follows it through both stages until it is off.
    ///
    /// Where the guest can be heard, off counts only after its last event; where it cannot, off is
    /// all there is, as a guest that failed never powers off.
    pub(super) async fn follow(self, run: &Run<'_>) -> std::result::Result<PoweredOff, Cause> {
        let Self { planned, vm, upload } = self;
        // Written before the step: from here on, "off" means that something has run.
        run.mark(&vm, "started").await?;
        run.enter(Phase::Boot);
        let reporter = run.sink.reporter();
        let start = run.provider.start_vm(&vm.id, &reporter);
        run.wait("start of the VM", run.builder.deadlines.call, start).await?;
        let channel = run
            .wait(
                "channel to the guest",
                run.builder.deadlines.boot,
                run.provider.open_channel(&vm.id),
            )
            .await?;
        match channel {
            Some(channel) => {
                let mut listener = Listener::new(run, &planned, channel);
                if let Some(archive) = upload {
                    listener.upload(&archive).await?;
                }
                listener.listen(&vm).await?;
            }
            None => {
                run.sink.note(
                    "no channel to the guest: only its power-off tells that it is done, and a \
                     failure shows as a deadline",
                );
                let deadlines = &run.builder.deadlines;
                let longest = deadlines.boot + deadlines.stage1 + deadlines.stage2;
                run.wait("power-off of the VM", longest, run.provider.wait_vm_off(&vm.id)).await?;
            }
        }
        Ok(PoweredOff { planned, vm })
    }
}

/// What was heard from the guest so far, and what is waited for next.
struct Listener<'a> {
    run: &'a Run<'a>,
    channel: Option<Box<dyn GuestChannel>>,
    parser: EventParser,
    /// Whether stage 2 can be heard: it speaks only on a port of its own.
    hears_stage2: bool,
    during: Option<Step>,
    armed: bool,
    done: bool,
    waiting_for: &'static str,
    deadline: (Instant, Duration),
}

/// What ended a wait of the listener.
enum Woken {
    Cancelled,
    Heard(Result<Option<Vec<u8>>>),
    Off(Result<()>),
    Late,
}

impl<'a> Listener<'a> {
    /// How long the last events may take to arrive after the VM is off.
    const LAST_WORDS: Duration = Duration::from_secs(5);

    fn new(run: &'a Run<'a>, planned: &Planned, channel: Box<dyn GuestChannel>) -> Self {
        let boot = run.builder.deadlines.boot;
        Self {
            run,
            channel: Some(channel),
            parser: EventParser::new(&run.build),
            hears_stage2: planned.hears_stage2,
            during: None,
            armed: false,
            done: false,
            waiting_for: "sign of life from the guest",
            deadline: (Instant::now() + boot, boot),
        }
    }

    fn wait_for(&mut self, waiting_for: &'static str, deadline: Duration) {
        self.waiting_for = waiting_for;
        self.deadline = (Instant::now() + deadline, deadline);
    }

    async fn upload(&mut self, archive: &ContextArchive) -> std::result::Result<(), Cause> {
        let Some(channel) = &mut self.channel else { return Ok(()) };
        let boot = self.run.builder.deadlines.boot;
        self.run.wait("upload of the build context", boot, channel.upload(archive)).await
    }

    async fn listen(&mut self, vm: &Vm) -> std::result::Result<(), Cause> {
        let off = self.run.provider.wait_vm_off(&vm.id);
        tokio::pin!(off);
        loop {
            let channel = &mut self.channel;
            let heard = async {
                match channel {
                    Some(channel) => channel.receive().await,
                    None => std::future::pending().await,
                }
            };
            let woken = tokio::select! {
                biased;
                () = self.run.sink.cancelled.cancelled() => Woken::Cancelled,
                bytes = heard => Woken::Heard(bytes),
                off = &mut off => Woken::Off(off),
                () = tokio::time::sleep_until(self.deadline.0) => Woken::Late,
            };
            match woken {
                Woken::Cancelled => return Err(Cause::Cancelled),
                Woken::Heard(Ok(Some(bytes))) => self.hear(&bytes)?,
                Woken::Heard(Ok(None)) => {
                    self.channel = None;
                    tracing::debug!("the channel to the guest has ended");
                }
                Woken::Heard(Err(error)) => return Err(Cause::Provider(error)),
                Woken::Off(Ok(())) => return self.last_words().await,
                Woken::Off(Err(error)) => {
                    // Why the guest failed beats that it is gone.
                    self.drain().await?;
                    return Err(Cause::Provider(error));
                }
                Woken::Late => {
                    let after = self.deadline.1;
                    return Err(Cause::Deadline { waiting_for: self.waiting_for, after });
                }
            }
        }
    }

    /// The VM is off: reads what it had said, and judges whether it was done.
    async fn last_words(&mut self) -> std::result::Result<(), Cause> {
        self.drain().await?;
        if self.done || self.armed && !self.hears_stage2 {
            return Ok(());
        }
        Err(Cause::PoweredOffEarly { during: self.during })
    }

    async fn drain(&mut self) -> std::result::Result<(), Cause> {
        let end = Instant::now() + Self::LAST_WORDS;
        while !self.done {
            let Some(channel) = &mut self.channel else { break };
            match tokio::time::timeout_at(end, channel.receive()).await {
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
                sink.send(Update::Step { step, state, exit });
            }
            EventBody::Progress { step, done, total } => sink.send(Update::Progress {
                what: step.to_string(),
                done: Size::bytes(done),
                total: Some(Size::bytes(total)),
            }),
            EventBody::Log { step, line } => {
                self.run.log(line.clone());
                sink.send(Update::Log { step, line });
            }
            EventBody::Note { message } => {
                self.run.log(message.clone());
                sink.note(message);
            }
            EventBody::Report { written, copy, extents, volume, root } => {
                sink.send(Update::Written {
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
                sink.send(Update::Armed { entry });
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
