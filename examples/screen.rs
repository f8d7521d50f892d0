use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _};

use cloudd_core::build::{BuildEvent, Events};
use indicatif::MultiProgress;

use crate::bars::Bar;
use crate::lines::{self, Progress};

/// Tells on stderr what happens in builds, as it happens, until they end. On a terminal each build
/// has a bar below the lines; elsewhere, as in CI, there are lines alone. Of several builds each line
/// begins with a title; one alone needs none.
pub async fn narrate(mut events: Events, titles: &[String]) {
    let bars = io::stderr().is_terminal().then(MultiProgress::new);
    let mut screen = Screen { bars, titles, running: BTreeMap::new() };
    while let Some(event) = events.next().await {
        screen.tell(&event);
    }
    for bar in screen.running.values() {
        bar.done();
    }
}

struct Screen<'a> {
    bars: Option<MultiProgress>,
    titles: &'a [String],
    running: BTreeMap<usize, Bar>,
}

impl Screen<'_> {
    fn tell(&mut self, event: &BuildEvent) {
        if let Some(line) = lines::line(event) {
            self.print(event, &line);
        }
        if let Some(bars) = &self.bars {
            let title = self.titles.get(event.index).unwrap_or(&event.name);
            let bar = self.running.entry(event.index).or_insert_with(|| Bar::new(bars, title));
            bar.tell(event);
        } else if let Some(progress) = Progress::of(event) {
            let (at, what) = (event.at.as_secs_f64(), progress.what);
            self.print(event, &format!("{at:7.1}s   {what} {}", progress.words));
        }
    }

    fn print(&self, event: &BuildEvent, line: &str) {
        let line = match self.titles.get(event.index) {
            Some(title) => format!("{title} {line}"),
            None => line.to_owned(),
        };
        match &self.bars {
            // Above the bars; what is wider than the terminal wraps.
            Some(bars) => bars.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }
}
