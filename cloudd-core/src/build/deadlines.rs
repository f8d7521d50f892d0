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
    /// that, the build fails; with [`trust_power_off`](super::ImageBuilder::trust_power_off), success is
    /// detected by power-off, unless the build has to upload something.
    pub route: Duration,
    /// The upload of a build context, from the start of the VM: 30 minutes.
    pub upload: Duration,
    /// Stage 1, from the first event to the entry into stage 2: 60 minutes.
    pub stage1: Duration,
    /// Between two events of the guest during stage 1, while it can be reached: 1 minute. The guest
    /// sends one every 10 seconds, so that a system that has stopped is told from a long step.
    pub silence: Duration,
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
            silence: MINUTE,
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
    /// A longer deadline, such as [`Duration::MAX`] for "none", counts as this one: 10 years.
    pub const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

    /// The longest time that a builder VM can run before it is off, if it sends no events.
    pub(super) fn longest_run(&self) -> Duration {
        self.boot.saturating_add(self.stage1).saturating_add(self.stage2)
    }

    /// The same deadlines, none longer than [`LONGEST`](Self::LONGEST), so that no sum of them and a
    /// point in time overflows.
    pub(super) fn bounded(self) -> Self {
        let bounded = |deadline: Duration| deadline.min(Self::LONGEST);
        Self {
            call: bounded(self.call),
            prepare: bounded(self.prepare),
            boot: bounded(self.boot),
            route: bounded(self.route),
            upload: bounded(self.upload),
            stage1: bounded(self.stage1),
            silence: bounded(self.silence),
            stage2: bounded(self.stage2),
            power_off: bounded(self.power_off),
            image: bounded(self.image),
            boot_check: bounded(self.boot_check),
            teardown: bounded(self.teardown),
            lease: bounded(self.lease),
        }
    }

    /// The longest time that a build can take; the expiry of its resources is computed from it.
    #[must_use]
    pub fn longest_build(&self) -> Duration {
        // Five calls create and label. The base image is prepared before anything is created.
        self.call
            .saturating_mul(5)
            .saturating_add(self.upload)
            .saturating_add(self.longest_run())
            .saturating_add(self.power_off)
            .saturating_add(self.image)
            .saturating_add(self.boot_check)
            .saturating_add(self.teardown)
    }
}
