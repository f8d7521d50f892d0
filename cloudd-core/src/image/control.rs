use std::fmt;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::guest::{Stage2Entry, Step, StepState};
use crate::provider::{BuildId, ImageId, Report, Reporter, ResourceId, Size};

/// Where a build is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Inputs are checked; nothing exists yet.
    Plan,
    /// VM and volume are created.
    Provision,
    /// The builder VM boots; its agent has not been heard yet.
    Boot,
    /// The install container runs in the builder VM.
    Stage1,
    /// The volume is copied to the root disk.
    Stage2,
    /// The image is made of the root disk.
    Image,
    /// A VM is started from the image, to see whether it boots.
    BootCheck,
    /// What the build made is deleted.
    Teardown,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plan => "plan",
            Self::Provision => "provision",
            Self::Boot => "boot",
            Self::Stage1 => "stage 1",
            Self::Stage2 => "stage 2",
            Self::Image => "image",
            Self::BootCheck => "boot check",
            Self::Teardown => "teardown",
        })
    }
}

/// One thing that happened in a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BuildEvent {
    /// The build.
    pub build: BuildId,
    /// The image name given to the builder.
    pub name: String,
    /// Which of several builds ([`Builds`](super::Builds)): the place in which it was added, from
    /// 0. A build alone has 0.
    pub index: usize,
    /// Time since the build began.
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub update: BuildEventKind,
}

/// What happened in a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BuildEventKind {
    /// A phase begins; the one before is over.
    Phase {
        /// Which.
        phase: Phase,
    },
    /// An image that exists already is what the build returns; nothing is created.
    Reused {
        /// Which.
        image: ImageId,
    },
    /// Another process makes the same image; it is waited for.
    Waiting {
        /// Its build.
        build: String,
        /// How far it is.
        phase: String,
    },
    /// A build whose process died goes on: its id is the one of this build from here on.
    Adopted {
        /// Which.
        build: BuildId,
    },
    /// A resource was created.
    Created {
        /// Which.
        resource: ResourceId,
    },
    /// A resource was deleted.
    Deleted {
        /// Which.
        resource: ResourceId,
    },
    /// A step of the guest begins or ends.
    Step {
        /// Which.
        step: Step,
        /// Begins or ends.
        state: StepState,
        /// The exit code of its main command.
        exit: Option<i32>,
    },
    /// How far something is, in bytes.
    Progress {
        /// What.
        what: String,
        /// Done so far.
        done: Size,
        /// The whole, when it is known.
        total: Option<Size>,
    },
    /// How far an action of the cloud is.
    Percent {
        /// What.
        what: String,
        /// 0 to 100.
        percent: u8,
    },
    /// A line of output of podman or of the install container.
    Log {
        /// The step whose output it is.
        step: Step,
        /// The line.
        line: String,
    },
    /// What the install container wrote.
    Written {
        /// Bytes that it wrote.
        written: Size,
        /// Bytes that stage 2 reads and copies: those written and small gaps between them.
        copy: Size,
        /// In how many runs they lie.
        extents: u64,
        /// The size of the volume.
        volume: Size,
        /// The size of the root disk.
        root: Size,
    },
    /// The guest leaves its operating system for stage 2.
    Armed {
        /// By which way.
        entry: Stage2Entry,
    },
    /// Anything the reader should know.
    Note {
        /// A sentence.
        message: String,
    },
    /// Events were left out because nobody read them.
    Skipped {
        /// How many.
        count: u64,
    },
}

/// The events of a build, in order. Ends when the build does.
///
/// At most 4,096 unread events are kept; what comes after that is left out and counted
/// ([`BuildEventKind::Skipped`]), so that a program that does not read needs no memory for it.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<BuildEvent>);

impl Events {
    /// The next event; `None` when the build is over.
    pub async fn next(&mut self) -> Option<BuildEvent> {
        self.0.recv().await
    }
}

impl Stream for Events {
    type Item = BuildEvent;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<BuildEvent>> {
        self.0.poll_recv(cx)
    }
}

/// Cancels a build, or all of several. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CancelHandle(CancellationToken);

impl CancelHandle {
    /// Asks the build to end: it stops waiting, deletes what it made and returns
    /// [`Cause::Cancelled`](super::Cause::Cancelled). Calling it again changes nothing.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

/// What accompanies a running build.
#[derive(Debug)]
#[non_exhaustive]
pub struct BuildControl {
    /// What happens.
    pub events: Events,
    /// Ends the build early.
    pub cancel: CancelHandle,
}

/// What several builds share of one [`BuildControl`].
#[derive(Debug)]
pub(super) struct Company {
    events: Option<mpsc::Sender<BuildEvent>>,
    pub(super) cancelled: CancellationToken,
}

impl Company {
    /// Builds that nobody accompanies.
    pub(super) fn alone() -> Self {
        Self { events: None, cancelled: CancellationToken::new() }
    }

    /// Builds and what accompanies them.
    pub(super) fn with_control() -> (Self, BuildControl) {
        let (sender, receiver) = mpsc::channel(Sink::UNREAD);
        let company = Self { events: Some(sender), ..Self::alone() };
        let cancel = CancelHandle(company.cancelled.clone());
        (company, BuildControl { events: Events(receiver), cancel })
    }

    /// The side of a build that begins now.
    pub(super) fn sink(&self, index: usize, name: &str) -> Sink {
        Sink {
            index,
            events: self.events.clone(),
            cancelled: self.cancelled.clone(),
            ..Sink::alone(BuildId::random(), name)
        }
    }
}

/// The build's side of a [`BuildControl`].
#[derive(Debug, Clone)]
pub(super) struct Sink {
    /// Another one once the build of another process goes on.
    build: Arc<Mutex<BuildId>>,
    name: String,
    index: usize,
    begun: Instant,
    events: Option<mpsc::Sender<BuildEvent>>,
    skipped: Arc<AtomicU64>,
    pub(super) cancelled: CancellationToken,
}

impl Sink {
    const UNREAD: usize = 4096;
    const BETWEEN_PROGRESS: Duration = Duration::from_millis(500);

    /// A build that nobody accompanies.
    pub(super) fn alone(build: BuildId, name: &str) -> Self {
        Self {
            build: Arc::new(Mutex::new(build)),
            name: name.to_owned(),
            index: 0,
            begun: Instant::now(),
            events: None,
            skipped: Arc::default(),
            cancelled: CancellationToken::new(),
        }
    }

    /// A build and what accompanies it.
    pub(super) fn accompanied(build: BuildId, name: &str) -> (Self, BuildControl) {
        let (company, control) = Company::with_control();
        let sink = company.sink(0, name);
        sink.set_build(build);
        (sink, control)
    }

    pub(super) fn build(&self) -> BuildId {
        self.build.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_build(&self, build: BuildId) {
        *self.build.lock().unwrap_or_else(PoisonError::into_inner) = build;
    }

    pub(super) fn send(&self, update: BuildEventKind) {
        let build = self.build();
        tracing::debug!(%build, ?update, "build event");
        let Some(events) = &self.events else { return };
        let event = |update| BuildEvent {
            build: build.clone(),
            name: self.name.clone(),
            index: self.index,
            at: self.begun.elapsed(),
            update,
        };
        let skipped = self.skipped.swap(0, Ordering::Relaxed);
        if skipped > 0
            && events.try_send(event(BuildEventKind::Skipped { count: skipped })).is_err()
        {
            self.skipped.fetch_add(skipped, Ordering::Relaxed);
        }
        if events.try_send(event(update)).is_err() {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn note(&self, message: impl Into<String>) {
        self.send(BuildEventKind::Note { message: message.into() });
    }

    /// Passes on what a provider reports; of progress, so much as a reader can follow.
    pub(super) fn reporter(&self) -> Reporter {
        let sink = self.clone();
        let quiet_until = Mutex::new(Instant::now());
        Reporter::new(move |report| {
            if let Report::Progress { done, total, .. } = &report
                && Some(*done) != *total
            {
                let mut quiet = quiet_until.lock().unwrap_or_else(PoisonError::into_inner);
                if Instant::now() < *quiet {
                    return;
                }
                *quiet = Instant::now() + Self::BETWEEN_PROGRESS;
            }
            sink.send(match report {
                Report::Progress { what, done, total } => {
                    BuildEventKind::Progress { what, done, total }
                }
                Report::Percent { what, percent } => BuildEventKind::Percent { what, percent },
                Report::Note(message) => BuildEventKind::Note { message },
                Report::Created(resource) => BuildEventKind::Created { resource },
                Report::Deleted(resource) => BuildEventKind::Deleted { resource },
            });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn unread_events_are_counted_not_kept() {
        let (sink, mut control) = Sink::accompanied(BuildId::random(), "x");
        for _ in 0..Sink::UNREAD + 10 {
            sink.note("n");
        }
        for _ in 0..Sink::UNREAD {
            assert!(matches!(
                control.events.next().await.unwrap().update,
                BuildEventKind::Note { .. }
            ));
        }
        sink.note("last");
        let skipped = control.events.next().await.unwrap().update;
        assert_eq!(skipped, BuildEventKind::Skipped { count: 10 });
    }
}
