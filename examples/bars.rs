use std::time::Duration;

use cloudd_core::build::{BuildEvent, BuildEventKind};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::lines::Progress;

/// The bottom line of a build on a terminal: its phase and time, and a bar where something has a
/// known end.
pub(crate) struct Bar(ProgressBar);

impl Bar {
    pub(crate) fn new(bars: &MultiProgress, title: &str) -> Self {
        let bar = bars.add(ProgressBar::new(100));
        bar.set_prefix(title.to_owned());
        bar.enable_steady_tick(Duration::from_millis(100));
        bar.set_style(style("{spinner} {prefix} {elapsed} {wide_msg}"));
        Self(bar)
    }

    pub(crate) fn tell(&self, event: &BuildEvent) {
        if let BuildEventKind::Phase { phase } = &event.kind {
            self.0.set_style(style("{spinner} {prefix} {elapsed} {wide_msg}"));
            self.0.set_message(phase.to_string());
        }
        let Some(progress) = Progress::of(event) else { return };
        self.0.set_message(format!("{} {}", progress.what, progress.words));
        if let Some(percent) = progress.percent {
            self.0.set_style(style("{spinner} {prefix} {elapsed} [{bar:30}] {wide_msg}"));
            self.0.set_position(percent.min(100));
        }
    }

    pub(crate) fn done(&self) {
        self.0.finish_and_clear();
    }
}

/// A template of ours cannot be malformed; a plain style does as well.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
