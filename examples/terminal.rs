use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};
use std::time::Duration;

use cloudd_core::build::Events;
use cloudd_core::guest::StepState;
use cloudd_core::text::human_duration;
use cloudd_core::{BuildEvent, BuildEventKind};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Prints the events of builds on stderr until the builds end. On a terminal, each build has a
/// progress bar below the lines; elsewhere, as in CI, progress is printed as lines.
///
/// Each line begins with the title of its build, found by [`BuildEvent::index`]. A single build
/// needs no title.
pub async fn print_events(mut events: Events, titles: &[String]) {
    let bars = io::stderr().is_terminal().then(MultiProgress::new);
    let mut terminal = Terminal { bars, titles, running: BTreeMap::new() };
    while let Some(event) = events.next().await {
        terminal.show(&event);
    }
    for bar in terminal.running.values() {
        bar.finish_and_clear();
    }
}

struct Terminal<'a> {
    /// `None` if stderr is not a terminal.
    bars: Option<MultiProgress>,
    titles: &'a [String],
    running: BTreeMap<usize, ProgressBar>,
}

impl Terminal<'_> {
    fn show(&mut self, event: &BuildEvent) {
        let at = event.at.as_secs_f64();
        if let Some(line) = line(&event.kind) {
            self.print(event, &format!("{at:7.1}s {line}"));
        }
        if let Some(bars) = &self.bars {
            let title = self.titles.get(event.index).unwrap_or(&event.name);
            let bar = self.running.entry(event.index).or_insert_with(|| new_bar(bars, title));
            update(bar, &event.kind);
        } else if let Some(Progress { what, amount, .. }) = Progress::of(&event.kind) {
            self.print(event, &format!("{at:7.1}s   {what} {amount}"));
        }
    }

    fn print(&self, event: &BuildEvent, line: &str) {
        let line = match self.titles.get(event.index) {
            Some(title) => format!("{title} {line}"),
            None => line.to_owned(),
        };
        match &self.bars {
            // Removes the bars, prints the line, and draws the bars below it.
            Some(bars) => bars.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}

/// An event as a line of text; `None` for progress and for events that are not printed.
fn line(event: &BuildEventKind) -> Option<String> {
    Some(match event {
        BuildEventKind::Phase { phase } => format!("▶ {phase}"),
        BuildEventKind::Reused { image } => format!("  = image {image} exists already"),
        BuildEventKind::Waiting { build, phase, waited } => {
            let waited = human_duration(Duration::from_secs(*waited));
            format!("  waiting for build {build} of the same image, in phase {phase} ({waited})")
        }
        BuildEventKind::Resumed { build } => {
            format!("  resuming build {build}, whose process died")
        }
        BuildEventKind::Created { resource } => format!("  + {resource}"),
        BuildEventKind::Deleted { resource } => format!("  - {resource}"),
        BuildEventKind::Step { step, state: StepState::Start, .. } => format!("  {step}"),
        BuildEventKind::Log { line, .. } => format!("  | {line}"),
        BuildEventKind::Written { written, volume, .. } => {
            format!("  the container wrote {written} of {volume}")
        }
        BuildEventKind::EnteringStage2 { entry } => format!("  entering stage 2 by {entry}"),
        BuildEventKind::Note { message } => format!("  ! {message}"),
        BuildEventKind::Skipped { count } => format!("  ({count} events were dropped)"),
        _ => return None,
    })
}

/// The progress that an event reports.
struct Progress<'a> {
    what: &'a str,
    /// `None` if the total is not known.
    percent: Option<u64>,
    /// As text, such as ` 12 % of 10 GiB`.
    amount: String,
}

impl<'a> Progress<'a> {
    fn of(event: &'a BuildEventKind) -> Option<Self> {
        let (what, percent, amount) = match event {
            BuildEventKind::Progress { what, done, total: Some(total) } if total.as_bytes() > 0 => {
                let percent = done.as_bytes().saturating_mul(100) / total.as_bytes();
                (what, Some(percent), format!("{percent:3} % of {total}"))
            }
            BuildEventKind::Progress { what, done, .. } => (what, None, done.to_string()),
            BuildEventKind::Percent { what, percent } => {
                (what, Some(u64::from(*percent)), format!("{percent:3} %"))
            }
            _ => return None,
        };
        Some(Self { what, percent, amount })
    }
}

/// The style of a bar without a known total.
const SPINNER: &str = "{spinner} {prefix} {elapsed} {wide_msg}";
const BAR: &str = "{spinner} {prefix} {elapsed} [{bar:30}] {wide_msg}";

fn new_bar(bars: &MultiProgress, title: &str) -> ProgressBar {
    let bar = bars.add(ProgressBar::new(100));
    bar.set_prefix(title.to_owned());
    bar.enable_steady_tick(Duration::from_millis(100));
    bar.set_style(style(SPINNER));
    bar
}

/// Shows the phase of a build, or progress within it.
fn update(bar: &ProgressBar, event: &BuildEventKind) {
    if let BuildEventKind::Phase { phase } = event {
        bar.set_style(style(SPINNER));
        bar.set_message(phase.to_string());
    }
    let Some(Progress { what, percent, amount }) = Progress::of(event) else { return };
    bar.set_message(format!("{what} {amount}"));
    if let Some(percent) = percent {
        bar.set_style(style(BAR));
        bar.set_position(percent.min(100));
    }
}

/// A style of a template; the default style if the template is malformed.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}
