use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use super::{Phase, ReadinessProbe};
use crate::guest::{FailureReason, Step};
use crate::install::InstallError;
use crate::provider::{BuildId, Error, Image, ImageId, InvalidLabel, ResourceId, Size};

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
#[derive(Debug)]
#[non_exhaustive]
pub enum Cause {
    /// An input cannot work; nothing was created.
    Input(InvalidInput),
    /// The provider failed.
    Provider(Error),
    /// The guest reported that it failed.
    Guest {
        /// Why.
        reason: FailureReason,
        /// The exit code of what failed, if it was a command.
        exit: Option<i32>,
        /// The guest's own words.
        message: String,
    },
    /// The VM went off before the guest had reported that it is done: somebody or something cut
    /// its power.
    PoweredOffEarly {
        /// What the guest was doing when last heard.
        during: Option<Step>,
    },
    /// The VM cannot be reached over the network, and the build context has to be uploaded to it.
    Unreachable {
        /// What is in the way, such as `192.0.2.1:22: connection refused`.
        obstacle: String,
        /// For how long it was.
        after: Duration,
    },
    /// A deadline passed.
    Deadline {
        /// What was waited for.
        waiting_for: &'static str,
        /// For how long.
        after: Duration,
    },
    /// A VM that was started from the image showed no sign of life.
    BootCheck {
        /// What was waited for.
        wanted: ReadinessProbe,
        /// Why it did not come.
        why: String,
        /// The image, where it was to be kept.
        kept: Option<ImageId>,
    },
    /// [`CancelHandle::cancel`](super::CancelHandle::cancel) was called.
    Cancelled,
    /// The image is available, but not everything else could be deleted.
    Teardown,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input(error) => write_chain(f, error),
            Self::Provider(error) => write_chain(f, error),
            Self::Guest { reason, exit, message } => {
                write!(f, "{reason}")?;
                if let Some(exit) = exit {
                    write!(f, " (exit code {exit})")?;
                }
                if message.is_empty() { Ok(()) } else { write!(f, ": {message}") }
            }
            Self::PoweredOffEarly { during } => {
                f.write_str("the VM went off before its work was done")?;
                match during {
                    Some(step) => write!(f, ", during the step {step}"),
                    None => write!(f, ", without a sign of life"),
                }
            }
            Self::Unreachable { obstacle, after } => write!(
                f,
                "the builder VM cannot be reached, and its build context has to be uploaded: {} s                  long, {obstacle}; open the way for SSH, or make the context fit the user data",
                after.as_secs_f32()
            ),
            Self::Deadline { waiting_for, after } => {
                write!(f, "no {waiting_for} within {} s", after.as_secs_f32())
            }
            Self::BootCheck { wanted, why, kept } => {
                write!(f, "a VM started from the image did not show {wanted}: {why}")?;
                match kept {
                    Some(image) => write!(f, "; the image {image} is kept"),
                    None => f.write_str("; the image is deleted"),
                }
            }
            Self::Cancelled => f.write_str("cancelled"),
            Self::Teardown => f.write_str("the image is available, but not all else was deleted"),
        }
    }
}

/// An error with its causes in one sentence.
fn write_chain(f: &mut fmt::Formatter<'_>, error: &dyn StdError) -> fmt::Result {
    write!(f, "{error}")?;
    let mut source = error.source();
    while let Some(cause) = source {
        write!(f, ": {cause}")?;
        source = cause.source();
    }
    Ok(())
}

/// A build that failed: where, why, what the guest said last, and what is left.
///
/// Its display has one line for the failure and then, where there is something to tell, the last
/// lines of the guest's log and what could not be deleted.
pub struct BuildError(Box<Inner>);

struct Inner {
    name: String,
    build: BuildId,
    phase: Phase,
    cause: Cause,
    log: Vec<String>,
    left: Vec<ResourceId>,
    kept: bool,
    teardown: Option<Error>,
    image: Option<Image>,
}

impl BuildError {
    pub(super) fn new(name: &str, build: BuildId, phase: Phase, cause: Cause) -> Self {
        Self(Box::new(Inner {
            name: name.to_owned(),
            build,
            phase,
            cause,
            log: Vec::new(),
            left: Vec::new(),
            kept: false,
            teardown: None,
            image: None,
        }))
    }

    pub(super) fn with_log(mut self, log: Vec<String>) -> Self {
        self.0.log = log;
        self
    }

    pub(super) fn with_kept(mut self, kept: Vec<ResourceId>) -> Self {
        self.0.left = kept;
        self.0.kept = true;
        self
    }

    pub(super) fn with_left(mut self, left: Vec<ResourceId>, teardown: Error) -> Self {
        self.0.left = left;
        self.0.teardown = Some(teardown);
        self
    }

    pub(super) fn with_image(mut self, image: Image) -> Self {
        self.0.image = Some(image);
        self
    }

    /// The build.
    #[must_use]
    pub fn build(&self) -> &BuildId {
        &self.0.build
    }

    /// The phase in which it failed.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.0.phase
    }

    /// Why it failed.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.0.cause
    }

    /// The last lines of the guest's log, oldest first, at most 50.
    #[must_use]
    pub fn log_tail(&self) -> &[String] {
        &self.0.log
    }

    /// What of this build still exists: kept as asked, or not deletable
    /// ([`BuildError::teardown`] says why).
    #[must_use]
    pub fn left(&self) -> &[ResourceId] {
        &self.0.left
    }

    /// Why something is left.
    #[must_use]
    pub fn teardown(&self) -> Option<&Error> {
        self.0.teardown.as_ref()
    }

    /// The image, when the build failed only afterwards ([`Cause::Teardown`]).
    #[must_use]
    pub fn image(&self) -> Option<&Image> {
        self.0.image.as_ref()
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 10;
        let inner = &self.0;
        write!(
            f,
            "building image {:?} (build {}) failed in phase {}: {}",
            inner.name, inner.build, inner.phase, inner.cause
        )?;
        if let Some(image) = &inner.image {
            write!(f, "\nthe image: {}", image.id)?;
        }
        if !inner.log.is_empty() {
            write!(f, "\nlast lines of the guest's log:")?;
        }
        for line in &inner.log[inner.log.len().saturating_sub(SHOWN)..] {
            write!(f, "\n  | {line}")?;
        }
        if !inner.left.is_empty() {
            let left: Vec<_> = inner.left.iter().map(ToString::to_string).collect();
            let why = if inner.kept { "kept as asked" } else { "NOT deleted, may cost money" };
            write!(f, "\n{why}: {}", left.join(", "))?;
        }
        if let Some(teardown) = &inner.teardown {
            f.write_str("\nbecause: ")?;
            write_chain(f, teardown)?;
        }
        Ok(())
    }
}

impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What `unwrap` and `main` print: the text for people serves there too.
        fmt::Display::fmt(self, f)
    }
}

impl StdError for BuildError {
    // The display holds the whole chain already, on purpose: it is read in logs as it is.
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        None
    }
}
