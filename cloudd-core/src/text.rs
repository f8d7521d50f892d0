//! Text for people.

use std::time::Duration;

/// A duration as people write it, such as `5 min`.
pub(crate) fn human_duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if !duration.as_millis().is_multiple_of(1000) {
        format!("{:.1} s", duration.as_secs_f32())
    } else if seconds > 0 && seconds.is_multiple_of(3600) {
        format!("{} h", seconds / 3600)
    } else if seconds > 0 && seconds.is_multiple_of(60) {
        format!("{} min", seconds / 60)
    } else {
        format!("{seconds} s")
    }
}
