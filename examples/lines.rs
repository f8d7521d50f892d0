use cloudd_core::build::{BuildEvent, BuildEventKind};
use cloudd_core::guest::StepState;

/// An event as a line for people, without progress; `None` for what is not worth one.
pub(crate) fn line(event: &BuildEvent) -> Option<String> {
    let text = match &event.kind {
        BuildEventKind::Phase { phase } => format!("▶ {phase}"),
        BuildEventKind::Reused { image } => format!("  = image {image} is there already"),
        BuildEventKind::Waiting { build, phase } => {
            format!("  build {build} of another process makes the image, now in phase {phase}")
        }
        BuildEventKind::Resumed { build } => {
            format!("  build {build}, whose process died, goes on")
        }
        BuildEventKind::Created { resource } => format!("  + {resource}"),
        BuildEventKind::Deleted { resource } => format!("  - {resource}"),
        BuildEventKind::Step { step, state: StepState::Start, .. } => format!("  {step}"),
        BuildEventKind::Log { line, .. } => format!("  | {line}"),
        BuildEventKind::Written { written, volume, .. } => {
            format!("  the container wrote {written} of {volume}")
        }
        BuildEventKind::EnteringStage2 { entry } => format!("  into stage 2 by {entry}"),
        BuildEventKind::Note { message } => format!("  ! {message}"),
        BuildEventKind::Skipped { count } => format!("  ({count} events skipped)"),
        _ => return None,
    };
    Some(format!("{:7.1}s {text}", event.at.as_secs_f64()))
}

/// How far something is: what, of hundred, and in words.
pub(crate) struct Progress<'a> {
    pub(crate) what: &'a str,
    /// `None` when the whole is not known.
    pub(crate) percent: Option<u64>,
    pub(crate) words: String,
}

impl<'a> Progress<'a> {
    pub(crate) fn of(event: &'a BuildEvent) -> Option<Self> {
        match &event.kind {
            BuildEventKind::Progress { what, done, total: Some(total) } if total.as_bytes() > 0 => {
                let percent = done.as_bytes().saturating_mul(100) / total.as_bytes();
                Some(Self {
                    what,
                    percent: Some(percent),
                    words: format!("{percent:3} % of {total}"),
                })
            }
            BuildEventKind::Progress { what, done, .. } => {
                Some(Self { what, percent: None, words: done.to_string() })
            }
            BuildEventKind::Percent { what, percent } => Some(Self {
                what,
                percent: Some(u64::from(*percent)),
                words: format!("{percent:3} %"),
            }),
            _ => None,
        }
    }
}
