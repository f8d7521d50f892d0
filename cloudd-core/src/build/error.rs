use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::events::Phase;
use super::probe::ReadinessProbe;
use crate::guest::{FailureReason, Step};
use crate::install::InstallError;
use crate::provider::{BuildId, Error, ImageId, InvalidLabel, ResourceId, Size};
use crate::text::{human_duration, sanitize_lines};

/// An input that cannot work, found before anything was created.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidInput {
    /// The image name is not a label value.
    #[error(
        "image name {0:?}: expected 1 to 63 characters, letters and digits at both ends, also \
         '-', '_' and '.' inside"
    )]
    Name(String),
    /// A label is not one.
    #[error("invalid label")]
    Label(#[from] InvalidLabel),
    /// The install container cannot work.
    #[error("invalid install container")]
    Container(#[from] InstallError),
    /// The builder VM's user data cannot be made.
    #[error("invalid user data for the builder VM")]
    UserData(#[from] crate::cloud_init::Error),
    /// The provider has no volume of this size.
    #[error("volume of {size}: this provider has volumes from {min} to {max}")]
    VolumeSize {
        /// What was asked for.
        size: Size,
        /// The smallest.
        min: Size,
        /// The largest.
        max: Size,
    },
    /// What is on the volume could not be copied to the root disk.
    #[error("volume of {volume} is larger than the root disk of {root}, to which it is copied")]
    VolumeLargerThanRoot {
        /// The size of the volume.
        volume: Size,
        /// The size of the root disk.
        root: Size,
    },
    /// The build context fits no way into the builder VM.
    #[error(
        "build context of {context} (packed) cannot be delivered: with it the user data take \
         {user_data} bytes, {provider} allows {limit}, and has no other way for it"
    )]
    Undeliverable {
        /// The packed context.
        context: Size,
        /// What the user data would take, as sent.
        user_data: usize,
        /// What the provider allows.
        limit: usize,
        /// The provider.
        provider: String,
    },
    /// The boot check cannot be done.
    #[error("boot check: {0}")]
    BootCheck(String),
    /// No event of a guest can be received, so that nothing would prove that stage 2 has finished.
    #[error(
        "no event of a guest can be received on {0}, and power-off alone does not prove that the disk is \
         that of the image; `trust_power_off` accepts it"
    )]
    NoChannel(String),
    /// User data are too large even without the build context.
    #[error("user data of {user_data} bytes: {provider} allows {limit}")]
    UserDataTooLarge {
        /// What the user data take, as sent.
        user_data: usize,
        /// What the provider allows.
        limit: usize,
        /// The provider.
        provider: String,
    },
}

/// Why a build failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildErrorKind {
    /// An input cannot work; nothing was created.
    #[error(transparent)]
    Input(#[from] InvalidInput),
    /// A call to the provider failed.
    #[error(transparent)]
    Provider(#[from] Error),
    /// The guest reported a failure.
    #[error("{reason}{}{}", exit_code(*.exit), after_colon(.message))]
    Guest {
        /// Why.
        reason: FailureReason,
        /// The exit code of the command that failed, if it was a command.
        exit: Option<i32>,
        /// The guest's message.
        message: String,
    },
    /// The VM powered off before the guest had reported that it had finished: its power was cut, or
    /// its system crashed.
    #[error("the builder VM powered off before the build had finished, {}", last_step(.during))]
    PoweredOffEarly {
        /// The last step that the guest reported.
        during: Option<Step>,
    },
    /// The VM cannot be reached over the network, and the build context has to be uploaded to it.
    #[error(
        "the builder VM was unreachable for {}: {reason}; allow inbound SSH to it (without a route, \
         only a context that fits the user data can be built, and only with `trust_power_off`)",
        human_duration(*.after)
    )]
    Unreachable {
        /// The reason, such as `192.0.2.1:22: connection refused`.
        reason: String,
        /// For how long.
        after: Duration,
    },
    /// The guest sent nothing during stage 1, not even the event that shows that it is alive: its
    /// system has stopped. The log ends with the last lines of its console, if there are any.
    #[error(
        "the guest has sent nothing for {}, {}: its system has stopped",
        human_duration(*.after), last_step(.during)
    )]
    Silent {
        /// [`Deadlines::silence`](super::Deadlines::silence).
        after: Duration,
        /// The last step that the guest reported.
        during: Option<Step>,
    },
    /// The console shows that the guest's kernel has stopped.
    #[error("the kernel of the guest has stopped: {message}")]
    KernelPanic {
        /// The line of the console.
        message: String,
    },
    /// A deadline passed.
    #[error("no {waiting_for} within {}", human_duration(*.after))]
    Deadline {
        /// What was waited for.
        waiting_for: &'static str,
        /// The deadline.
        after: Duration,
    },
    /// A VM that was started from the image did not pass the readiness probe.
    #[error(
        "a VM started from the image did not show {probe}: {reason}{}",
        kept.as_ref().map(|image| format!("; image {image} is kept")).unwrap_or_default()
    )]
    BootCheck {
        /// The readiness probe.
        probe: ReadinessProbe,
        /// Why it failed.
        reason: String,
        /// The image, if it is kept.
        kept: Option<ImageId>,
    },
    /// The VM powered off, and no event of its guest was received: its disk may still be that of the
    /// builder. [`ImageBuilder::trust_power_off`](super::ImageBuilder::trust_power_off) accepts
    /// power-off as proof.
    #[error(
        "the VM powered off, and {reason}: it is not known whether stage 2 has finished, and its disk may \
         still be that of the builder; make the guest reachable, or accept power-off as proof with \
         `trust_power_off`"
    )]
    Unproven {
        /// Why no event was received.
        reason: String,
    },
    /// The build was cancelled, by [`CancelHandle::cancel`](super::CancelHandle::cancel) or because
    /// its handle was dropped.
    #[error("cancelled")]
    Cancelled,
}

fn exit_code(exit: Option<i32>) -> String {
    exit.map(|exit| format!(" (exit code {exit})")).unwrap_or_default()
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}

fn last_step(during: &Option<Step>) -> String {
    match during {
        Some(step) => format!("during the step {step}"),
        None => "and its guest never sent an event".to_owned(),
    }
}

/// Resources that could not be deleted.
#[derive(Debug)]
#[non_exhaustive]
pub struct Leftovers {
    /// Their ids; among them the lease, by which the next build of this image finds the others.
    pub resources: Vec<ResourceId>,
    /// Why they could not be deleted: the last error.
    pub error: Error,
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resources: Vec<_> = self.resources.iter().map(ToString::to_string).collect();
        write!(f, "NOT deleted, may cost money: {}: ", resources.join(", "))?;
        write_chain(f, &self.error)
    }
}

/// A build that failed: the phase and the reason, the last lines of the guest's log, and the
/// resources that remain.
///
/// Displays as one line without its [source](StdError::source). [`report`](Self::report) and the
/// `Debug` format (which `main` and `unwrap` print) contain everything.
pub struct BuildError(Box<Inner>);

struct Inner {
    name: String,
    build: BuildId,
    phase: Phase,
    kind: BuildErrorKind,
    log: Vec<String>,
    kept: Vec<ResourceId>,
    leftovers: Option<Leftovers>,
}

impl BuildError {
    pub(super) fn new(name: &str, build: BuildId, phase: Phase, kind: BuildErrorKind) -> Self {
        Self(Box::new(Inner {
            name: name.to_owned(),
            build,
            phase,
            kind,
            log: Vec::new(),
            kept: Vec::new(),
            leftovers: None,
        }))
    }

    pub(super) fn with_log(mut self, log: Vec<String>) -> Self {
        self.0.log = log;
        self
    }

    pub(super) fn with_kept(mut self, kept: Vec<ResourceId>) -> Self {
        self.0.kept = kept;
        self
    }

    pub(super) fn with_leftovers(mut self, leftovers: Option<Leftovers>) -> Self {
        self.0.leftovers = leftovers;
        self
    }

    /// The build.
    #[must_use]
    pub fn build(&self) -> &BuildId {
        &self.0.build
    }

    /// The phase in which the build failed.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Why the build failed.
    #[must_use]
    pub fn kind(&self) -> &BuildErrorKind {
        &self.0.kind
    }

    /// The last lines of the guest's log, oldest first, at most 50.
    #[must_use]
    pub fn log_tail(&self) -> &[String] {
        &self.0.log
    }

    /// The resources that were kept as [`OnFailure::Keep`](super::OnFailure::Keep) asks.
    #[must_use]
    pub fn kept(&self) -> &[ResourceId] {
        &self.0.kept
    }

    /// The resources that could not be deleted, and why.
    #[must_use]
    pub fn leftovers(&self) -> Option<&Leftovers> {
        self.0.leftovers.as_ref()
    }

    /// Every resource of the build that still exists: kept or not deletable.
    #[must_use]
    pub fn remaining(&self) -> &[ResourceId] {
        self.0.leftovers.as_ref().map_or(&self.0.kept, |leftovers| &leftovers.resources)
    }

    /// The whole error on several lines: the reason with all its sources, the last lines of the
    /// guest's log, and the remaining resources.
    #[must_use]
    pub fn report(&self) -> impl fmt::Display + '_ {
        Report(self)
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { name, build, phase, kind, .. } = &*self.0;
        write!(f, "building image {name:?} (build {build}) failed in phase {phase}: {kind}")
    }
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.report(), f)
    }
}

impl StdError for BuildError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.kind.source()
    }
}

struct Report<'a>(&'a BuildError);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        write_chain(f, self.0)?;
        let Inner { log, kept, leftovers, .. } = &*self.0.0;
        if !log.is_empty() {
            write!(f, "\nlast lines of the guest's log:")?;
        }
        for line in &log[log.len().saturating_sub(SHOWN)..] {
            write!(f, "\n  | {line}")?;
        }
        if !kept.is_empty() {
            let kept: Vec<_> = kept.iter().map(ToString::to_string).collect();
            write!(f, "\nkept as asked: {}", kept.join(", "))?;
        }
        match leftovers {
            Some(leftovers) => write!(f, "\n{leftovers}"),
            None => Ok(()),
        }
    }
}

/// Writes an error and its sources on one line.
fn write_chain(f: &mut fmt::Formatter<'_>, error: &dyn StdError) -> fmt::Result {
    const MAX_TEXT: usize = 64 * 1024;
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    // A cause can contain a text of the cloud.
    f.write_str(&sanitize_lines(&text, MAX_TEXT))
}
