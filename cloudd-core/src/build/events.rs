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

use crate::guest::{Stage2Entry, Step, StepState};
use crate::provider::{BuildId, ImageId, Report, Reporter, ResourceId, Size};
use crate::text::sanitize_untrusted;

/// A phase of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Inputs are checked, and a lease is acquired; nothing else exists yet.
    Plan,
    /// Volume and VM are created.
    Provision,
    /// The builder VM boots; its agent has not sent an event yet.
    Boot,
    /// The install container runs in the builder VM.
    Stage1,
    /// The volume is copied to the root disk.
    Stage2,
    /// The image is made of the root disk.
    Image,
    /// A VM is started from the image, to check that it boots.
    BootCheck,
    /// Everything but the image is deleted.
    Teardown,
}

impl Phase {
    /// The value of the phase label on a lease (written before the phase begins) and on the VM of a
    /// boot check.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Provision => "provision",
            Self::Boot => "boot",
            Self::Stage1 => "stage-1",
            Self::Stage2 => "stage-2",
            Self::Image => "image",
            Self::BootCheck => "boot-check",
            Self::Teardown => "teardown",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stage1 => "stage 1",
            Self::Stage2 => "stage 2",
            Self::BootCheck => "boot check",
            other => other.label(),
        })
    }
}

/// An event of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BuildEvent {
    /// The build.
    pub build: BuildId,
    /// The image name given to the builder.
    pub name: String,
    /// The position of the build in [`Builds`](super::Builds), from 0; 0 for a single build.
    pub index: usize,
    /// Time since the build began.
    pub at: Duration,
    /// What happened.
    #[serde(flatten)]
    pub kind: BuildEventKind,
}

/// What happened in a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum BuildEventKind {
    /// A phase begins; the one before has ended.
    Phase {
        /// The phase.
        phase: Phase,
    },
    /// The build returns an image that exists already; nothing is created.
    Reused {
        /// The image.
        image: ImageId,
    },
    /// Another process makes the same image; the build waits for it. Sent about once a
    /// minute, and when the phase of that build changes.
    Waiting {
        /// The other process's build.
        build: String,
        /// The phase of that build.
        phase: String,
        /// For how long the build has waited, in seconds.
        waited: u64,
    },
    /// A build whose process died is resumed. Later events carry its id.
    Resumed {
        /// The build.
        build: BuildId,
    },
    /// A resource was created, or found to exist already.
    Created {
        /// The resource.
        resource: ResourceId,
    },
    /// A resource was deleted.
    Deleted {
        /// The resource.
        resource: ResourceId,
    },
    /// A step of the guest begins or ends.
    Step {
        /// The step.
        step: Step,
        /// Whether it begins or ends.
        state: StepState,
        /// The exit code of its main command.
        exit: Option<i32>,
    },
    /// Progress in bytes.
    Progress {
        /// What progresses, such as `download base image`.
        what: String,
        /// Bytes done.
        done: Size,
        /// Bytes in total, if known.
        total: Option<Size>,
    },
    /// Progress of an action of the cloud.
    Percent {
        /// What progresses, such as `create_image`.
        what: String,
        /// 0 to 100.
        percent: u8,
    },
    /// A line of output of podman or of the install container.
    Log {
        /// The step that wrote the line.
        step: Step,
        /// The line.
        line: String,
    },
    /// What the install container wrote to the volume.
    Written {
        /// Bytes that it wrote.
        written: Size,
        /// Bytes that stage 2 reads and copies: those written and the small gaps between them.
        copy: Size,
        /// The number of contiguous ranges that are copied.
        extents: u64,
        /// The size of the volume.
        volume: Size,
        /// The size of the root disk.
        root: Size,
    },
    /// The guest leaves its operating system for stage 2.
    EnteringStage2 {
        /// How.
        entry: Stage2Entry,
    },
    /// A message for the reader, such as a fallback and its reason.
    Note {
        /// The message.
        message: String,
    },
    /// Events were dropped because they were not read.
    Skipped {
        /// The number of dropped events.
        count: u64,
    },
}

impl BuildEventKind {
    /// The same event without characters that could control the reader's terminal: labels and answers
    /// of the provider are untrusted. The lines of the guest were sanitized when they were parsed.
    fn sanitized(mut self) -> Self {
        const MAX_TEXT: usize = 4096;
        let clean = |text: &mut String| *text = sanitize_untrusted(text, MAX_TEXT);
        match &mut self {
            Self::Waiting { build, phase, .. } => {
                clean(build);
                clean(phase);
            }
            Self::Note { message: text }
            | Self::Progress { what: text, .. }
            | Self::Percent { what: text, .. } => clean(text),
            _ => {}
        }
        self
    }
}

/// The events of a build, in order. Ends when the build does.
///
/// At most 4,096 unread events are buffered. Further ones are dropped and counted
/// ([`BuildEventKind::Skipped`]), so that a program that does not read them needs no memory for them.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<BuildEvent>);

impl Events {
    const UNREAD: usize = 4096;

    /// Events, and where they are sent to.
    pub(super) fn channel() -> (mpsc::Sender<BuildEvent>, Self) {
        let (sender, receiver) = mpsc::channel(Self::UNREAD);
        (sender, Self(receiver))
    }

    /// The next event; `None` when the build has ended.
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

/// Sends the events of one build.
#[derive(Debug, Clone)]
pub(super) struct EventSink {
    build: BuildId,
    name: String,
    index: usize,
    begun: Instant,
    events: Option<mpsc::Sender<BuildEvent>>,
    skipped: Arc<AtomicU64>,
}

impl EventSink {
    const BETWEEN_PROGRESS: Duration = Duration::from_millis(500);

    /// A sink for a build that begins now; without `events` nothing is sent.
    pub(super) fn new(name: &str, index: usize, events: Option<mpsc::Sender<BuildEvent>>) -> Self {
        let (build, begun, skipped) = (BuildId::random(), Instant::now(), Arc::default());
        Self { build, name: name.to_owned(), index, begun, events, skipped }
    }

    /// The same sink, for events that carry this id.
    pub(super) fn for_build(&self, build: BuildId) -> Self {
        Self { build, ..self.clone() }
    }

    pub(super) fn build(&self) -> BuildId {
        self.build.clone()
    }

    pub(super) fn send(&self, kind: BuildEventKind) {
        let kind = kind.sanitized();
        tracing::debug!(build = %self.build, ?kind, "build event");
        let Some(events) = &self.events else { return };
        let event = |kind| BuildEvent {
            build: self.build.clone(),
            name: self.name.clone(),
            index: self.index,
            at: self.begun.elapsed(),
            kind,
        };
        let skipped = self.skipped.swap(0, Ordering::Relaxed);
        if skipped > 0
            && events.try_send(event(BuildEventKind::Skipped { count: skipped })).is_err()
        {
            self.skipped.fetch_add(skipped, Ordering::Relaxed);
        }
        if events.try_send(event(kind)).is_err() {
            self.skipped.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn note(&self, message: impl Into<String>) {
        self.send(BuildEventKind::Note { message: message.into() });
    }

    /// A reporter whose reports become events; at most two progress events per second.
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
    async fn labels_and_answers_of_a_provider_cannot_control_the_terminal() {
        let (sender, mut events) = Events::channel();
        let sink = EventSink::new("x", 0, Some(sender));
        let evil = "a\u{1b}[2Jb\u{202e}";
        sink.send(BuildEventKind::Waiting { build: evil.into(), phase: evil.into(), waited: 0 });
        sink.note(evil);
        for _ in 0..2 {
            let text = format!("{:?}", events.next().await.unwrap().kind);
            assert!(text.contains("a\u{fffd}[2Jb\u{fffd}"), "{text}");
        }
    }

    #[tokio::test]
    async fn unread_events_are_counted_and_dropped() {
        let (sender, mut events) = Events::channel();
        let sink = EventSink::new("x", 0, Some(sender));
        for _ in 0..Events::UNREAD + 10 {
            sink.note("n");
        }
        for _ in 0..Events::UNREAD {
            assert!(matches!(events.next().await.unwrap().kind, BuildEventKind::Note { .. }));
        }
        sink.note("last");
        let skipped = events.next().await.unwrap().kind;
        assert_eq!(skipped, BuildEventKind::Skipped { count: 10 });
    }
}
