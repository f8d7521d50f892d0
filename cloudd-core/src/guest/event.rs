use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

/// One event of a builder VM, as specified in `assets/README.md`. All of its contents are untrusted:
/// the install container runs as root in the same VM as the agent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct GuestEvent {
    /// The version of the protocol; events with another than [`GuestEvent::VERSION`] are ignored.
    pub cloudd: u32,
    /// The build id that the VM was given.
    pub build: String,
    /// The part of the guest that sent it.
    pub from: Source,
    /// The sequence number: from 1 for each source, without gaps.
    pub seq: u64,
    /// What the event reports.
    #[serde(flatten)]
    pub body: EventBody,
}

impl GuestEvent {
    /// The supported version of the protocol.
    pub const VERSION: u32 = 1;
}

/// The part of the guest that sends an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Source {
    /// Stage 1: the agent in the builder's operating system.
    Stage1,
    /// Stage 2: the copy, which runs outside the root file system.
    Stage2,
    /// The agent in a second boot of the builder's operating system, after stage 2 was armed.
    Return,
}

/// A step of the work in the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Step {
    /// Stage 1: identifies the disks, installs podman if necessary, zeroes the volume.
    Prepare,
    /// Stage 1: unpacks the build context, or pulls the image.
    Fetch,
    /// Stage 1: `podman build`.
    Build,
    /// Stage 1: `podman container runlabel run`.
    Run,
    /// Stage 1: checks that the volume is out of use, and lists the extents that were written.
    Check,
    /// Stage 1: prepares stage 2.
    Arm,
    /// Stage 2: finds source and target by their identities.
    Identify,
    /// Stage 2: zeroes the root disk.
    Zero,
    /// Stage 2: copies the volume to the root disk.
    Copy,
    /// Stage 2: reads the root disk back and compares.
    Verify,
}

impl Step {
    /// The name of the step in events.
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

/// Whether a step starts or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum StepState {
    /// The step has started.
    Start,
    /// The step has ended.
    End,
}

/// How the builder VM gets from stage 1 into stage 2; compared in `assets/README.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Stage2Entry {
    /// systemd stops all services and pivots into a file system in memory. Needs neither a second
    /// boot nor dracut.
    #[default]
    Exitrd,
    /// kexec restarts the running kernel with an initramfs that contains a hook. Needs dracut.
    Kexec,
    /// The VM reboots into an initramfs that contains a hook, as in the original cloudd. Needs dracut.
    Reboot,
}

impl Stage2Entry {
    /// The name of the entry in events and parameters.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exitrd => "exitrd",
            Self::Kexec => "kexec",
            Self::Reboot => "reboot",
        }
    }
}

impl fmt::Display for Stage2Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an event of a guest reports.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum EventBody {
    /// The first event of each source.
    Hello,
    /// Sent every 10 seconds during stage 1, also while a step produces no output.
    Alive,
    /// A step starts or ends.
    Step {
        /// The step.
        step: Step,
        /// Start or end.
        state: StepState,
        /// The exit code of the step's main command, at its end.
        #[serde(default, deserialize_with = "exit_code", skip_serializing_if = "Option::is_none")]
        exit: Option<i32>,
    },
    /// The progress of a step.
    Progress {
        /// The step.
        step: Step,
        /// Bytes processed.
        done: u64,
        /// Bytes in total.
        total: u64,
    },
    /// A line of output of podman or of the install container.
    Log {
        /// The step that produced it.
        step: Step,
        /// The line without its newline, at most 1,000 bytes.
        line: String,
    },
    /// Other information, such as a fallback and its reason.
    Note {
        /// The text.
        message: String,
    },
    /// What the install container wrote.
    Report {
        /// Bytes written by the container.
        written: u64,
        /// Bytes that stage 2 will read and copy: those written, and small gaps between them.
        copy: u64,
        /// The number of extents to copy.
        extents: u64,
        /// The size of the volume in bytes.
        volume: u64,
        /// The size of the root disk in bytes.
        root: u64,
    },
    /// The build has failed. No event follows, and the VM stays on.
    Failed {
        /// The reason.
        reason: FailureReason,
        /// The exit code of the command that failed, if it was a command.
        #[serde(default, deserialize_with = "exit_code", skip_serializing_if = "Option::is_none")]
        exit: Option<i32>,
        /// The details.
        message: String,
    },
    /// Stage 1 is complete, and the VM is about to enter stage 2.
    Armed {
        /// How stage 2 is entered.
        entry: Stage2Entry,
    },
    /// Stage 2 is complete and verified; the VM powers off immediately.
    Done,
    /// An event of a newer version of the guest scripts.
    #[serde(other)]
    Unknown,
}

/// An exit code as a guest sends it. A number out of range or another value is no exit code, and does
/// not make the event unreadable.
fn exit_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i32>, D::Error> {
    let value = serde_json::Value::deserialize(deserializer)?;
    Ok(value.as_i64().and_then(|code| code.try_into().ok()))
}

/// Why a build failed in the guest.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureReason {
    /// podman is missing in the builder base image and could not be installed.
    PodmanMissing,
    /// The build context did not arrive.
    ContextMissing,
    /// The build context has the wrong length or hash.
    ContextCorrupt,
    /// `podman build` failed.
    BuildFailed,
    /// `podman pull` failed.
    PullFailed,
    /// The image has no `RUN` label.
    RunLabelMissing,
    /// The install container exited with a code other than 0.
    ContainerFailed,
    /// A container still runs after the `RUN` label has been run, for example with `-d`.
    ContainerRunning,
    /// The install container wrote nothing.
    NothingWritten,
    /// The volume is larger than the root disk.
    ImageTooLarge,
    /// The volume did not appear in the builder.
    VolumeMissing,
    /// Several disks have the identity of the volume.
    VolumeAmbiguous,
    /// The volume is still in use after the container has ended.
    VolumeBusy,
    /// The root disk has no unique identity by which stage 2 could find it.
    RootUnidentified,
    /// The [`Stage2Entry`] needs dracut, which is missing in the builder.
    DracutMissing,
    /// The [`Stage2Entry`] needs kexec, which is missing in the builder.
    KexecMissing,
    /// Stage 2 could not be prepared.
    ArmFailed,
    /// Stage 2 wrote nothing because a disk did not match its description.
    Stage2Refused,
    /// The root disk could not be zeroed.
    ZeroFailed,
    /// Reading the volume or writing the root disk failed.
    CopyFailed,
    /// The root disk differs from the volume after the copy.
    VerifyFailed,
    /// The builder booted its operating system again without entering stage 2.
    #[serde(rename = "stage2_not_entered")]
    Stage2NotEntered,
    /// A fault of the guest scripts themselves.
    Internal,
    /// A reason of a newer version of the guest scripts.
    #[serde(untagged)]
    Other(String),
}

impl fmt::Display for FailureReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PodmanMissing => "podman is missing in the builder",
            Self::ContextMissing => "the build context did not arrive",
            Self::ContextCorrupt => "the build context is corrupt",
            Self::BuildFailed => "podman build failed",
            Self::PullFailed => "podman pull failed",
            Self::RunLabelMissing => "the install container's image has no RUN label",
            Self::ContainerFailed => "the install container failed",
            Self::ContainerRunning => "a container still runs",
            Self::NothingWritten => "the install container wrote nothing to the volume",
            Self::ImageTooLarge => "the volume is larger than the root disk",
            Self::VolumeMissing => "the volume did not appear in the builder",
            Self::VolumeAmbiguous => "several disks have the identity of the volume",
            Self::VolumeBusy => "the volume is still in use after the install container ended",
            Self::RootUnidentified => "the root disk of the builder has no unique identity",
            Self::DracutMissing => "dracut is missing in the builder",
            Self::KexecMissing => "kexec is missing in the builder",
            Self::ArmFailed => "stage 2 could not be prepared",
            Self::Stage2Refused => "stage 2 refused to write",
            Self::ZeroFailed => "zeroing the root disk failed",
            Self::CopyFailed => "copying the volume to the root disk failed",
            Self::VerifyFailed => "the root disk differs from the volume after the copy",
            Self::Stage2NotEntered => "the builder booted again without entering stage 2",
            Self::Internal => "the agent in the builder failed",
            Self::Other(reason) => reason,
        })
    }
}
