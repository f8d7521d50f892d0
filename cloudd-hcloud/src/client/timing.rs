//! The time scale of the client's pauses.

use std::time::Duration;

/// Scales pauses and expected durations. The speed is 1 except against a simulator whose clock runs
/// faster.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Timing {
    speed: f64,
}

impl Timing {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) const fn with_speed(speed: f64) -> Self {
        Self { speed }
    }

    /// A duration of the simulated clock, in real time.
    pub(crate) fn scaled(self, duration: Duration) -> Duration {
        duration.div_f64(self.speed)
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self { speed: 1.0 }
    }
}
