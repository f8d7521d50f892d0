use std::io::{self, IsTerminal as _, Write as _};

use cloudd_core::guest::StepState;
use cloudd_core::image::{BuildEvent, Events, Update};

/// Prints the events of a build as they come, until it ends. On a terminal, progress stays on one
/// line; elsewhere, as in CI, every line stands.
pub async fn narrate(mut events: Events) {
    let mut narrator = Narrator { live: io::stderr().is_terminal(), unfinished: false };
    while let Some(event) = events.next().await {
        narrator.tell(&event);
    }
    narrator.finish_line();
}

struct Narrator {
    live: bool,
    /// The cursor stands on a line of progress, to be written over.
    unfinished: bool,
}

impl Narrator {
    fn tell(&mut self, event: &BuildEvent) {
        let at = format!("{:7.1}s", event.at.as_secs_f64());
        match &event.update {
            Update::Phase { phase } => self.line(&format!("{at} ▶ {phase}")),
            Update::Created { resource } => self.line(&format!("{at}   + {resource}")),
            Update::Deleted { resource } => self.line(&format!("{at}   - {resource}")),
            Update::Step { step, state: StepState::Start, .. } => {
                self.line(&format!("{at}   {step}"));
            }
            Update::Progress { what, done, total: Some(total) } if total.as_bytes() > 0 => {
                let percent = done.as_bytes() * 100 / total.as_bytes();
                self.progress(&format!("{at}   {what} {percent:3} % of {total}"));
            }
            Update::Progress { what, done, .. } => {
                self.progress(&format!("{at}   {what} {done}"));
            }
            Update::Percent { what, percent } => {
                self.progress(&format!("{at}   {what} {percent:3} %"));
            }
            Update::Log { line, .. } => self.line(&format!("{at}   | {line}")),
            Update::Written { written, volume, .. } => {
                self.line(&format!("{at}   the container wrote {written} of {volume}"));
            }
            Update::Armed { entry } => self.line(&format!("{at}   into stage 2 by {entry}")),
            Update::Note { message } => self.line(&format!("{at}   ! {message}")),
            Update::Skipped { count } => self.line(&format!("{at}   ({count} events skipped)")),
            _ => {}
        }
    }

    fn line(&mut self, text: &str) {
        self.finish_line();
        eprintln!("{text}");
    }

    fn progress(&mut self, text: &str) {
        if !self.live {
            return self.line(text);
        }
        // Back to the margin, and the rest of the old line away.
        eprint!("\r{text}\x1b[K");
        let _ = io::stderr().flush();
        self.unfinished = true;
    }

    fn finish_line(&mut self) {
        if std::mem::take(&mut self.unfinished) {
            eprintln!();
        }
    }
}
