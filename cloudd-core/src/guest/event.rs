use std::fmt;

use serde::{Deserialize, Serialize};

/// One event of a builder VM, as `assets/README.md` describes it. Everything in it is untrusted:
/// the install container runs as root beside the agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct GuestEvent {
    /// The version of the protocol; only [`GuestEvent::VERSION`] is understood.
    pub cloudd: u32,
    /// The build that the VM believes to work for.
    pub build: String,
    /// Which part of the guest side speaks.
    pub from: Source,
    /// Counts from 1 for each source, without gaps.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub body: EventBody,
}

impl GuestEvent {
    /// The version of the protocol.
    pub const VERSION: u32 = 1;
}

/// Which part of the guest side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// The agent in the builder's operating system.
    Stage1,
    /// The copy outside the root file system.
    Stage2,
    /// The agent again: the builder's operating system came up although stage 2 was armed.
    Return,
}

/// A part of the work in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Stage 1: podman present, disks identified, volume zeroed.
    Prepare,
    /// Stage 1: build context unpacked, or image pulled.
    Fetch,
    /// Stage 1: `podman build`.
    Build,
    /// Stage 1: `podman container runlabel run`.
    Run,
    /// Stage 1: what was written, and whether it fits.
    Check,
    /// Stage 1: stage 2 made ready.
    Arm,
    /// Stage 2: source and target found by their identity.
    Identify,
    /// Stage 2: target zeroed.
    Zero,
    /// Stage 2: volume copied to root disk.
    Copy,
    /// Stage 2: target read back.
    Verify,
}

impl Step {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Fetch => "fetch",
            Self::Build => "build",
            Self::Run => "run",
            Self::Check => "check",
            Self::Arm => "arm",
            Self::Identify => "identify",
            Self::Zero => "zero",
            Self::Copy => "copy",
            Self::Verify => "verify",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Whether a step begins or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepState {
    /// It begins.
    Start,
    /// It ended.
    End,
}

/// What happened in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventBody {
    /// The source is alive; its first event.
    Hello,
    /// A step begins or ends.
    Step {
        /// Which.
        step: Step,
        /// Begins or ends.
        state: StepState,
        /// The exit code of the step's main command, when it ended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i32>,
    },
    /// How far a step is, in bytes.
    Progress {
        /// Which.
        step: Step,
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A line of output of podman or of the install container.
    Log {
        /// The step whose output it is.
        step: Step,
        /// The line, at most 1,000 bytes, without its end.
        line: String,
    },
    /// Anything the reader should know, such as a fallback and why.
    Note {
        /// A sentence.
        message: String,
    },
    /// What the install container wrote.
    Report {
        /// Bytes that the container wrote.
        written: u64,
        /// Bytes that stage 2 will read and copy: those written and small gaps between them.
        copy: u64,
        /// In how many runs they lie.
        extents: u64,
        /// The size of the volume in bytes.
        volume: u64,
        /// The size of the root disk in bytes.
        root: u64,
    },
    /// The work has failed; nothing follows, the VM stays on.
    Failed {
        /// Why.
        reason: FailureReason,
        /// The exit code of what failed, if it was a command.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit: Option<i32>,
        /// A sentence.
        message: String,
    },
    /// Stage 1 is done; the way into stage 2 was taken.
    Armed {
        /// Which way.
        entry: super::Stage2Entry,
    },
    /// Stage 2 is done and verified; power-off follows at once.
    Done,
    /// An event of a newer guest side.
    #[serde(other)]
    Unknown,
}

/// Why a guest gave up.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureReason {
    /// podman is neither in the builder base image nor installable.
    PodmanMissing,
    /// The build context did not arrive.
    ContextMissing,
    /// The build context arrived with another length or hash.
    ContextCorrupt,
    /// `podman build` failed.
    BuildFailed,
    /// `podman pull` failed.
    PullFailed,
    /// The image has no `RUN` label.
    RunLabelMissing,
    /// The install container exited with a code other than 0.
    ContainerFailed,
    /// The install container wrote nothing.
    NothingWritten,
    /// The volume is larger than the root disk.
    ImageTooLarge,
    /// The volume did not appear.
    VolumeMissing,
    /// More than one disk has the volume's identity.
    VolumeAmbiguous,
    /// Something of the builder still uses the volume after the container has ended.
    VolumeBusy,
    /// The root disk has no identity that survives into stage 2.
    RootUnidentified,
    /// The chosen entry needs dracut and the builder has none.
    DracutMissing,
    /// The chosen entry needs kexec and the builder has none.
    KexecMissing,
    /// Stage 2 could not be made ready.
    ArmFailed,
    /// Stage 2 refused to write: a disk was not what it should be.
    Stage2Refused,
    /// The root disk could not be zeroed.
    ZeroFailed,
    /// Reading the volume or writing the root disk failed.
    CopyFailed,
    /// The root disk does not hold what was read from the volume.
    VerifyFailed,
    /// The builder came up again without stage 2 having run.
    #[serde(rename = "stage2_not_entered")]
    Stage2NotEntered,
    /// A fault of the guest side itself.
    Internal,
    /// A reason of a newer guest side.
    #[serde(untagged)]
    Other(String),
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PodmanMissing => "podman is missing in the builder",
            Self::ContextMissing => "the build context did not arrive",
            Self::ContextCorrupt => "the build context arrived damaged",
            Self::BuildFailed => "podman build failed",
            Self::PullFailed => "podman pull failed",
            Self::RunLabelMissing => "the install container's image has no RUN label",
            Self::ContainerFailed => "the install container failed",
            Self::NothingWritten => "the install container wrote nothing to the volume",
            Self::ImageTooLarge => "the volume is larger than the root disk",
            Self::VolumeMissing => "the volume did not appear in the builder",
            Self::VolumeAmbiguous => "more than one disk has the volume's identity",
            Self::VolumeBusy => "the volume is still in use after the install container ended",
            Self::RootUnidentified => "the builder's root disk has no stable identity",
            Self::DracutMissing => "dracut is missing in the builder",
            Self::KexecMissing => "kexec is missing in the builder",
            Self::ArmFailed => "stage 2 could not be made ready",
            Self::Stage2Refused => "stage 2 refused to write",
            Self::ZeroFailed => "zeroing the root disk failed",
            Self::CopyFailed => "copying the volume to the root disk failed",
            Self::VerifyFailed => "the root disk does not hold what the volume holds",
            Self::Stage2NotEntered => "the builder booted again without entering stage 2",
            Self::Internal => "the agent in the builder failed",
            Self::Other(reason) => reason,
        })
    }
}
