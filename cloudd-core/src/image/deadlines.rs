use std::time::Duration;

/// How long each wait of a build may take. Every wait has one; each can be set.
///
/// The defaults are meant for a builder VM under software emulation, which takes minutes where
/// hardware takes seconds: a deadline is there so that nothing hangs for ever, not to hurry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deadlines {
    /// One call to the provider that creates, labels or deletes something: 5 minutes.
    pub call: Duration,
    /// What builds share, such as a base image to download: 60 minutes.
    pub prepare: Duration,
    /// From the start of the VM, or from the end of the upload, to the first sign of life of its
    /// agent: 15 minutes.
    pub boot: Duration,
    /// How long a VM may be out of reach, where a channel needs a route to it: 5 minutes. Then the
    /// build goes on by power state alone, and ends if something has to be uploaded.
    pub route: Duration,
    /// The upload of a build context, from the start of the VM: 30 minutes.
    pub upload: Duration,
    /// Stage 1, from the first sign of life to the entry into stage 2: 60 minutes.
    pub stage1: Duration,
    /// Stage 2, from its entry to its last event: 60 minutes.
    pub stage2: Duration,
    /// From the last event of stage 2 to the VM being off: 2 minutes.
    pub power_off: Duration,
    /// From the request for the image to its being available: 60 minutes.
    pub image: Duration,
    /// From the start of a VM from the image to its sign of life: 10 minutes.
    pub boot_check: Duration,
    /// Deleting all that a build made: 10 minutes.
    pub teardown: Duration,
    /// How long a process that makes an image may be silent before another one goes on with its
    /// build: 5 minutes. It says something at least twice in this time. Where both run on one
    /// machine, the end of a process is seen at once.
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
    /// The longest that a builder VM can run before it is off, where nobody hears it.
    pub(super) fn longest_run(&self) -> Duration {
        self.boot + self.stage1 + self.stage2
    }

    /// The longest that a build can live: what its resources' expiry is computed from.
    #[must_use]
    pub fn longest_build(&self) -> Duration {
        // Five calls create and label; preparing happens before anything is created.
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
