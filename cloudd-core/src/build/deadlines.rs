use std::time::Duration;

/// The deadlines of a build. Every wait has one, and each can be set.
///
/// The defaults suit a builder VM under software emulation, which takes minutes where hardware takes
/// seconds. They keep a build from hanging for ever, not from being slow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// A call to the provider that creates, labels or deletes one resource: 5 minutes.
    pub call: Duration,
    /// Making the base image available, for example a download: 60 minutes.
    pub prepare: Duration,
    /// From the start of the VM, or from the end of the upload, to the first event of its agent:
    /// 15 minutes.
    pub boot: Duration,
    /// How long a VM may be unreachable, for a channel that needs a route to it: 5 minutes. After
    /// that, success is detected by power-off; a build that has to upload something fails.
    pub route: Duration,
    /// The upload of a build context, from the start of the VM: 30 minutes.
    pub upload: Duration,
    /// Stage 1, from the first event to the entry into stage 2: 60 minutes.
    pub stage1: Duration,
    /// Stage 2, from its entry to its last event: 60 minutes.
    pub stage2: Duration,
    /// From the last event of stage 2 to the VM being off: 2 minutes.
    pub power_off: Duration,
    /// From the request for the image until it is available: 60 minutes.
    pub image: Duration,
    /// From the start of a VM from the image until it passes the readiness probe: 10 minutes.
    pub boot_check: Duration,
    /// Deleting all that a build has created: 10 minutes.
    pub teardown: Duration,
    /// The duration of the lease: 5 minutes. The holder renews it at least twice in this time. When it
    /// was not renewed for this long, another process may take over the build. The death of a holder
    /// on the same machine is detected at once.
    pub lease: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            call: MINUTE * 5,
            prepare: MINUTE * 60,
            boot: MINUTE * 15,
            route: MINUTE * 5,
            upload: MINUTE * 30,
            stage1: MINUTE * 60,
            stage2: MINUTE * 60,
            power_off: MINUTE * 2,
            image: MINUTE * 60,
            boot_check: MINUTE * 10,
            teardown: MINUTE * 10,
            lease: MINUTE * 5,
        }
    }
}

impl Deadlines {
    /// The longest time that a builder VM can run before it is off, if it sends no events.
    pub(super) fn longest_run(&self) -> Duration {
        self.boot + self.stage1 + self.stage2
    }

    /// The longest time that a build can take; the expiry of its resources is computed from it.
    #[must_use]
    pub fn longest_build(&self) -> Duration {
        // Five calls create and label. The base image is prepared before anything is created.
        self.call * 5
            + self.upload
            + self.boot
            + self.stage1
            + self.stage2
            + self.power_off
            + self.image
            + self.boot_check
            + self.teardown
    }
}
